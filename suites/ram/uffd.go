package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// userfaultfd(2) lets a program provide missing pages. With UFFD_FEATURE_SIGBUS, an access
// to a page that is still missing raises a signal.
var _ = describe("with UFFD_FEATURE_SIGBUS, an access", func() {
	// registered makes a victim register memory without any page present.
	registered := func(ctx SpecContext, v *Victim, m *Mapping) FD {
		fd := v.Userfaultfd(ctx, UFFD_FEATURE_SIGBUS)
		v.Register(ctx, fd, m.At(0), m.Bytes)
		return fd
	}
	marked := func(lsb Detail) *Expectation {
		return DependOn(change.UserfaultfdPoison, Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, lsb)))
	}
	done := func(n int64) *Expectation {
		return DependOn(change.UserfaultfdPoison, Before(Errno("EINVAL")), After(Returns(n)))
	}
	needs := []Trait{Needs("USERFAULTFD")}
	follows := append(needs, Changes(change.UserfaultfdPoison))

	It("to a missing page gets BUS_ADRERR, not BUS_MCEERR_AR", scenario("userfaultfd/missing",
		"E19", needs...), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		registered(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		Expect(load).To(BeOutcome(SIGBUS(BUS_ADRERR)))
	})

	// The page table has a marker but no page: handle_pte_marker().
	It("to an anonymous page after UFFDIO_POISON (v6.6) gets BUS_MCEERR_AR", scenario("userfaultfd/poison",
		"E18", follows...), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		fd := registered(ctx, v, m)
		poison := v.MarkPoisoned(ctx, fd, m.At(Page(bad)), PageBytes())
		load := v.Load(ctx, m.At(at()))
		store := v.Store(ctx, m.At(at()))
		good := v.Load(ctx, m.At(Page(bad+1)+5))
		Expect(poison).To(done(0))
		Expect(load).To(marked(PageLSB()))
		Expect(store).To(marked(PageLSB()))
		Expect(good).To(BeOutcome(SIGBUS(BUS_ADRERR)))
	})

	It("to a page of a tmpfs file after UFFDIO_POISON (v6.6) gets BUS_MCEERR_AR", scenario(
		"userfaultfd/poison-tmpfs", "E18",
		append(follows, Needs("TMPFS"))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.TmpfsFile(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		fd := registered(ctx, v, m)
		poison := v.MarkPoisoned(ctx, fd, m.At(Page(bad)), PageBytes())
		load := v.Load(ctx, m.At(at()))
		Expect(poison).To(done(0))
		Expect(load).To(marked(PageLSB()))
	})

	It("to a hugetlb page after UFFDIO_POISON (v6.6) gets BUS_MCEERR_AR", scenario(
		"userfaultfd/poison-hugetlb", "E18",
		append(follows, Needs("HUGETLBFS"))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.HugePages(ctx, 2)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), HugeTLB)
		fd := registered(ctx, v, m)
		poison := v.MarkPoisoned(ctx, fd, m.At(0), HugePageBytes())
		load := v.Load(ctx, m.At(at()))
		Expect(poison).To(done(0))
		Expect(load).To(marked(HugePageLSB()))
	})
})
