package dax

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

var _ = describe("a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		Context("on "+fs.Text(), func() {
			// dax_flush writes back the mapped page without a lookup of bad blocks.
			It("is written back by msync(2) and fsync(2) even if its block became bad after the store", scenario("dirty-sync",
				"B22"), func(ctx SpecContext) {
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

			It("is mapped as a 4 KiB page if another block in the same 2 MiB is bad", scenario("huge-good", "A09",
				NeedsHugeDAX(), NeedsPageMap()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				load := v.Load(ctx, m.At(Page(bad+1)+5))
				neighbour := v.Present(ctx, m.At(Page(bad+2)))
				Expect(load).To(BeOutcome(Reads(Filled(bad + 1))))
				Expect(neighbour).To(BeOutcome(Note("absent")))
			})

			It("stays readable if it was mapped before its block became bad", scenario("mapped-then-bad",
				"A10"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mapped(ctx, g, fs, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(Filled(bad))))
			})

			It("stays readable if it was mapped as part of a huge page before its block became bad", scenario(
				"huge-mapped-then-bad", "A10",
				NeedsHugeDAX(), NeedsPageMap()), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedHuge(ctx, g, fs)
				v.Load(ctx, m.At(5))
				huge := v.Present(ctx, m.At(Page(bad)))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				load := v.Load(ctx, m.At(at()))
				Expect(huge).To(BeOutcome(Note("present")))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
			})

			// dax_load_hole maps the zero page without a call of the driver.
			It("reads as zeros if it is unwritten, even if its block is bad", scenario("unwritten-read",
				"A13"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f, v, m := mappedFile(ctx, g, g.DAX(ctx, fs).File(ctx, 64*KiB, Unwritten()), Shared)
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(0)))
			})
		})
	}
})

var _ = describe("a DAX access", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := on(fs)
		Context("on "+fs.Text(), func() {
			It("beyond the end of the file gets BUS_ADRERR, not BUS_MCEERR_AR", scenario(
				"past-eof", "A15"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 16*KiB)
				v := g.Victim(ctx)
				m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
				Expect(v.Load(ctx, m.At(Page(8)+5))).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})

			// A dead device fails with EIO, not with EHWPOISON.
			It("gets BUS_ADRERR, not BUS_MCEERR_AR, if the device fails every request (dm-error)", scenario(
				"dead-device", "A28", Needs("BLK_DEV_DM")), func(ctx SpecContext) {
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
})

var _ = describe("a store to a shared extent on XFS with reflink", func() {
	// dax_iomap_copy_around turns the driver's error for the shared block into EIO, as for
	// write(2), and dax_fault_return turns that into BUS_ADRERR, also with the change.
	It("gets BUS_ADRERR if its block is bad, although a load gets BUS_MCEERR_AR since v6.5", on(XFSReflink,
		change.DaxFaultHWPoison)("reflink-cow", "A21"), func(ctx SpecContext) {
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
})

var _ = describe("a DAX page", func() {
	// The comparison fails, and its caller returns that error or its own progress. A page
	// that is reported as shared is not: the good one can still be read.
	It("with a bad block is not shared by FIDEDUPERANGE, which reports success from v6.2 to v7.3", on(
		XFSReflink, change.DedupeErrorLost)("dedupe",
		"B21"), func(ctx SpecContext) {
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

	for _, p := range []Provider{E820, Virtio} {
		It("on "+string(p)+" pmem is readable again after pwrite(2) of the whole page since v5.19 (EIO before)", Scenario(
			"dax/"+string(p)+"-ext4/mended",
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
				Expect(wrote).To(DependOn(change.DaxRecoveryWrite,
					Before(Errno("EIO")),
					After(Returns(PageBytes()))).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON")))
				Expect(left).To(DependOn(change.DaxRecoveryWrite, Before(Note("8 sectors")), After(Note("none"))))
				Expect(again).To(DependOn(change.DaxRecoveryWrite, adrerr, After(Reads(0x5a))))
			})
	}
})

var _ = describe("dm-writecache", func() {
	// It maps the memory of its cache as a whole, and returns the driver's error for that.
	It("refuses a pmem device with a bad block: EIO before v6.5, EHWPOISON since", Scenario("dax/writecache",
		Catalogue("B23"),
		NeedsDisk(NFIT, Ext4), NeedsDisk(NFIT, XFS), Needs("FS_DAX", "BLK_DEV_DM", "DM_WRITECACHE"),
		Changes(change.DaxFaultHWPoison)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		memory, origin := g.Pmem(ctx, NFIT, Ext4), g.Pmem(ctx, NFIT, XFS)
		good := g.WriteCache(ctx, memory, origin)
		g.Inject(ctx, inject.BadBlock(memory, Page(1000)))
		refused := g.WriteCache(ctx, memory, origin)
		Expect(good).To(BeOutcome(OK()))
		Expect(refused).To(DependOn(change.DaxFaultHWPoison, Before(Errno("EIO")), After(Errno("EHWPOISON"))))
	})
})

// The mailing-list thread compares DAX with the page cache of a block device.
var _ = describe("a load through the page cache", func() {
	for _, fs := range []FS{Ext4, XFS} {
		scenario := func(name, catalogue string) []any {
			return Scenario("pagecache/"+string(fs)+"/"+name, Catalogue(catalogue), NeedsDisk(NFIT, fs))
		}
		Context("on "+fs.Text(), func() {
			It("succeeds if the page was read before its block became bad", scenario("populated-then-bad",
				"E25"), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.BadBlock(f, Page(bad)))
				Expect(v.Load(ctx, m.At(at()))).To(BeOutcome(Reads(Filled(bad))))
			})

			// filemap_fault cannot fill the page: VM_FAULT_SIGBUS, no poison.
			It("gets BUS_ADRERR, not BUS_MCEERR_AR, if the page has to be read from a bad block", scenario(
				"unpopulated-bad", "E26"), func(ctx SpecContext) {
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
