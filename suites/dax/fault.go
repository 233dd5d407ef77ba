package dax

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// What a DAX fault on a bad block tells, before and after the change:
// dax_fault_return makes VM_FAULT_SIGBUS or VM_FAULT_HWPOISON of the driver's
// refusal. The fault path reports the very byte, and a page's size, even where
// a huge page was tried first.
var adrerr = Before(SIGBUS(BUS_ADRERR))

func mceerr() Side { return After(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// bad is the page that is made bad, and at is the byte of it that is accessed:
// not its first, so that an exact address and a page's are two things.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// on gives scenarios of a file system with DAX their ids and what they need.
func on(fs FS, follows ...change.Change) func(name, catalogue string, more ...Trait) []any {
	return func(name, catalogue string, more ...Trait) []any {
		if fs != Ext4 && catalogue >= "A01" && catalogue <= "A08" {
			more = append(more, Catalogue("A20"))
		}
		return Scenario("dax/"+string(fs)+"/"+name, append(more, Catalogue(catalogue), NeedsDAX(NFIT, fs), Changes(follows...))...)
	}
}

// mapped makes a file on a DAX file system and maps it. It is too small for a
// huge page to be tried.
func mapped(ctx SpecContext, g *Guest, fs FS, flags MapFlags) (*File, *Victim, *Mapping) {
	return mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 64*KiB), flags)
}

// mappedHuge makes and maps a file that a huge page can map.
func mappedHuge(ctx SpecContext, g *Guest, fs FS, flags MapFlags, options ...FileOption) (*File, *Victim, *Mapping) {
	return mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 2*MiB, append(options, HugeAligned())...), flags)
}

func mappedFile(ctx SpecContext, g *Guest, f *File, flags MapFlags) (*File, *Victim, *Mapping) {
	v := g.Victim(ctx)
	return f, v, v.Map(ctx, f, flags)
}

var _ = describe("a DAX fault on a bad block", func() {
	for _, fs := range []FS{Ext4, XFS, XFSReflink} {
		scenario := on(fs, change.DaxFaultHWPoison)
		Context("on "+string(fs), func() {
			It("tells a reader of a shared mapping", scenario("shared-read", "A01"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("tells a writer of a shared mapping", scenario("shared-write", "A02"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("tells a reader of a private mapping", scenario("private-read", "A03"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Private)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// do_cow_fault: the kernel can't get at the page to copy it.
			It("tells a writer of a private mapping who needs a copy", scenario("private-cow", "A04"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Private)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("tells a writer of a MAP_SYNC mapping", scenario("sync-write", "A06"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Sync)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The page is mapped read-only by the load; the store comes by pfn_mkwrite.
			It("tells a writer who has read the page before", scenario("mkwrite", "A07"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				before := v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				after := v.Store(ctx, m.At(at()))
				Expect(before).To(BeOutcome(Reads(Filled(bad))))
				Expect(after).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The 2 MiB attempt fails and falls back, so the payload says 4 KiB.
			It("tells a 4 KiB page where a huge page was possible", scenario("huge-bad", "A08", NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("tells the byte at the address that mremap moved it to", scenario("moved", "A26"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				to := v.MapAnonymous(ctx, 64*KiB, 0)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				v.Syscall(ctx, "mremap", m.At(0), 64*KiB, 64*KiB, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, to.At(0))
				Expect(v.Load(ctx, to.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// No huge page can be tried: the file's pages and the addresses are at odds.
			It("tells a 4 KiB page where the mapping rules a huge page out", scenario("huge-misaligned", "A27", NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 2*MiB, HugeAligned())
				v := g.Victim(ctx)
				m := v.MapPart(ctx, f, PageBytes(), 1*MiB, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()-PageBytes()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The list is the disk's, and the bus never heard of the block.
			It("is over when the device was taken from its driver and given back", scenario("rebound", "A25"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				first := v.Load(ctx, m.At(at()))
				v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
				v.Syscall(ctx, "close", m.FD())
				g.Mount(ctx, g.Rebind(ctx, f.Mount.Device), "dax")
				again := v.Load(ctx, v.Map(ctx, f, Shared).At(at()))
				Expect(first).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(again).To(BeOutcome(Reads(Filled(bad))))
			})

			// linear_dax_direct_access passes on what the driver below says.
			It("tells a reader through device mapper", scenario("dm-linear", "A22", Needs("BLK_DEV_DM")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.Mount(ctx, g.Mapper(ctx, "linear", "linear", g.Pmem(ctx, NFIT, fs)), "dax").File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The page was never brought into the second process, which therefore
			// faults on what the first one's poison left behind: the commit message.
			It("tells a second process after another met the poison", on(fs, change.DaxFaultHWPoison, change.CountedByAction)("second-process", "A16", Needs("MEMORY_FAILURE")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				second := g.Second(ctx)
				m2 := second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				first := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				other := second.Load(ctx, m2.At(at()))
				counted := g.HardwareCorrupted(ctx)
				Expect(first).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
				Expect(other).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(counted).To(DependOn(change.CountedByAction, Before(Says("0 kB")), After(Says("4 kB"))))
			})

			It("tells a child whose parent mapped the page and never touched it", scenario("fork-child", "A18"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				child := v.Fork(ctx, "child")
				Expect(child.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("tells who executes code from a private mapping", scenario("ifetch", "A12"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.MapCode(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Jump(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// Nothing is remembered of the first fault: the driver is asked again.
			It("tells a reader each time", scenario("shared-read-twice", "A19"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				first := v.Load(ctx, m.At(at()))
				second := v.Load(ctx, m.At(at()))
				Expect(first).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(second).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}
})

// The catalogue expected BUS_ADRERR of every kernel; 6.12.117 and 7.3.4 showed
// otherwise on ext4. ext4 marks the extent written before it zeroes the block,
// and does not undo that when zeroing fails (ext4_ext_convert_to_initialized,
// then ext4_issue_zeroout in ext4_map_blocks); so the second attempt skips the
// zeroing and asks the driver. XFS zeroes first (xfs_bmapi_convert_unwritten).
var _ = describe("a second attempt to write a bad block that was never written", func() {
	outcome := func(fs FS) *Expectation {
		if fs == Ext4 {
			return DependOn(change.DaxFaultHWPoison, adrerr, mceerr())
		}
		return BeOutcome(SIGBUS(BUS_ADRERR))
	}
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		if fs == Ext4 {
			scenario = on(fs, change.DaxFaultHWPoison)
		}
		Context("on "+string(fs), func() {
			// A huge page is tried first and falls back: the first attempt is the kernel's own.
			It("comes from the fallback of a huge page", scenario("huge-unwritten-write", "A14", NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs, Shared, Unwritten())
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(outcome(fs))
			})

			It("comes from a second store", scenario("unwritten-write-twice", "A14"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB, Unwritten())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				first := v.Store(ctx, m.At(at()))
				second := v.Store(ctx, m.At(at()))
				Expect(first).To(BeOutcome(SIGBUS(BUS_ADRERR)))
				Expect(second).To(outcome(fs))
			})
		})
	}
})

var _ = describe("a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		Context("on "+string(fs), func() {
			// dax_flush writes back what is mapped, and looks up no bad block.
			It("is written back by msync and fsync though it went bad after the store", scenario("dirty-sync", "B22"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				stored := v.Store(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				msync := v.Msync(ctx, m.At(Page(bad)), PageBytes())
				fsync := v.Syscall(ctx, "fsync", m.FD())
				Expect(stored).To(BeOutcome(OK()))
				Expect(msync).To(BeOutcome(Returns(0)))
				Expect(fsync).To(BeOutcome(Returns(0)))
			})

			It("is given out in 4 KiB where its huge page has a bad block elsewhere", scenario("huge-good", "A09", NeedsHugeDAX(), NeedsPageMap()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				load := v.Load(ctx, m.At(Page(bad+1)+5))
				neighbour := v.Present(ctx, m.At(Page(bad+2)))
				Expect(load).To(BeOutcome(Reads(Filled(bad + 1))))
				Expect(neighbour).To(BeOutcome(Says("absent")))
			})

			It("stays readable where it was mapped before its block went bad", scenario("mapped-then-bad", "A10"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(Filled(bad))))
			})

			It("stays readable where it was mapped as part of a huge page", scenario("huge-mapped-then-bad", "A10", NeedsHugeDAX(), NeedsPageMap()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs, Shared)
				v.Load(ctx, m.At(5))
				huge := v.Present(ctx, m.At(Page(bad)))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				load := v.Load(ctx, m.At(at()))
				Expect(huge).To(BeOutcome(Says("present")))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
			})

			// dax_load_hole comes before the driver is asked.
			It("reads as zeros where its bad block was never written", scenario("unwritten-read", "A13"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 64*KiB, Unwritten()), Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(0)))
			})

			// The file system zeroes the block first, and that write fails in the
			// block layer. The file is smaller than a huge page, so that the first
			// attempt is the only one: see huge-unwritten-write.
			It("cannot be written where its bad block was never written", scenario("unwritten-write", "A14"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB, Unwritten())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})

			It("beyond the end of the file is no poison", scenario("past-eof", "A15"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 16*KiB)
				v := g.Victim(ctx)
				m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
				Expect(v.Load(ctx, m.At(Page(8)+5))).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})

			// A device that is gone refuses with EIO, not with EHWPOISON.
			It("of a dead device is no poison", scenario("dead-device", "A28", Needs("BLK_DEV_DM")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				pmem := g.Pmem(ctx, NFIT, fs)
				f := g.Mount(ctx, g.Mapper(ctx, "dead", "linear", pmem), "dax").File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				alive := v.Load(ctx, m.At(5))
				g.Mapper(ctx, "dead", "error", pmem)
				dead := v.Load(ctx, m.At(at()))
				Expect(alive).To(BeOutcome(Reads(Filled(0))))
				Expect(dead).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})
		})
	}

	// dax_iomap_copy_around turns what the driver says of the shared block into EIO, as
	// for write(2), and dax_fault_return makes BUS_ADRERR of that, also with the change.
	It("tells a writer who needs a copy of a shared extent no poison, and a reader of it does", on(XFSReflink, change.DaxFaultHWPoison)("reflink-cow", "A21"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		mount := g.DAX(ctx, XFSReflink)
		f := mount.File(ctx, 64*KiB)
		v := g.Victim(ctx)
		clone := v.Map(ctx, mount.File(ctx, 64*KiB, Unwritten()), Shared)
		shares := v.Syscall(ctx, "ioctl", clone.FD(), unix.FICLONE, v.OpenFile(ctx, f))
		g.Inject(ctx, inject.BadBlock(f, Page(bad)))
		store := v.Store(ctx, clone.At(at()))
		load := v.Load(ctx, clone.At(at()))
		Expect(shares).To(BeOutcome(Returns(0)))
		Expect(store).To(BeOutcome(SIGBUS(BUS_ADRERR)))
		Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
	})

	// The comparison fails, and its caller is told of that or of its own progress. What
	// is said to be shared is not: it can still be read.
	It("can't be compared with one that is good", on(XFSReflink, change.DedupeErrorLost)("dedupe", "B21"), func(ctx SpecContext) {
		g := StartGuest(ctx)
		mount := g.DAX(ctx, XFSReflink)
		f, same := mount.File(ctx, 64*KiB), mount.File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, same, Shared)
		from, to := v.OpenFile(ctx, f), m.FD()
		good := v.Dedupe(ctx, from, to, PageBytes(), Page(bad+1))
		g.Inject(ctx, inject.BadBlock(f, Page(bad)))
		dedupe := v.Dedupe(ctx, from, to, PageBytes(), Page(bad))
		own := v.Load(ctx, m.At(at()))
		Expect(good).To(BeOutcome(Returns(PageBytes())))
		Expect(dedupe).To(DependOn(change.DedupeErrorLost, Before(Errno("EIO")), After(Returns(PageBytes()))))
		Expect(own).To(BeOutcome(Reads(Filled(bad))))
	})

	It("tells a reader on ext2", Scenario("dax/ext2/shared-read", Catalogue("A23"),
		Impossible("no kernel of Debian's has a driver of ext2 (CONFIG_EXT2_FS is not set in any of 5.10 to 7.3): ext4's takes it over (CONFIG_EXT4_USE_FOR_EXT2), and that one's faults dax/ext4 shows")), func(SpecContext) {})

	// dm-writecache claims the memory of its cache as a whole, and hands on what the
	// driver says of that.
	It("keeps a device from being a cache for device mapper", Scenario("dax/writecache", Catalogue("B23"), NeedsDisk(NFIT, Ext4), NeedsDisk(NFIT, XFS), Needs("FS_DAX", "BLK_DEV_DM", "DM_WRITECACHE"), Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		memory, origin := g.Pmem(ctx, NFIT, Ext4), g.Pmem(ctx, NFIT, XFS)
		good := g.WriteCache(ctx, memory, origin)
		g.Inject(ctx, inject.BadBlock(memory, Page(1000)))
		refused := g.WriteCache(ctx, memory, origin)
		Expect(good).To(BeOutcome(OK()))
		Expect(refused).To(DependOn(change.DaxFaultHWPoison, Before(Errno("EIO")), After(Errno("EHWPOISON"))))
	})

	for _, p := range []Provider{E820, Virtio} {
		It("is over when the page was written whole, on "+string(p), Scenario("dax/"+string(p)+"-ext4/mended",
			Catalogue("A24"), Changes(change.DaxFaultHWPoison, change.DaxRecoveryWrite), NeedsDAX(p, Ext4)),
			func(ctx SpecContext) {
				g := StartGuest(ctx)
				d := g.Pmem(ctx, p, Ext4)
				f := g.Mount(ctx, d, "dax").File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				first := v.Load(ctx, m.At(at()))
				wrote := v.Pwrite(ctx, m.FD(), PageBytes(), Page(bad))
				left := g.BadBlocks(ctx, d)
				again := v.Load(ctx, m.At(at()))
				Expect(first).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite, Before(Errno("EIO")), After(Returns(PageBytes()))).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON")))
				Expect(left).To(DependOn(change.DaxRecoveryWrite, Before(Says("8 sectors")), After(Says("none"))))
				Expect(again).To(DependOn(change.DaxRecoveryWrite, adrerr, After(Reads(0x5a))))
			})

		// These providers say that they cleared the block, so zeroing it works.
		It("can be written where zeroing clears its bad block, on "+string(p), Scenario("dax/"+string(p)+"-ext4/unwritten-write",
			Catalogue("A14e"), NeedsDAX(p, Ext4)),
			func(ctx SpecContext) {
				g := StartGuest(ctx)
				d := g.Pmem(ctx, p, Ext4)
				f := g.Mount(ctx, d, "dax").File(ctx, 64*KiB, Unwritten())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				store := v.Store(ctx, m.At(at()))
				left := g.BadBlocks(ctx, d)
				Expect(store).To(BeOutcome(OK()))
				Expect(left).To(BeOutcome(Says("none")))
			})
	}
})

// What the mail thread compares DAX with: the page cache of a block device.
var _ = describe("a page cache over a bad block", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := func(name, catalogue string) []any {
			return Scenario("pagecache/"+string(fs)+"/"+name, Catalogue(catalogue), NeedsDisk(NFIT, fs))
		}
		Context("on "+string(fs), func() {
			It("goes on serving a page that it holds", scenario("populated-then-bad", "E25"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(Filled(bad))))
			})

			// filemap_fault can't fill the page: VM_FAULT_SIGBUS, no poison.
			It("tells no poison where it can't be filled", scenario("unpopulated-bad", "E26"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})
		})
	}
})
