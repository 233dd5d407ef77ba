package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// dax_kmem adds an nvdimm to the kernel's memory. Victims get their pages from there first,
// because it is ZONE_MOVABLE.
var _ = describe("poison in an nvdimm that is used as RAM", func() {
	needs := []Trait{
		NeedsDeviceDAX(), NeedsPageMap(), Needs("DEV_DAX_KMEM", "MEMORY_HOTPLUG", "MEMORY_HOTREMOVE", "NUMA"),
	}
	touched := func(ctx SpecContext) (*Guest, *RAM, *Victim, *Mapping) {
		g := StartGuest(ctx, LargeNVDIMM())
		r := g.SystemRAM(ctx, g.LargeDeviceDAX(ctx, PageBytes()))
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		v.Within(ctx, m.At(at()), r)
		return g, r, v, m
	}

	It("causes SIGBUS on a load, and does not prevent that the memory is offlined", poisons("kmem/offline", "T15",
		needs...), func(ctx SpecContext) {
		_, r, v, m := touched(ctx)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		offline := r.Offline(ctx)
		again := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(load).To(remembered())
		Expect(offline).To(BeOutcome(OK()))
		Expect(again).To(remembered())
	})

	It("causes SIGBUS on a load after hard_offline_page", scenario("kmem/hard-offline", "T15",
		needs...), func(ctx SpecContext) {
		g, _, v, m := touched(ctx)
		g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad)))))
		load := v.Load(ctx, m.At(at()))
		Expect(load).To(remembered())
	})

	// The nfit driver is notified of the machine check, too.
	It("sends SIGBUS to a process that consumes it, and adds a bad block to the nvdimm", scenario("kmem/srar", "T15",
		append(needs, Exactly(), Needs("X86_MCE"), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
		g, r, v, m := touched(ctx)
		first := v.Consume(ctx, inject.SRAR(), m.At(at()))
		g.AwaitLog(ctx, Recovered)
		listed := g.AwaitBadBlocks(ctx, r.Device)
		again := v.Load(ctx, m.At(at()))
		Expect(first).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))))))
		Expect(listed).To(DependOn(change.NfitMiscGranularity, Before(Note("1 sectors")), After(Note("8 sectors"))))
		Expect(again).To(remembered())
	})
})
