package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// KSM maps one page at several addresses (mm/ksm.c): collect_procs_ksm() finds their
// processes.
var _ = describe("poison in a page that KSM merged", func() {
	follows := []Trait{Needs("KSM"), Changes(change.KSMPoison)}
	sigbus := After(SIGBUS(BUS_MCEERR_AR, PageLSB()))

	// If a process maps the page at several addresses, collect_procs_ksm() takes the one
	// that was merged last, which need not be the one that it poisoned: seen on 6.12.117
	// and 7.3.4; the catalogue expected the poisoned one.
	It("causes SIGBUS at every address at which a process maps the page, since v6.4 (EBUSY before)", scenario("ksm/load",
		"E15", follows...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Madvise(ctx, m.At(0), 64*KiB, MADV_MERGEABLE)
		v.Store(ctx, m.At(at()))
		v.Store(ctx, m.At(Page(bad+1)+5))
		merged := g.MergePages(ctx)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		other := v.Load(ctx, m.At(Page(bad+1)+5))
		Expect(merged).To(BeOutcome(Note("1 shared, by 2")))
		Expect(advice).To(DependOn(change.KSMPoison,
			Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad+1))), Returning(0)))))
		Expect(load).To(DependOn(change.KSMPoison, Before(Reads(0x5a)), sigbus))
		Expect(other).To(DependOn(change.KSMPoison, Before(Reads(0x5a)), sigbus))
	})

	It("causes SIGBUS in another process that maps the page, on a load, since v6.4 (EBUSY before)", scenario(
		"ksm/second-process", "E15", follows...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v, second := g.Victim(ctx), g.Second(ctx)
		m, m2 := v.MapAnonymous(ctx, 64*KiB, 0), second.MapAnonymous(ctx, 64*KiB, 0)
		v.Madvise(ctx, m.At(0), 64*KiB, MADV_MERGEABLE)
		second.Madvise(ctx, m2.At(0), 64*KiB, MADV_MERGEABLE)
		v.Store(ctx, m.At(at()))
		second.Store(ctx, m2.At(at()))
		merged := g.MergePages(ctx)
		advice := hwpoison(ctx, v, m)
		idle := second.Idle(ctx)
		load := second.Load(ctx, m2.At(at()))
		Expect(merged).To(BeOutcome(Note("1 shared, by 2")))
		Expect(advice).To(DependOn(change.KSMPoison,
			Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0)))))
		Expect(idle).To(BeOutcome(OK()))
		Expect(load).To(DependOn(change.KSMPoison, Before(Reads(0x5a)), sigbus))
	})
})
