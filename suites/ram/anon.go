package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// The page table keeps an entry for poison that was mapped (make_hwpoison_entry):
// do_swap_page() turns it into VM_FAULT_HWPOISON, with the byte that is accessed.
var _ = describe("poison in anonymous memory", func() {
	// touched returns memory of a victim that has written one page of it.
	touched := func(ctx SpecContext) (*Victim, *Mapping) {
		v := StartGuest(ctx).Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		return v, m
	}

	It("causes SIGBUS on every load", poisons("anon/load", "E01", NeedsPageMap()), func(ctx SpecContext) {
		v, m := touched(ctx)
		advice := hwpoison(ctx, v, m)
		left := v.Present(ctx, m.At(at()))
		first := v.Load(ctx, m.At(at()))
		second := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(left).To(BeOutcome(Note("swap entry")))
		Expect(first).To(remembered())
		Expect(second).To(remembered())
	})

	It("causes SIGBUS on a store", poisons("anon/store", "E01"), func(ctx SpecContext) {
		v, m := touched(ctx)
		advice := hwpoison(ctx, v, m)
		store := v.Store(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(store).To(remembered())
	})

	// kill_proc sends BUS_MCEERR_AO unless action is required, as madvise(2) once did.
	It("causes SIGBUS at once with PR_MCE_KILL_EARLY, and again on a load", poisons("anon/early",
		"E02"), func(ctx SpecContext) {
		v, m := touched(ctx)
		v.KillEarly(ctx)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		page := At(m.At(Page(bad)))
		Expect(advice).To(DependOn(change.MadviseActionRequired,
			Before(SIGBUS(BUS_MCEERR_AO, PageLSB(), page, Returning(0))),
			After(SIGBUS(BUS_MCEERR_AR, PageLSB(), page, Returning(0)))))
		Expect(load).To(remembered())
	})

	// DAX reports poison to a second process by its bad block, RAM by the entry in each
	// page table.
	It("causes SIGBUS in a child whose parent injected it", poisons("anon/second-process",
		"E03"), func(ctx SpecContext) {
		v, m := touched(ctx)
		child := v.Fork(ctx, "child")
		advice := hwpoison(ctx, v, m)
		load := child.Load(ctx, m.At(at()))
		own := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(load).To(remembered())
		Expect(own).To(remembered())
	})

	// faultin_page() with FOLL_HWPOISON. DAX returns EFAULT here without its change.
	It("makes MADV_POPULATE_READ fail with EHWPOISON (EINVAL before v5.14)", poisons("anon/populate",
		"E27", Changes(change.MadvisePopulate)), func(ctx SpecContext) {
		v, m := touched(ctx)
		advice := hwpoison(ctx, v, m)
		populate := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_POPULATE_READ)
		Expect(advice).To(silentBefore(m))
		Expect(populate).To(DependOn(change.MadvisePopulate, Before(Errno("EINVAL")), After(Errno("EHWPOISON"))))
	})

	It("causes SIGBUS also if the memory is locked by mlock(2)", poisons("anon/locked", "E28"), func(ctx SpecContext) {
		v, m := touched(ctx)
		locked := v.Syscall(ctx, "mlock", m.At(0), 64*KiB)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		Expect(locked).To(BeOutcome(Returns(0)))
		Expect(advice).To(silentBefore(m))
		Expect(load).To(remembered())
	})

	// try_to_split_thp_page splits the huge page first.
	It("affects only one page of a transparent huge page, which is split", poisons("thp/load",
		"E09", Needs("TRANSPARENT_HUGEPAGE"), NeedsPageMap()), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.TransparentHugePages(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), 0)
		v.Madvise(ctx, m.At(0), HugePageBytes(), MADV_HUGEPAGE)
		v.Store(ctx, m.At(at())) // a page of zeros is another case: see thp/zeros
		v.Store(ctx, m.At(Page(bad+1)+5))
		before := v.Kind(ctx, m.At(Page(bad+1)))
		advice := hwpoison(ctx, v, m)
		after := v.Kind(ctx, m.At(Page(bad+1)))
		load := v.Load(ctx, m.At(at()))
		good := v.Load(ctx, m.At(Page(bad+1)+5))
		Expect(before).To(BeOutcome(Note("anonymous, huge")))
		Expect(advice).To(silentBefore(m))
		Expect(after).To(BeOutcome(Note("anonymous")))
		Expect(load).To(remembered())
		Expect(good).To(BeOutcome(Reads(0x5a)))
	})
})

var _ = describe("MADV_HWPOISON of a transparent huge page that cannot be split", func() {
	// A pipe pins the page by vmsplice(2), so that the kernel cannot isolate one small
	// page. It stays mapped on every kernel: a later load reads the data.
	It("sends SIGBUS with the size of the huge page since v6.11, and fails with EBUSY before", scenario(
		"thp/pinned", "E10",
		Needs("TRANSPARENT_HUGEPAGE"), NeedsPageMap(), Changes(change.ThpSplitSigbus)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.IgnoreInWitness(observe.WitnessLog, "thp split failed", "5.10 logs it a second time, with a different text")
		g.TransparentHugePages(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, HugePageBytes(), 0)
		v.Madvise(ctx, m.At(0), HugePageBytes(), MADV_HUGEPAGE)
		v.Store(ctx, m.At(at()))
		_, w := v.Pipe(ctx)
		pinned := v.Syscall(ctx, "vmsplice", w, Vec(m.At(Page(bad+1)), PageBytes()), 1, 0)
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		good := v.Load(ctx, m.At(Page(bad+1)+5))
		Expect(pinned).To(BeOutcome(Returns(PageBytes())))
		Expect(advice).To(DependOn(change.ThpSplitSigbus, Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Failing("EHWPOISON")))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(good).To(BeOutcome(Reads(0)))
	})
})

var _ = describe("secret memory (memfd_secret)", func() {
	// madvise(2) takes the page with get_user_pages(), which check_vma_flags refuses.
	It("cannot be poisoned: MADV_HWPOISON fails with EFAULT", scenario("secret/madvise", "E17",
		Needs("SECRETMEM")), func(ctx SpecContext) {
		v := StartGuest(ctx).Victim(ctx)
		m := v.MapSecret(ctx, 64*KiB)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(Errno("EFAULT")))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})
})

var _ = describe("soft offlining", func() {
	// User space may handle bad memory in another way, without migration of pages.
	It("can be disabled with vm.enable_soft_offline since v6.11", scenario("anon/soft-offline-forbidden", "E20",
		Needs("MIGRATION"), Changes(change.EnableSoftOffline)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		forbidden := g.WriteSysctl(ctx, "vm/enable_soft_offline", "0")
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_SOFT_OFFLINE)
		load := v.Load(ctx, m.At(at()))
		Expect(forbidden).To(DependOn(change.EnableSoftOffline, Before(Errno("ENOENT")), After(OK())))
		Expect(advice).To(DependOn(change.EnableSoftOffline, Before(Returns(0)), After(Errno("ENOTSUP"))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})
})
