package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// No process receives a signal for an error in the kernel's own memory, and the kernel
// cannot take the page out of use.
var _ = describe("poison in a page of the kernel", func() {
	// ignoring leaves out what the kernel logs about such a page, and its result: both
	// differ between kernels, and no process sees them.
	ignoring := func(g *Guest) {
		g.IgnoreInWitness(observe.WitnessLog, "recovery action for|unhandlable page|Unknown page state|still referenced by",
			"the kind that the kernel finds differs between kernels, the errno does not")
	}
	for _, c := range []struct {
		kind     KernelPage
		id, text string
	}{{SlabPage, "slab", "a slab page"}, {PageTablePage, "page-table", "a page table"}} {
		It("makes hard_offline_page fail with EBUSY ("+c.text+")", scenario("kernel-page/"+c.id, "T13",
			Needs("MEMORY_HOTPLUG", "PROC_PAGE_MONITOR")), func(ctx SpecContext) {
			g := StartGuest(ctx)
			ignoring(g)
			injected := g.InjectMayFail(ctx, inject.HardOffline(g.KernelPage(ctx, c.kind)))
			Expect(injected).To(BeOutcome(Errno("EBUSY")))
		})
	}

	It("panics with vm.panic_on_unrecoverable_memory_failure=1, which v7.3 introduced", scenario(
		"kernel-page/panic", "T13",
		Needs("MEMORY_HOTPLUG", "PROC_PAGE_MONITOR"), Changes(change.PanicUnrecoverable)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.AllowPanic()
		ignoring(g)
		wanted := g.WriteSysctl(ctx, "vm/panic_on_unrecoverable_memory_failure", "1")
		injected := g.InjectMayFail(ctx, inject.HardOffline(g.KernelPage(ctx, SlabPage)))
		Expect(wanted).To(DependOn(change.PanicUnrecoverable, Before(Errno("ENOENT")), After(OK())))
		Expect(injected).To(DependOn(change.PanicUnrecoverable, Before(Errno("EBUSY")),
			After(Panics("Memory failure: N: unrecoverable page"))))
	})
})
