package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// hugetlb_fault() finds the poison and returns VM_FAULT_HWPOISON_LARGE with the size of
// the page.
var _ = describe("poison in a hugetlb page", func() {
	needs := []Trait{Needs("HUGETLBFS"), NeedsPageMap()}
	atOnce := func(m *Mapping) *Expectation {
		return DependOn(change.MadviseActionRequired,
			Before(Returns(0)),
			After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))),
		)
	}
	whole := func() *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AR, HugePageLSB())) }

	It("causes SIGBUS with the size of the huge page on a load anywhere in it", poisons("hugetlb/load",
		"E11", needs...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), HugeTLB)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		bad := v.Load(ctx, m.At(at()))
		elsewhere := v.Load(ctx, m.At(Page(100)+7))
		Expect(advice).To(atOnce(m))
		Expect(bad).To(whole())
		Expect(elsewhere).To(whole())
	})

	It("causes SIGBUS in a child whose parent injected it", poisons("hugetlb/second-process",
		"E11", needs...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), HugeTLB)
		v.Store(ctx, m.At(at()))
		child := v.Fork(ctx, "child")
		advice := hwpoison(ctx, v, m)
		load := child.Load(ctx, m.At(at()))
		Expect(advice).To(atOnce(m))
		Expect(load).To(whole())
	})

	It("causes SIGBUS in a process that maps the page's file later, since v6.1 (zeros before)", poisons(
		"hugetlbfs/second-mapping", "E13",
		append(needs, Changes(change.HugetlbKeepsErrorPage))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		f := g.HugeFile(ctx, HugePageBytes())
		v, second := g.Victim(ctx), g.Second(ctx)
		m := v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		m2 := second.Map(ctx, f, Shared)
		load := second.Load(ctx, m2.At(at()))
		Expect(advice).To(atOnce(m))
		Expect(load).To(DependOn(change.HugetlbKeepsErrorPage, Before(Reads(0)), After(SIGBUS(BUS_MCEERR_AR, HugePageLSB()))))
	})

	It("makes pread(2) of the bad 4 KiB of a file fail with EIO since v6.1 (zeros before)", poisons(
		"hugetlbfs/read", "E14",
		append(needs, Changes(change.HugetlbKeepsErrorPage, change.HugetlbReadsGoodPages))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		f := g.HugeFile(ctx, HugePageBytes())
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(at()))
		v.Store(ctx, m.At(Page(bad+1)+5))
		advice := hwpoison(ctx, v, m)
		before := v.Pread(ctx, m.FD(), 2*PageBytes(), Page(bad-1))
		page := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		after := v.Pread(ctx, m.FD(), 1, Page(bad+1)+5)
		Expect(advice).To(atOnce(m))
		Expect(before).To(DependOn(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(PageBytes(), 0))).
			IfMissing(change.HugetlbKeepsErrorPage, ReturnsFull(2*PageBytes(), 0)))
		Expect(page).To(DependOn(change.HugetlbKeepsErrorPage, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
		Expect(after).To(DependOn(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(1, 0x5a))).
			IfMissing(change.HugetlbKeepsErrorPage, ReturnsFull(1, 0)))
	})

	// Before v6.11 madvise(2) returns EBUSY even if it unmapped the page: see
	// docs/evidence/findings.md.
	It("causes SIGBUS with the size of a 1 GiB page since v6.0; before, loads succeed", poisons("hugetlb/gigantic", "E12",
		append(needs, Needs("CONTIG_ALLOC"), Changes(change.HugetlbGigantic))...), func(ctx SpecContext) {
		g := StartGuest(ctx, Memory(2*GiB+512*MiB))
		g.IgnoreInWitness(observe.WitnessLog, "recovery action for huge page",
			"madvise(2) reports the action for the page too: EBUSY if it failed")
		g.GiganticPage(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, GiB, Gigantic)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		elsewhere := v.Load(ctx, m.At(Page(1000)+7))
		gigantic := func() Side { return After(SIGBUS(BUS_MCEERR_AR, LSB(30))) }
		Expect(advice).To(DependOn(change.MadviseActionRequired,
			Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, LSB(30), At(m.At(Page(bad))), Returning(0)))))
		Expect(load).To(DependOn(change.HugetlbGigantic, Before(Reads(0x5a)), gigantic()))
		Expect(elsewhere).To(DependOn(change.HugetlbGigantic, Before(Reads(0)), gigantic()))
	})
})
