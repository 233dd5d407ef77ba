package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// What becomes of the entry that poison left in a page table, and what system calls report
// that meet it.
var _ = describe("the page table entry of poisoned anonymous memory", func() {
	// poisoned returns memory of a victim with a poisoned page.
	poisoned := func(ctx SpecContext) (*Guest, *Victim, *Mapping, *Observation) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		return g, v, m, hwpoison(ctx, v, m)
	}
	page := func(m *Mapping) Addr { return m.At(Page(bad)) }

	It("moves with mremap(2): a load at the new address causes SIGBUS", poisons(
		"entry/mremap", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		to := v.MapAnonymous(ctx, PageBytes(), 0)
		moved := v.MoveTo(ctx, page(m), PageBytes(), to)
		load := v.Load(ctx, to.At(5))
		Expect(advice).To(silentBefore(m))
		Expect(moved).To(BeOutcome(OK()))
		Expect(load).To(remembered())
	})

	It("is reported as resident by mincore(2)", poisons("entry/mincore", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		resident := v.InCore(ctx, page(m))
		never := v.InCore(ctx, m.At(Page(bad+2)))
		Expect(advice).To(silentBefore(m))
		Expect(resident).To(BeOutcome(Note("resident")))
		Expect(never).To(BeOutcome(Note("not resident")))
	})

	It("is reported by move_pages(2) with ENOENT, as if nothing was mapped", poisons(
		"entry/move-pages", "T17", Needs("NUMA", "MIGRATION")), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		node := v.Node(ctx, page(m))
		Expect(advice).To(silentBefore(m))
		Expect(node).To(BeOutcome(Note("ENOENT")))
	})

	It("makes process_vm_readv(2) of another process fail with EFAULT", poisons(
		"entry/process-read", "T17"), func(ctx SpecContext) {
		g, v, m, advice := poisoned(ctx)
		second := g.Second(ctx)
		to := second.MapAnonymous(ctx, PageBytes(), 0)
		read := second.Syscall(ctx, "process_vm_readv", v, Vec(to.At(0), 8), 1, Vec(page(m), 8), 1, 0)
		Expect(advice).To(silentBefore(m))
		Expect(read).To(BeOutcome(Errno("EFAULT")))
	})

	It("makes write(2) from the page fail with EFAULT", poisons("entry/write", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		_, w := v.Pipe(ctx)
		wrote := v.Syscall(ctx, "write", w, page(m), 8)
		Expect(advice).To(silentBefore(m))
		Expect(wrote).To(BeOutcome(Errno("EFAULT")))
	})

	It("makes read(2) into the page fail with EFAULT", poisons("entry/read", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		r, w := v.Pipe(ctx)
		v.Syscall(ctx, "write", w, []byte("12345678"), 8)
		read := v.Syscall(ctx, "read", r, page(m), 8)
		Expect(advice).To(silentBefore(m))
		Expect(read).To(BeOutcome(Errno("EFAULT")))
	})

	It("makes vmsplice(2) of the page fail with EFAULT", poisons("entry/vmsplice", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		_, w := v.Pipe(ctx)
		spliced := v.Syscall(ctx, "vmsplice", w, Vec(page(m), 8), 1, 0)
		Expect(advice).To(silentBefore(m))
		Expect(spliced).To(BeOutcome(Errno("EFAULT")))
	})

	// mlock(2) reports every error of faulting in but EAGAIN as ENOMEM (__mlock_posix_error_return).
	It("makes mlock(2) of the page fail with ENOMEM", poisons("entry/mlock", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		locked := v.Syscall(ctx, "mlock", page(m), PageBytes())
		Expect(advice).To(silentBefore(m))
		Expect(locked).To(BeOutcome(Errno("ENOMEM")))
	})

	It("is replaced by a new page of zeros after MADV_DONTNEED", poisons("entry/dontneed", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		dropped := v.Madvise(ctx, page(m), PageBytes(), MADV_DONTNEED)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(dropped).To(BeOutcome(Returns(0)))
		Expect(load).To(BeOutcome(Reads(0)))
	})

	It("is replaced by a new page of zeros after MADV_FREE since v5.19; before, it stays", poisons("entry/free", "T17",
		Changes(change.MadviseFreePoison)), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		freed := v.Madvise(ctx, page(m), PageBytes(), MADV_FREE)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(freed).To(BeOutcome(Returns(0)))
		Expect(load).To(DependOn(change.MadviseFreePoison, Before(SIGBUS(BUS_MCEERR_AR, PageLSB())), After(Reads(0))))
	})

	It("stays after MADV_PAGEOUT", poisons("entry/pageout", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		out := v.Madvise(ctx, page(m), PageBytes(), MADV_PAGEOUT)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(out).To(BeOutcome(Returns(0)))
		Expect(load).To(remembered())
	})

	It("stays while mprotect(2) forbids access and allows it again", poisons(
		"entry/mprotect", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		forbidden := v.Syscall(ctx, "mprotect", page(m), PageBytes(), unix.PROT_NONE)
		allowed := v.Syscall(ctx, "mprotect", page(m), PageBytes(), unix.PROT_READ|unix.PROT_WRITE)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(forbidden).To(BeOutcome(Returns(0)))
		Expect(allowed).To(BeOutcome(Returns(0)))
		Expect(load).To(remembered())
	})

	// get_user_pages() finds no page, and reports EHWPOISON only with FOLL_HWPOISON.
	It("makes MADV_HWPOISON of the page fail with EFAULT", poisons("entry/poison-again", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		again := hwpoison(ctx, v, m)
		Expect(advice).To(silentBefore(m))
		Expect(again).To(BeOutcome(Errno("EFAULT")))
	})

	It("makes MADV_SOFT_OFFLINE of the page fail with EFAULT", poisons(
		"entry/soft-offline", "T17"), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		again := v.Madvise(ctx, page(m), PageBytes(), MADV_SOFT_OFFLINE)
		Expect(advice).To(silentBefore(m))
		Expect(again).To(BeOutcome(Errno("EFAULT")))
	})

	It("is replaced by MADV_GUARD_INSTALL, which v6.13 introduced", poisons(
		"entry/guard", "T17", Changes(change.MadviseGuard)), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		guard := v.Madvise(ctx, page(m), PageBytes(), MADV_GUARD_INSTALL)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(guard).To(DependOn(change.MadviseGuard, Before(Errno("EINVAL")), After(Returns(0))))
		Expect(load).To(DependOn(change.MadviseGuard, Before(SIGBUS(BUS_MCEERR_AR, PageLSB())), After(SIGSEGV())))
	})

	// Before v6.8 the ioctl is not known.
	It("cannot be moved by UFFDIO_MOVE, which v6.8 introduced", poisons("entry/userfaultfd-move", "T17",
		Needs("USERFAULTFD"), Changes(change.UserfaultfdMove)), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		v.Store(ctx, m.At(Page(bad+1)+5))
		to := v.MapAnonymous(ctx, 64*KiB, 0)
		fd := v.Userfaultfd(ctx, UFFD_FEATURE_SIGBUS)
		v.Register(ctx, fd, to.At(0), to.Bytes)
		moved := v.MovePages(ctx, fd, to.At(0), page(m), PageBytes())
		good := v.MovePages(ctx, fd, to.At(PageBytes()), m.At(Page(bad+1)), PageBytes())
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(good).To(DependOn(change.UserfaultfdMove, Before(Errno("EINVAL")), After(Returns(0))))
		Expect(moved).To(DependOn(change.UserfaultfdMove, Before(Errno("EINVAL")), After(Errno("EFAULT"))))
		Expect(load).To(remembered())
	})

	It("is reported by PAGEMAP_SCAN, which v6.7 introduced, as swapped", poisons("entry/pagemap-scan", "T17",
		Needs("PROC_PAGE_MONITOR"), Changes(change.PagemapScan)), func(ctx SpecContext) {
		_, v, m, advice := poisoned(ctx)
		v.Store(ctx, m.At(Page(bad+1)+5))
		answer := v.MapAnonymous(ctx, PageBytes(), 0)
		v.Store(ctx, answer.At(0))
		scan := v.Scan(ctx, page(m), answer.At(0))
		good := v.Scan(ctx, m.At(Page(bad+1)), answer.At(0))
		Expect(advice).To(silentBefore(m))
		Expect(good).To(DependOn(change.PagemapScan, Before(Errno("ENOTTY")), After(Note("present"))))
		Expect(scan).To(DependOn(change.PagemapScan, Before(Errno("ENOTTY")), After(Note("swapped"))))
	})

	It("is ignored by process_madvise(2) of another process", poisons(
		"entry/process-madvise", "T17"), func(ctx SpecContext) {
		g, v, m, advice := poisoned(ctx)
		second := g.Second(ctx)
		fd := second.PIDFD(ctx, v)
		const cold = 20
		out := second.Syscall(ctx, "process_madvise", fd, Vec(page(m), PageBytes()), 1, cold, 0)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(out).To(BeOutcome(Returns(PageBytes())))
		Expect(load).To(remembered())
	})

	// A good range shows that the kernel has the operation and can collapse here.
	It("prevents MADV_COLLAPSE, which v6.1 introduced: it fails with EINVAL", poisons(
		"entry/collapse", "T17", Needs("TRANSPARENT_HUGEPAGE"), Changes(change.MadviseCollapse)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.TransparentHugePages(ctx)
		v := g.Victim(ctx)
		good := v.MapAnonymous(ctx, HugePageBytes(), 0)
		v.Store(ctx, good.At(at()))
		possible := v.Madvise(ctx, good.At(0), HugePageBytes(), MADV_COLLAPSE)
		m := v.MapAnonymous(ctx, HugePageBytes(), 0)
		v.Store(ctx, m.At(at()))
		v.Store(ctx, m.At(Page(bad+1)+5))
		advice := hwpoison(ctx, v, m)
		collapsed := v.Madvise(ctx, m.At(0), HugePageBytes(), MADV_COLLAPSE)
		load := v.Load(ctx, m.At(at()))
		Expect(possible).To(DependOn(change.MadviseCollapse, Before(Errno("EINVAL")), After(Returns(0))))
		Expect(advice).To(silentBefore(m))
		Expect(collapsed).To(BeOutcome(Errno("EINVAL")))
		Expect(load).To(remembered())
	})
})
