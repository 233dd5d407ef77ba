package dax

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// The outcome of a DAX fault on a bad block without and with the change:
// dax_fault_return turns the driver's error into VM_FAULT_SIGBUS or
// VM_FAULT_HWPOISON. The fault path reports the exact byte and the size of a page,
// even if it tried a huge page first.
var adrerr = Before(SIGBUS(BUS_ADRERR))

func mceerr() Side { return After(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// bad is the page whose block becomes bad, and at is the offset that is accessed: not
// the first byte of the page, so that an exact address differs from a page's.
const bad = 4

// alsoA20 are the numbers of the catalogue that A20 repeats on XFS.
var alsoA20 = map[string]bool{
	"A01": true, "A02": true, "A03": true, "A04": true, "A05": true, "A06": true, "A07": true, "A08": true,
}

func at() int64 { return Page(bad) + 5 }

// on adds the prefix of the id and the needs to scenarios of a file system with DAX.
func on(fs FS, follows ...change.Change) func(name, catalogue string, more ...Trait) []any {
	return func(name, catalogue string, more ...Trait) []any {
		if fs != Ext4 && alsoA20[catalogue] {
			more = append(more, Catalogue("A20"))
		}
		return Scenario(
			"dax/"+string(fs)+"/"+name,
			append(more, Catalogue(catalogue), NeedsDAX(NFIT, fs), Changes(follows...))...)
	}
}

// mapped creates a file on a DAX file system and maps it. The file is too small for a
// huge page.
func mapped(ctx SpecContext, g *Guest, fs FS, flags MapFlags) (*File, *Victim, *Mapping) {
	return mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 64*KiB), flags)
}

// mappedHuge creates a file that fits a huge page, and a shared mapping of it.
func mappedHuge(ctx SpecContext, g *Guest, fs FS, options ...FileOption) (*File, *Victim, *Mapping) {
	return mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 2*MiB, append(options, HugeAligned())...), Shared)
}

func mappedFile(ctx SpecContext, g *Guest, f *File, flags MapFlags) (*File, *Victim, *Mapping) {
	v := g.Victim(ctx)
	return f, v, v.Map(ctx, f, flags)
}

var _ = describe("a DAX fault on a bad block", func() {
	for _, fs := range []FS{Ext4, XFS, XFSReflink} {
		scenario := on(fs, change.DaxFaultHWPoison)
		Context("on "+fs.Text(), func() {
			DescribeTable("delivers SIGBUS",
				func(ctx SpecContext, flags MapFlags, access func(*Victim, context.Context, Addr) *Observation) {
					g := StartGuest(ctx)
					f, v, m := mapped(ctx, g, fs, flags)
					g.Inject(ctx, inject.BadBlock(f, Page(bad)))
					Expect(access(v, ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				},
				Entry("to a reader of a shared mapping", scenario("shared-read", "A01"), Shared, (*Victim).Load),
				Entry("to a writer of a shared mapping", scenario("shared-write", "A02"), Shared, (*Victim).Store),
				Entry("to a reader of a private mapping", scenario("private-read", "A03"), Private, (*Victim).Load),
				// do_cow_fault: the kernel cannot access the page to copy it.
				Entry("on copy-on-write in a private mapping", scenario("private-cow", "A04"), Private, (*Victim).Store),
				Entry("to a writer of a MAP_SYNC mapping", scenario("sync-write", "A06"), Sync, (*Victim).Store),
			)

			// The load maps the page read-only; the store takes the pfn_mkwrite path.
			It("delivers SIGBUS to a writer that has read the page before", scenario("mkwrite", "A07"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				before := v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				after := v.Store(ctx, m.At(at()))
				Expect(before).To(BeOutcome(Reads(Filled(bad))))
				Expect(after).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The 2 MiB attempt fails and falls back, so the signal reports 4 KiB.
			It("delivers SIGBUS where a huge page was possible; since v6.5 with the si_addr_lsb of a 4 KiB page", scenario(
				"huge-bad", "A08", NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("reports the exact address after mremap(2) moved the mapping", scenario("moved", "A26"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				to := v.MapAnonymous(ctx, 64*KiB, 0)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				v.Syscall(ctx, "mremap", m.At(0), 64*KiB, 64*KiB, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, to.At(0))
				Expect(v.Load(ctx, to.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// File offset and address have different alignments, so the kernel tries no huge page.
			It("delivers SIGBUS to a reader of a mapping whose alignment rules out a huge page", scenario(
				"huge-misaligned", "A27", NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 2*MiB, HugeAligned())
				v := g.Victim(ctx)
				m := v.MapPart(ctx, f, PageBytes(), 1*MiB, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()-PageBytes()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// Only the disk lists the block; the bus does not.
			It("delivers SIGBUS until the device is bound again and drops the block, added through sysfs", scenario(
				"rebound", "A25"), func(ctx SpecContext) {
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

			// linear_dax_direct_access returns the error of the underlying driver.
			It("delivers SIGBUS to a reader through device mapper (dm-linear)", scenario("dm-linear",
				"A22", Needs("BLK_DEV_DM")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.Mount(ctx, g.Mapper(ctx, "linear", "linear", g.Pmem(ctx, NFIT, fs)), "dax").File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The case of the commit message: the second process has not accessed the page
			// yet, and so it faults on the bad block that the first one's poison left.
			It("delivers SIGBUS to a second process after MADV_HWPOISON of the page by the first one", on(fs,
				change.DaxFaultHWPoison, change.CountedByAction)("second-process", "A16",
				Needs("MEMORY_FAILURE")), func(ctx SpecContext) {
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
				Expect(counted).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
			})

			It("delivers SIGBUS to a child whose parent mapped but never accessed the page", scenario("fork-child",
				"A18"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				child := v.Fork(ctx, "child")
				Expect(child.Load(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("delivers SIGBUS on an instruction fetch from a private mapping", scenario("ifetch",
				"A12"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.MapCode(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Jump(ctx, m.At(at()))).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The first fault leaves no state: the kernel calls the driver again.
			It("delivers SIGBUS on every load", scenario("shared-read-twice", "A19"), func(ctx SpecContext) {
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

	It("on ext2 delivers SIGBUS to a reader of a shared mapping", Scenario("dax/ext2/shared-read", Catalogue("A23"),
		Impossible("no Debian kernel has the ext2 driver (CONFIG_EXT2_FS is not set in any of 5.10 to 7.3): the ext4 driver "+
			"handles ext2 (CONFIG_EXT4_USE_FOR_EXT2), and dax/ext4 covers its faults")), func(SpecContext) {})
})

// The catalogue expected BUS_ADRERR of every kernel; 6.12.117 and 7.3.4 behave
// differently on ext4. ext4 marks the extent as written before it zeroes the block,
// and does not undo that when zeroing fails (ext4_ext_convert_to_initialized,
// then ext4_issue_zeroout in ext4_map_blocks); so the second attempt skips the
// zeroing and calls the driver. XFS zeroes first (xfs_bmapi_convert_unwritten).
var _ = describe("a store to an unwritten extent over a bad block", func() {
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
		Context("on "+fs.Text(), func() {
			// The file system zeroes the block first, and that write fails in the block
			// layer. The file is smaller than a huge page, so that there is only one
			// attempt: see huge-unwritten-write.
			It("gets BUS_ADRERR, because zeroing the block fails", on(fs)("unwritten-write", "A14"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB, Unwritten())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})

			// The kernel tries a huge page first: the first attempt is its own.
			It("gets SIGBUS after the fallback from a huge page", scenario("huge-unwritten-write", "A14",
				NeedsHugeDAX()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs, Unwritten())
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Store(ctx, m.At(at()))).To(outcome(fs))
			})

			retried := map[FS]string{Ext4: "BUS_MCEERR_AR since v6.5", XFS: "BUS_ADRERR again"}[fs]
			It("gets BUS_ADRERR, and when it is retried "+retried, scenario(
				"unwritten-write-twice", "A14"), func(ctx SpecContext) {
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

	// These providers report that they cleared the block, so zeroing it works.
	for _, p := range []Provider{E820, Virtio} {
		It("on "+string(p)+" pmem succeeds, because zeroing clears the block", Scenario(
			"dax/"+string(p)+"-ext4/unwritten-write",
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
				Expect(left).To(BeOutcome(Note("none")))
			})
	}
})
