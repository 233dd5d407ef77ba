package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// hugetlb_fault() meets the poison, and says VM_FAULT_HWPOISON_LARGE with the size
// of the page.
var _ = describe("poison in a hugetlb page", func() {
	needs := []Trait{Needs("HUGETLBFS"), NeedsPageMap()}
	atOnce := func(m *Mapping) *Expectation {
		return DependOn(change.MadviseActionRequired, Before(Returns(0)), After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))))
	}
	whole := func() *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AR, HugePageLSB())) }

	It("is told with the huge page's size, wherever in it a load comes", poisons("hugetlb/load", "E11", needs...), func(ctx SpecContext) {
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

	It("is told to a child whose parent poisoned it", poisons("hugetlb/second-process", "E11", needs...), func(ctx SpecContext) {
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

	It("of a file is told to a process that maps it later", poisons("hugetlbfs/second-mapping", "E13", append(needs, Changes(change.HugetlbKeepsErrorPage))...), func(ctx SpecContext) {
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

	It("of a file fails read(2) of the bad page", poisons("hugetlbfs/read", "E14", append(needs, Changes(change.HugetlbKeepsErrorPage, change.HugetlbReadsGoodPages))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		f := g.HugeFile(ctx, HugePageBytes())
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(at()))
		v.Store(ctx, m.At(Page(bad+1)+5))
		advice := hwpoison(ctx, v, m)
		before := v.Pread(ctx, m.FD(), 2*PageBytes(), Page(bad-1))
		it := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		behind := v.Pread(ctx, m.FD(), 1, Page(bad+1)+5)
		Expect(advice).To(atOnce(m))
		Expect(before).To(DependOn(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(PageBytes(), 0))).
			IfMissing(change.HugetlbKeepsErrorPage, ReturnsFull(2*PageBytes(), 0)))
		Expect(it).To(DependOn(change.HugetlbKeepsErrorPage, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
		Expect(behind).To(DependOn(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(1, 0x5a))).
			IfMissing(change.HugetlbKeepsErrorPage, ReturnsFull(1, 0)))
	})
	// Before v6.11 madvise(2) says EBUSY also where the page was taken: see docs/evidence/findings.md.
	It("is told with the size of a page of 1 GiB", poisons("hugetlb/gigantic", "E12", append(needs, Needs("CONTIG_ALLOC"), Changes(change.HugetlbGigantic))...), func(ctx SpecContext) {
		g := StartGuest(ctx, Memory(2*GiB+512*MiB))
		g.IgnoreInWitness(observe.WitnessLog, "recovery action for huge page", "what becomes of the page itself is said by madvise(2), too: EBUSY where it failed")
		g.GiganticPage(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, GiB, Gigantic)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		elsewhere := v.Load(ctx, m.At(Page(1000)+7))
		gigantic := func() Side { return After(SIGBUS(BUS_MCEERR_AR, LSB(30))) }
		Expect(advice).To(DependOn(change.MadviseActionRequired, Before(Errno("EBUSY")), After(SIGBUS(BUS_MCEERR_AR, LSB(30), At(m.At(Page(bad))), Returning(0)))))
		Expect(load).To(DependOn(change.HugetlbGigantic, Before(Reads(0x5a)), gigantic()))
		Expect(elsewhere).To(DependOn(change.HugetlbGigantic, Before(Reads(0)), gigantic()))
	})
})
