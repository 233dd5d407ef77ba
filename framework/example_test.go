package framework_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/guest/wire"
)

// A scenario whose outcome depends on a change. Changes lists the change for the list of
// scenarios; DependOn states the outcome on both sides of it.
func Example() {
	It("delivers SIGBUS to a reader", Scenario("dax/ext4/shared-read",
		NeedsDAX(NFIT, Ext4), Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		g.Inject(ctx, inject.BadBlock(f, Page(4)))
		Expect(v.Load(ctx, m.At(Page(4)))).To(DependOn(change.DaxFaultHWPoison,
			Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, PageLSB()))))
	})
}

// A scenario whose outcome is the same on all kernels. Only the page at Page(4) is bad.
func ExampleBeOutcome() {
	It("reads a good page", Scenario("dax/ext4/good-page", NeedsDAX(NFIT, Ext4)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		g.Inject(ctx, inject.BadBlock(f, Page(4)))
		Expect(v.Load(ctx, m.At(Page(3)))).To(BeOutcome(Reads(Filled(3))))
		Expect(v.Pread(ctx, m.FD(), PageBytes(), Page(4))).To(BeOutcome(Errno("EIO")))
	})
}

// A machine check that is raised exactly at a load. The page must be present first.
func ExampleVictim_Consume() {
	It("delivers SIGBUS to a load", Scenario("mce/example/load", NeedsPageMap(), Exactly()), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(5))
		Expect(v.Consume(ctx, inject.SRAR(), m.At(5))).
			To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(0)))))
	})
}

// A victim with the default disposition, which SIGBUS kills.
func ExampleGuest_VictimAs() {
	It("kills a process without a handler", Scenario("dax/ext4/default-action", NeedsDAX(NFIT, Ext4)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
		v := g.VictimAs(ctx, "victim", wire.Default)
		m := v.Map(ctx, f, Shared)
		g.Inject(ctx, inject.BadBlock(f, Page(4)))
		Expect(v.Load(ctx, m.At(Page(4)))).To(BeOutcome(KilledBy("SIGBUS")))
	})
}
