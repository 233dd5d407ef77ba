package syscalls

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// bad is the page whose block becomes bad.
const bad = 4

// leaked is the result of a system call on a kernel with an incomplete DaxFaultHWPoison:
// the driver's errno reaches user space.
var leaked = Errno("EHWPOISON")

var _ = describe("with a bad block in a DAX file", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := func(name, catalogue string, more ...Trait) []any {
			return Scenario(
				"dax/"+string(fs)+"/"+name,
				append(more, Catalogue(catalogue), NeedsDAX(NFIT, fs), Changes(change.DaxFaultHWPoison))...)
		}
		Context("on "+fs.Text()+",", func() {
			// dax_mem2blk_err keeps EHWPOISON from leaking out of read(2).
			It("pread(2) fails with EIO", scenario("pread", "B01"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				fd := v.OpenFile(ctx, f)
				good := v.Pread(ctx, fd, PageBytes(), Page(bad))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(good).To(BeOutcome(ReturnsFull(PageBytes(), Filled(bad))))
				Expect(v.Pread(ctx, fd, PageBytes(), Page(bad))).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			It("a read through io_uring fails with EIO", scenario("io-uring-read",
				"B19", Needs("IO_URING")), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				fd := v.OpenFile(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				good := v.RingRead(ctx, fd, PageBytes(), Page(bad+1))
				read := v.RingRead(ctx, fd, PageBytes(), Page(bad))
				Expect(good).To(BeOutcome(Returns(PageBytes())))
				Expect(read).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			// The kernel asks the driver for the whole span, so it returns no good byte before
			// the bad page.
			It("pread(2) of the bad page and the page before it fails with EIO, and returns no data", scenario("pread-span",
				"B02"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				fd := v.OpenFile(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				got := v.Pread(ctx, fd, 2*PageBytes(), Page(bad-1))
				Expect(got).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, leaked))
			})

			// QEMU's nvdimm cannot clear the block: pmem_recovery_write copies nothing.
			It("pwrite(2) of the whole bad page fails: EIO before v5.19, EFAULT since; the block stays bad", scenario(
				"pwrite", "B03", Changes(change.DaxRecoveryWrite)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v := g.Victim(ctx)
				fd := v.OpenFile(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				wrote := v.Pwrite(ctx, fd, PageBytes(), Page(bad))
				left := g.BadBlocks(ctx, mount.Device)
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(Errno("EFAULT"))).PartOf(change.DaxFaultHWPoison, leaked))
				Expect(left).To(BeOutcome(Note("8 sectors")))
			})
		})
	}

	for _, p := range []Provider{E820, Virtio} {
		It("on "+string(p)+" pmem, pwrite(2) of the whole page clears the bad block since v5.19 (EIO before)", Scenario(
			"dax/"+string(p)+"-ext4/pwrite",
			Catalogue("B03e"), Changes(change.DaxRecoveryWrite, change.DaxFaultHWPoison), NeedsDAX(p, Ext4)),
			func(ctx SpecContext) {
				g := StartGuest(ctx)
				d := g.Pmem(ctx, p, Ext4)
				f := g.Mount(ctx, d, "dax").File(ctx, 64*KiB)
				v := g.Victim(ctx)
				fd := v.OpenFile(ctx, f)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				wrote := v.Pwrite(ctx, fd, PageBytes(), Page(bad))
				left := g.BadBlocks(ctx, d)
				read := v.Pread(ctx, fd, PageBytes(), Page(bad))
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(Returns(PageBytes()))).PartOf(change.DaxFaultHWPoison, leaked))
				Expect(left).To(DependOn(change.DaxRecoveryWrite, Before(Note("8 sectors")), After(Note("none"))))
				Expect(read).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(ReturnsFull(PageBytes(), 0x5a))).PartOf(change.DaxFaultHWPoison, leaked))
			})
	}
})

var _ = describe("a read through the page cache", func() {
	It("of the block device itself fails with EIO over a bad block", Scenario("blockdev/pmem/pread",
		Catalogue("B24"), NeedsDisk(NFIT, Ext4)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Unmount(ctx, d)
		v := g.Victim(ctx)
		fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_RDONLY)
		g.Inject(ctx, inject.BadBlock(d, Page(1024)))
		Expect(v.Pread(ctx, fd, PageBytes(), Page(1024))).To(BeOutcome(Errno("EIO")))
	})

	// The kernel stores a long range as many short ones. Kernels before v6.8 store them in
	// reverse order and then do not find them (badblocks_set, badblocks_check). Not in the
	// catalogue; seen on 5.10.262 and 6.1.192.
	It("fails with EIO within a long range of bad blocks since v6.8 (succeeds before)", Scenario(
		"blockdev/pmem/pread-long-range",
		Catalogue("B24"), NeedsDisk(NFIT, Ext4), Changes(change.BadblocksSorted)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Unmount(ctx, d)
		v := g.Victim(ctx)
		fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_RDONLY)
		g.Inject(ctx, inject.BadSectors(d, Page(15*1024), 4*MiB/512))
		read := v.Pread(ctx, fd, PageBytes(), Page(15*1024+500))
		Expect(read).To(DependOn(change.BadblocksSorted, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
	})

	// The table of a disk has room for 512 ranges (MAX_BADBLOCKS).
	It("fails with EIO at both ends of 512 bad ranges; a further range is refused with ENOSPC", Scenario(
		"blockdev/pmem/table-full",
		Catalogue("T03"), NeedsDisk(NFIT, Ext4)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Unmount(ctx, d)
		v := g.Victim(ctx)
		fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_RDONLY)
		g.Inject(ctx, inject.BadSectorsApart(d, Page(15*1024), 512))
		further := g.InjectMayFail(ctx, inject.BadSectors(d, Page(16*1024), 1))
		first := v.Pread(ctx, fd, PageBytes(), Page(15*1024))
		last := v.Pread(ctx, fd, PageBytes(), Page(15*1024)+1020*512)
		beyond := v.Pread(ctx, fd, PageBytes(), Page(16*1024))
		Expect(further).To(BeOutcome(Errno("ENOSPC")))
		Expect(first).To(BeOutcome(Errno("EIO")))
		Expect(last).To(BeOutcome(Errno("EIO")))
		Expect(beyond).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})

	// In a table that is full, a range that contains the last two. Before v6.15 the
	// kernel lists a part of it and reports success: 2000 to 2210 before v6.8, 2100 to 2500
	// since (badblocks_set, _badblocks_set).
	It("of a range around others in a full table: refused since v6.15, a part is listed before", Scenario(
		"blockdev/pmem/table-replace", Catalogue("T03"), NeedsDisk(NFIT, Ext4),
		Changes(change.BadblocksSorted, change.BadblocksFull)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Unmount(ctx, d)
		v := g.Victim(ctx)
		fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_RDONLY)
		sector := func(n int64) int64 { return Page(15*1024) + n*512 }
		g.Inject(ctx, inject.BadSectorsApart(d, sector(0), 510))
		g.Inject(ctx, inject.BadSectors(d, sector(2100), 10))
		g.Inject(ctx, inject.BadSectors(d, sector(2200), 10))
		around := g.InjectMayFail(ctx, inject.BadSectors(d, sector(2000), 500))
		first := v.Pread(ctx, fd, PageBytes(), sector(2000))
		between := v.Pread(ctx, fd, PageBytes(), sector(2152))
		read := ReturnsFull(PageBytes(), 0)
		Expect(around).To(DependOn(change.BadblocksFull, Before(OK()), After(Errno("ENOSPC"))))
		Expect(first).To(DependOn(change.BadblocksSorted, Before(Errno("EIO")), After(read)))
		Expect(between).To(DependOn(change.BadblocksFull, Before(Errno("EIO")), After(read)))
	})

	// badblocks_store() reads the length with %d.
	It("fails with EIO in the first 3 of 2^32 + 3 bad sectors; the others are not listed", Scenario(
		"blockdev/pmem/table-long", Catalogue("T04"), NeedsDisk(NFIT, Ext4)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Unmount(ctx, d)
		v := g.Victim(ctx)
		fd := v.Open(ctx, "/dev/"+d.Disk, d.Name, unix.O_RDONLY)
		long := g.InjectMayFail(ctx, inject.BadSectors(d, Page(15*1024), 1<<32+3))
		first := v.Pread(ctx, fd, PageBytes(), Page(15*1024))
		later := v.Pread(ctx, fd, PageBytes(), Page(15*1024+1))
		Expect(long).To(BeOutcome(OK()))
		Expect(first).To(BeOutcome(Errno("EIO")))
		Expect(later).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})

	for _, fs := range []FS{Ext4, XFS} {
		It("on "+fs.Text()+" returns the data before the bad page, then fails with EIO", Scenario(
			"pagecache/"+string(fs)+"/pread-span", Catalogue("E26"), NeedsDisk(NFIT, fs)), func(ctx SpecContext) {
			g := StartGuest(ctx)
			f := g.PageCache(ctx, fs).File(ctx, 64*KiB)
			v := g.Victim(ctx)
			fd := v.OpenFile(ctx, f)
			g.Inject(ctx, inject.BadBlock(f, Page(bad)))
			short := v.Pread(ctx, fd, 2*PageBytes(), Page(bad-1))
			then := v.Pread(ctx, fd, PageBytes(), Page(bad))
			Expect(short).To(BeOutcome(ReturnsFull(PageBytes(), Filled(bad-1))))
			Expect(then).To(BeOutcome(Errno("EIO")))
		})
	}
})

var _ = describe("MADV_POPULATE_READ of a page-cache page whose block is bad", func() {
	// One file system is enough: a call that does not return occupies a CPU for 40 s.
	It("fails with EINVAL before v5.14 and with EFAULT since v6.9; from v5.14 to v6.8 it does not return", Scenario(
		"pagecache/ext4/populate-read",
		Catalogue("E30"),
		NeedsDisk(NFIT, Ext4),
		Changes(change.MadvisePopulateReturns, change.MadvisePopulate),
	), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.PageCache(ctx, Ext4).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		g.Inject(ctx, inject.BadBlock(f, Page(bad)))
		populate := v.Madvise(ctx, m.At(0), 64*KiB, MADV_POPULATE_READ)
		Expect(populate).To(DependOn(change.MadvisePopulateReturns, Before(Hangs()), After(Errno("EFAULT"))).
			IfMissing(change.MadvisePopulate, Errno("EINVAL")))
	})
})
