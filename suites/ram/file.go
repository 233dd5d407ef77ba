package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// The memory of a tmpfs is the only copy of its files.
var _ = describe("poison in a tmpfs file", func() {
	needs := []Trait{Needs("TMPFS")}
	// lost makes a victim write a page of a file and poison it.
	lost := func(ctx SpecContext) (g *Guest, f *File, v *Victim, m *Mapping, advice *Observation) {
		g = StartGuest(ctx)
		f = g.TmpfsFile(ctx, 64*KiB)
		v = g.Victim(ctx)
		m = v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(at()))
		return g, f, v, m, hwpoison(ctx, v, m)
	}
	kept := Changes(change.ShmemKeepsErrorPage)

	It("causes SIGBUS in a process that maps the file later, since v5.16 (zeros before)", poisons("tmpfs/load",
		"E16", append(needs, kept)...), func(ctx SpecContext) {
		g, f, v, m, advice := lost(ctx)
		own := v.Load(ctx, m.At(at()))
		second := g.Second(ctx)
		other := second.Load(ctx, second.Map(ctx, f, Shared).At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(own).To(remembered())
		Expect(other).To(DependOn(change.ShmemKeepsErrorPage, Before(Reads(0)), After(SIGBUS(BUS_MCEERR_AR, PageLSB()))))
	})

	It("makes pread(2) fail with EIO since v5.16 (zeros before)", poisons("tmpfs/read",
		"E16", append(needs, kept)...), func(ctx SpecContext) {
		_, _, v, m, advice := lost(ctx)
		read := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		good := v.Pread(ctx, m.FD(), PageBytes(), Page(bad+1))
		Expect(advice).To(silentBefore(m))
		Expect(read).To(DependOn(change.ShmemKeepsErrorPage, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
		Expect(good).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})

	It("makes pwrite(2) fail with EIO since v5.16 (success before)", poisons("tmpfs/write",
		"E16", append(needs, kept)...), func(ctx SpecContext) {
		_, _, v, m, advice := lost(ctx)
		write := v.Pwrite(ctx, m.FD(), PageBytes(), Page(bad))
		Expect(advice).To(silentBefore(m))
		Expect(write).To(DependOn(change.ShmemKeepsErrorPage, Before(Returns(PageBytes())), After(Errno("EIO"))))
	})

	// do_cow_fault() has no page to copy: __do_fault() finds that it is poisoned.
	It("causes SIGBUS on a store to a private mapping since v5.16 (success before)", poisons("tmpfs/private-cow",
		"E05", append(needs, kept)...), func(ctx SpecContext) {
		g, f, _, m, advice := lost(ctx)
		second := g.Second(ctx)
		store := second.Store(ctx, second.Map(ctx, f, Private).At(at()))
		Expect(advice).To(silentBefore(m))
		Expect(store).To(DependOn(change.ShmemKeepsErrorPage, Before(OK()), After(SIGBUS(BUS_MCEERR_AR, PageLSB()))))
	})
})

// Until they are written, a file's pages in the page cache are copies of the data on the
// disk. Files of one page have small folios on every kernel.
var _ = describe("the page cache", func() {
	for _, fs := range []FS{Ext4, XFS} {
		need := NeedsDisk(NFIT, fs)
		name := func(s string) string { return "pagecache-" + string(fs) + "/" + s }
		Context("of "+fs.Text(), func() {
			// cached makes a victim map a file of one page and load from it.
			cached := func(ctx SpecContext) (*Guest, *File, *Victim, *Mapping) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, PageBytes())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(5))
				return g, f, v, m
			}

			It("drops a clean poisoned page and reads it again, without SIGBUS", scenario(name("clean"), "E22",
				need), func(ctx SpecContext) {
				_, _, v, m := cached(ctx)
				advice := v.Madvise(ctx, m.At(0), PageBytes(), MADV_HWPOISON)
				load := v.Load(ctx, m.At(5))
				Expect(advice).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(Reads(Filled(0))))
			})

			// Data that was not written back is lost: fsync(2) reports that once.
			It("loses a dirty poisoned page: a load gets SIGBUS, and fsync(2) fails with EIO once", poisons(
				name("dirty"), "E23", need), func(ctx SpecContext) {
				_, _, v, m := cached(ctx)
				v.Store(ctx, m.At(5))
				advice := v.Madvise(ctx, m.At(0), PageBytes(), MADV_HWPOISON)
				load := v.Load(ctx, m.At(5))
				sync := v.Syscall(ctx, "fsync", m.FD())
				again := v.Syscall(ctx, "fsync", m.FD())
				Expect(advice).To(DependOn(change.MadviseActionRequired,
					Before(Returns(0)),
					After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(0)), Returning(0)))))
				Expect(load).To(remembered())
				Expect(sync).To(BeOutcome(Errno("EIO")))
				Expect(again).To(BeOutcome(Returns(0)))
			})

			It("cannot read a clean poisoned page again if its block is bad: a load gets BUS_ADRERR", scenario(
				name("clean-bad-block"), "E24",
				need), func(ctx SpecContext) {
				g, f, v, m := cached(ctx)
				g.Inject(ctx, inject.BadBlock(f, 0))
				advice := v.Madvise(ctx, m.At(0), PageBytes(), MADV_HWPOISON)
				load := v.Load(ctx, m.At(5))
				Expect(advice).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(SIGBUS(BUS_ADRERR)))
			})

			It("keeps the data of a clean page that is soft-offlined", scenario(name("soft-offline"), "E20",
				need, Needs("MIGRATION")), func(ctx SpecContext) {
				_, _, v, m := cached(ctx)
				advice := v.Madvise(ctx, m.At(0), PageBytes(), MADV_SOFT_OFFLINE)
				load := v.Load(ctx, m.At(5))
				Expect(advice).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(Reads(Filled(0))))
			})

			It("keeps the data of a dirty page that is soft-offlined", scenario(name("soft-offline-dirty"), "E20",
				need, Needs("MIGRATION")), func(ctx SpecContext) {
				_, _, v, m := cached(ctx)
				v.Store(ctx, m.At(5))
				advice := v.Madvise(ctx, m.At(0), PageBytes(), MADV_SOFT_OFFLINE)
				load := v.Load(ctx, m.At(5))
				sync := v.Syscall(ctx, "fsync", m.FD())
				Expect(advice).To(BeOutcome(Returns(0)))
				Expect(load).To(BeOutcome(Reads(0x5a)))
				Expect(sync).To(BeOutcome(Returns(0)))
			})

			// Only the block is bad, which write(2) does not access.
			It("cannot write a page back to a bad block: fsync(2) fails with EIO", scenario(name("writeback"), "E29",
				need), func(ctx SpecContext) {
				g, f, v, m := cached(ctx)
				g.Inject(ctx, inject.BadBlock(f, 0))
				write := v.Pwrite(ctx, m.FD(), PageBytes(), 0)
				sync := v.Syscall(ctx, "fsync", m.FD())
				load := v.Load(ctx, m.At(5))
				Expect(write).To(BeOutcome(Returns(PageBytes())))
				Expect(sync).To(BeOutcome(Errno("EIO")))
				Expect(load).To(BeOutcome(Reads(0x5a)))
			})
		})
	}
})
