package ram_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// hugetlb_fault() meets the poison, and says VM_FAULT_HWPOISON_LARGE with the size
// of the page.
var _ = Describe("poison in a hugetlb page", func() {
	needs := []Trait{Needs("HUGETLBFS"), NeedsPageMap()}
	atOnce := func(m *Mapping) *Expectation {
		return Follow(change.MadviseActionRequired, Before(Returns(0)), After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))))
	}
	whole := func() *Expectation { return Be(SIGBUS(BUS_MCEERR_AR, HugePageLSB())) }

	It("is told with the huge page's size, wherever in it a load comes", poisons("hugetlb/load", "E11", needs...), func(ctx SpecContext) {
		g := Guest(ctx)
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
		g := Guest(ctx)
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

	It("of a file is told to a process that maps it later", poisons("hugetlbfs/second-mapping", "E13", append(needs, Follows(change.HugetlbKeepsErrorPage))...), func(ctx SpecContext) {
		g := Guest(ctx)
		g.HugePages(ctx, 2)
		f := g.HugeFile(ctx, HugePageBytes())
		v, second := g.Victim(ctx), g.Second(ctx)
		m := v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		m2 := second.Map(ctx, f, Shared)
		load := second.Load(ctx, m2.At(at()))
		Expect(advice).To(atOnce(m))
		Expect(load).To(Follow(change.HugetlbKeepsErrorPage, Before(Reads(0)), After(SIGBUS(BUS_MCEERR_AR, HugePageLSB()))))
	})

	It("of a file fails read(2) of the bad page", poisons("hugetlbfs/read", "E14", append(needs, Follows(change.HugetlbKeepsErrorPage, change.HugetlbReadsGoodPages))...), func(ctx SpecContext) {
		g := Guest(ctx)
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
		Expect(before).To(Follow(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(PageBytes(), 0))).
			Without(change.HugetlbKeepsErrorPage, ReturnsFull(2*PageBytes(), 0)))
		Expect(it).To(Follow(change.HugetlbKeepsErrorPage, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
		Expect(behind).To(Follow(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(ReturnsFull(1, 0x5a))).
			Without(change.HugetlbKeepsErrorPage, ReturnsFull(1, 0)))
	})
	It("is told as 1 GiB where the page is one of that", scenario("hugetlb/gigantic", "E12",
		NotDoable("a guest has 512 MiB of memory, and such a page is 1 GiB in one piece")), func(SpecContext) {})
})
