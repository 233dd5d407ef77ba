package dax

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// Poison of a DAX page without a bad block: only memory_failure() reports it. A fault
// relies on the driver, which lists no bad block.
var _ = describe("MADV_HWPOISON of a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := func(name, catalogue string, more ...Trait) []any {
			return on(fs)(name, catalogue, append(more, Needs("MEMORY_FAILURE"))...)
		}
		// XFS without rmapbt declines, and memory_failure() takes the generic path.
		number := map[FS]string{Ext4: "C01", XFS: "C08"}[fs]
		Context("on "+fs.Text(), func() {
			It("sends BUS_MCEERR_AR to the caller; the page, which has no bad block, can then be read again", scenario(
				"madvise", number, Changes(change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				_, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				load := v.Load(ctx, m.At(at()))
				Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			// memory_failure() signals the current task, not the one that mapped the page.
			It("sends BUS_MCEERR_AR to the calling thread only", scenario("madvise-thread", "S08",
				Changes(change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				_, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				thread := v.Thread(ctx)
				advice := thread.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				other := v.Idle(ctx)
				Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
				Expect(other).To(BeOutcome(OK()))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			It("reports si_addr_lsb 21 for a page in a huge page; since v6.15 si_addr is the start of the huge page", scenario(
				"madvise-huge", "C02",
				NeedsHugeDAX(), NeedsPageMap(), Changes(change.DaxFolios, change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				_, v, m := mappedHuge(ctx, g, fs)
				v.Load(ctx, m.At(5))
				huge := v.Present(ctx, m.At(Page(bad)))
				advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				Expect(huge).To(BeOutcome(Note("present")))
				Expect(advice).To(DependOn(change.DaxFolios,
					Before(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))),
					After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(0)), Returning(0)))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			// One process maps a small page of a huge page that another process maps whole. With
			// the change, the kernel looks for processes that map the first page of the folio.
			// The second process does not: it gets no signal and keeps the poison mapped. See
			// docs/evidence/findings.md.
			It("sends no SIGBUS since v6.15 if the caller maps only that page and another process the huge page", scenario(
				"madvise-tail", "C17",
				NeedsHugeDAX(), NeedsPageMap(), Changes(change.DaxFolios, change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs)
				v.Load(ctx, m.At(5))
				second := g.Second(ctx)
				tail := second.MapPart(ctx, f, Page(bad), PageBytes(), Shared)
				second.Load(ctx, tail.At(5))
				huge := v.Present(ctx, m.At(Page(bad)))
				advice := second.Madvise(ctx, tail.At(0), PageBytes(), MADV_HWPOISON)
				left := second.Present(ctx, tail.At(0))
				Expect(huge).To(BeOutcome(Note("present")))
				Expect(advice).To(DependOn(change.DaxFolios,
					Before(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(tail.At(0)), Returning(0))),
					After(Returns(0))))
				Expect(left).To(DependOn(change.DaxFolios, Before(Note("absent")), After(Note("present"))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			It("sends no SIGBUS to a second process that maps the page", scenario("madvise-second", "C03",
				Changes(change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				second := g.Second(ctx)
				m2 := second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				second.Load(ctx, m2.At(at()))
				v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				idle := second.Idle(ctx)
				load := second.Load(ctx, m2.At(at()))
				Expect(idle).To(BeOutcome(OK()))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			It("sends BUS_MCEERR_AO to a second process with PR_MCE_KILL_EARLY since v5.12", scenario(
				"madvise-second-early", "C04",
				Changes(change.KillEarlyOnConsumption, change.CountedByAction)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				second := g.Second(ctx)
				m2 := second.Map(ctx, f, Shared)
				second.KillEarly(ctx)
				v.Load(ctx, m.At(at()))
				second.Load(ctx, m2.At(at()))
				v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				Expect(second.Idle(ctx)).To(DependOn(change.KillEarlyOnConsumption, Before(OK()),
					After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m2.At(Page(bad)))))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			// The copy is anonymous memory.
			It("poisons only the copy, if a private mapping has made one", scenario("madvise-private-copy", "C16",
				Changes(change.MadviseActionRequired)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Private)
				shared := v.Map(ctx, f, Shared)
				v.Store(ctx, m.At(at()))
				advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				load := v.Load(ctx, m.At(at()))
				file := v.Load(ctx, shared.At(at()))
				Expect(advice).To(DependOn(change.MadviseActionRequired, Before(Returns(0)),
					After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0)))))
				Expect(load).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
				Expect(file).To(BeOutcome(Reads(Filled(bad))))
			})

			// Stable updates have the EIO too, so that 5.10.262 shows it, and 6.12.43 does not.
			It("cannot be undone with unpoison-pfn: EIO since v6.17, EBUSY before, and success before v5.17", scenario(
				"unpoison", "C11", NeedsPageMap(), Needs("HWPOISON_INJECT", "DEBUG_FS"),
				Changes(change.CountedByAction, change.UnpoisonOnline, change.UnpoisonPageCount)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				back := g.InjectMayFail(ctx, inject.UnpoisonPFN(f.Frame(Page(bad))))
				load := v.Load(ctx, m.At(at()))
				Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
				Expect(back).To(DependOn(change.UnpoisonOnline, Before(Errno("EBUSY")), After(Errno("EIO"))).
					IfMissing(change.UnpoisonPageCount, OK()))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
				Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})
		})
	}
})

var _ = describe("MADV_SOFT_OFFLINE of a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			// The page does not come from the buddy allocator, so it cannot be migrated.
			It("fails with EIO, and the page can still be read", on(fs)("soft-offline", "C10",
				Needs("MEMORY_FAILURE")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				_, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_SOFT_OFFLINE)
				load := v.Load(ctx, m.At(at()))
				Expect(advice).To(BeOutcome(Errno("EIO")))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
			})
		})
	}
})

var _ = describe("the hwpoison flag of a DAX page", func() {
	// pmem_mkpage_present() clears the flag, which has no other visible effect. The page
	// still counts as lost.
	It("is cleared with its bad block by pwrite(2) of the whole page since v5.19", Scenario(
		"dax/virtio-ext4/poison-mended", Catalogue("C18"), NeedsDAX(Virtio, Ext4),
		Needs("MEMORY_FAILURE", "SPARSEMEM_VMEMMAP", "PROC_KCORE"),
		Changes(change.DaxRecoveryWrite, change.CountedByAction, change.DaxFaultHWPoison)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		mount := g.Mount(ctx, g.Pmem(ctx, Virtio, Ext4), "dax")
		f := mount.File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Load(ctx, m.At(at()))
		frame := f.Frame(Page(bad))
		before := g.HWPoison(ctx, frame)
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		poisoned := g.HWPoison(ctx, frame)
		g.Inject(ctx, inject.BadBlock(f, Page(bad)))
		wrote := v.Pwrite(ctx, m.FD(), PageBytes(), Page(bad))
		rewritten := g.HWPoison(ctx, frame)
		left := g.BadBlocks(ctx, mount.Device)
		counted := g.HardwareCorrupted(ctx)
		Expect(before).To(BeOutcome(Note("no hwpoison")))
		Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
		Expect(poisoned).To(BeOutcome(Note("hwpoison")))
		Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
			Before(Errno("EIO")),
			After(Returns(PageBytes()))).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON")))
		Expect(rewritten).To(DependOn(change.DaxRecoveryWrite, Before(Note("hwpoison")), After(Note("no hwpoison"))))
		Expect(left).To(DependOn(change.DaxRecoveryWrite, Before(Note("8 sectors")), After(Note("none"))))
		Expect(counted).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
	})
})

// XFS with a reverse map (rmapbt) looks up the file and the offset of a block, and signals
// the processes that map them (xfs_dax_notify_failure, mf_dax_kill_procs).
var _ = describe("MADV_HWPOISON of a DAX page on XFS with rmapbt", func() {
	It("sends BUS_MCEERR_AR to the caller; the page can then be read again", on(XFSReflink)("reverse-mapped", "C07",
		Needs("MEMORY_FAILURE")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		_, v, m := mapped(ctx, g, XFSReflink, Shared)
		v.Load(ctx, m.At(at()))
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
		Expect(load).To(BeOutcome(Reads(Filled(bad))))
	})

	It("reports the page's own address, with si_addr_lsb 21, if it is mapped as part of a huge page", on(XFSReflink)(
		"reverse-mapped-huge", "C07", Needs("MEMORY_FAILURE"), NeedsHugeDAX(), NeedsPageMap()), func(ctx SpecContext) {
		g := StartGuest(ctx)
		_, v, m := mappedHuge(ctx, g, XFSReflink)
		v.Load(ctx, m.At(5))
		huge := v.Present(ctx, m.At(Page(bad)))
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		Expect(huge).To(BeOutcome(Note("present")))
		Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))))
	})
})

var _ = describe("poisoning the superblock page (corrupt-pfn)", func() {
	It("shuts down an XFS with rmapbt", on(XFSReflink)("metadata", "C09",
		Needs("MEMORY_FAILURE", "HWPOISON_INJECT", "DEBUG_FS")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		mount := g.DAX(ctx, XFSReflink)
		f := mount.File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		before := v.Load(ctx, m.At(5))
		injected := g.InjectMayFail(ctx, inject.CorruptPFN(g.Frame(mount.Device, 0), inject.Filter{})) // the superblock
		mapped := v.Load(ctx, m.At(5))
		fault := v.Load(ctx, m.At(at()))
		read := v.Pread(ctx, m.FD(), PageBytes(), 0)
		Expect(before).To(BeOutcome(Reads(Filled(0))))
		Expect(injected).To(BeOutcome(Errno("EFSCORRUPTED")))
		Expect(mapped).To(BeOutcome(Reads(Filled(0))))
		Expect(fault).To(BeOutcome(SIGBUS(BUS_ADRERR)))
		Expect(read).To(BeOutcome(Errno("EIO")))
	})
})

var _ = describe("copy-on-write of a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			// The kernel copies from the mapping, without a call of the driver.
			It("succeeds after its block became bad, if the private mapping has read the page before", on(fs)(
				"private-late-cow", "A05"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Private)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				store := v.Store(ctx, m.At(at()))
				copied := v.Load(ctx, m.At(at()+1))
				Expect(store).To(BeOutcome(OK()))
				Expect(copied).To(BeOutcome(Reads(Filled(bad))))
			})
		})
	}
})

var _ = describe("one bad sector in a DAX file", func() {
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			It("makes its whole page inaccessible", on(fs, change.DaxFaultHWPoison)("one-sector",
				"A11"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadSectors(f, Page(bad)+3*512, 1))
				first := v.Load(ctx, m.At(Page(bad)))
				last := v.Load(ctx, m.At(Page(bad+1)-1))
				Expect(first).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(last).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}
})
