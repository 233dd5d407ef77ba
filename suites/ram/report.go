package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

var _ = describe("a second report of the same poisoned page", func() {
	// action_result() counts each report.
	It("is not counted in HardwareCorrupted; from v6.11 to v6.16 it is", scenario("anon/twice", "T07",
		Needs("MEMORY_HOTPLUG"), NeedsPageMap(),
		Changes(change.AlreadyPoisoned, change.PoisonCountedAgain)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.IgnoreInWitness(observe.WitnessLog, "already (hardware )?poisoned", "v6.11 logs it in other words (b8b9488d50b7)")
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		frame := v.Frame(ctx, m.At(Page(bad)))
		g.Inject(ctx, inject.HardOffline(frame))
		again := g.InjectMayFail(ctx, inject.HardOffline(frame))
		counted := g.HardwareCorrupted(ctx)
		Expect(again).To(DependOn(change.AlreadyPoisoned, Before(OK()), After(Errno("EHWPOISON"))))
		Expect(counted).To(DependOn(change.PoisonCountedAgain, Before(Note("4 kB")), After(Note("8 kB"))))
	})
})

// What monitors read: rasdaemon(8) traces the event, others read the counters.
var _ = describe("poison in anonymous memory", func() {
	It("is counted for the page's node since v6.3", poisons("anon/counters", "T14",
		Needs("NUMA"), Changes(change.NodeCounters)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		before := g.MemoryFailureCounters(ctx)
		advice := hwpoison(ctx, v, m)
		after := g.MemoryFailureCounters(ctx)
		Expect(before).To(DependOn(change.NodeCounters, Before(Errno("ENOENT")), After(Note("none"))))
		Expect(advice).To(silentBefore(m))
		Expect(after).To(DependOn(change.NodeCounters, Before(Errno("ENOENT")), After(Note("total 1, recovered 1"))))
	})

	It("is reported by the trace event ras:memory_failure_event", poisons(
		"anon/trace", "T14", Needs("RAS", "FTRACE", "EVENT_TRACING")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		events := g.MemoryFailureEvents(ctx)
		Expect(advice).To(silentBefore(m))
		Expect(events).To(BeOutcome(Note("recovery action for dirty LRU page: Recovered")))
	})
})

// The filter of hwpoison_inject restricts which pages are poisoned; here no page matches.
var _ = describe("a page that the filter of hwpoison_inject excludes", func() {
	excluded := func(ctx SpecContext) (*Victim, *Mapping) {
		g := StartGuest(ctx)
		g.FilterPoison(ctx, inject.Filter{FlagsMask: 1 << kpfNoPage, FlagsValue: 1 << kpfNoPage})
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		return v, m
	}

	It("is not poisoned: MADV_HWPOISON succeeds without effect", scenario("filter/hwpoison", "T08",
		Needs("HWPOISON_INJECT", "DEBUG_FS")), func(ctx SpecContext) {
		v, m := excluded(ctx)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(Returns(0)))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})

	It("makes MADV_SOFT_OFFLINE fail with EOPNOTSUPP since v5.19; before, the page is moved", scenario(
		"filter/soft-offline", "T08",
		Needs("HWPOISON_INJECT", "DEBUG_FS", "MIGRATION"), Changes(change.SoftOfflineFilter)), func(ctx SpecContext) {
		v, m := excluded(ctx)
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_SOFT_OFFLINE)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(DependOn(change.SoftOfflineFilter, Before(Returns(0)), After(Errno("ENOTSUP"))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})
})

// kpfNoPage is the bit KPF_NOPAGE of /proc/kpageflags, which no page of the victim has.
const kpfNoPage = 20
