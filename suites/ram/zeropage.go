package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// The zero page is never written, and all processes share it.
var _ = describe("poison in the zero page", func() {
	It("is ignored: madvise(2) fails with EBUSY, and loads read zeros", scenario(
		"zero-page/small", "T11"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.IgnoreInWitness(observe.WitnessLog, "recovery action for|reserved kernel page|unhandlable page",
			"the text differs between kernels, the result does not")
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Load(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(Errno("EBUSY")))
		Expect(load).To(BeOutcome(Reads(0)))
	})
})

// Splitting a huge page maps its pages of zeros to the zero page, also the poisoned one
// (try_to_map_unused_to_zeropage).
var _ = describe("poison in a transparent huge page of zeros", func() {
	It("causes SIGBUS on a load; from v6.12 to v6.17 the load reads zeros", scenario("thp/zeros", "T18",
		Needs("TRANSPARENT_HUGEPAGE", "MEMORY_HOTPLUG"), NeedsPageMap(),
		Changes(change.ThpZeroRemap)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.TransparentHugePages(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), 0)
		v.Madvise(ctx, m.At(0), HugePageBytes(), MADV_HUGEPAGE)
		v.Store(ctx, m.At(Page(bad+1)+5))
		g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad)))))
		load := v.Load(ctx, m.At(at()))
		good := v.Load(ctx, m.At(Page(bad+1)+5))
		Expect(load).To(DependOn(change.ThpZeroRemap, Before(SIGBUS(BUS_MCEERR_AR, PageLSB())), After(Reads(0))))
		Expect(good).To(BeOutcome(Reads(0x5a)))
	})
})
