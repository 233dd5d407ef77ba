package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// The memory controller reports an error in the background while a core reads it. If the
// kernel handles the controller's report first, it drops the clean page, and the machine
// check is for a page that the process does not map any more (kill_accessing_process).
var _ = describe("a machine check for a clean page that was dropped already", func() {
	for _, fs := range []FS{Ext4, XFS} {
		It("sends no signal; from v5.14 to v6.14, SIGBUS without an address ("+fs.Text()+")", scenario(
			"pagecache-"+string(fs)+"/dropped", "T06",
			consumes(NeedsDisk(NFIT, fs), Needs("MEMORY_HOTPLUG"),
				Changes(change.DroppedPageSigbus))...), func(ctx SpecContext) {
			g := StartGuest(ctx)
			g.IgnoreInWitness(observe.WitnessLog, "already (hardware )?poisoned",
				"v6.11 logs it in other words, and as an action (b8b9488d50b7)")
			g.IgnoreInWitness(observe.WitnessLog, "Memory error not recovered",
				"kill_me_maybe logs it without a newline, so it appears only with the next message")
			f := g.PageCache(ctx, fs).File(ctx, PageBytes())
			v := g.Victim(ctx)
			m := v.Map(ctx, f, Shared)
			v.Load(ctx, m.At(5))
			dropped := v.Frame(ctx, m.At(0))
			g.Inject(ctx, inject.HardOffline(dropped))
			before := v.Load(ctx, m.At(5))
			load := g.Consume(ctx, inject.SRAR(), v.In(ctx, m.At(5)).Reporting(dropped),
				func() *Started { return v.StartLoad(m.At(5)) })
			Expect(before).To(BeOutcome(Reads(Filled(0))))
			Expect(load).To(DependOn(change.DroppedPageSigbus, Before(Reads(Filled(0))), After(SIGBUS(SI_KERNEL, Nowhere()))))
		})
	}
})
