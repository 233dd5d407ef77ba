package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE

// Removing the range of a file that contains a poisoned page.
var _ = describe("a poisoned page of a tmpfs file", func() {
	lost := func(ctx SpecContext) (*Victim, *Mapping, *Observation) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.Map(ctx, g.TmpfsFile(ctx, 64*KiB), Shared)
		v.Store(ctx, m.At(at()))
		return v, m, hwpoison(ctx, v, m)
	}

	It("is removed by FALLOC_FL_PUNCH_HOLE: pread(2) reads zeros", poisons(
		"removed/punch", "T10", Needs("TMPFS")), func(ctx SpecContext) {
		v, m, advice := lost(ctx)
		punched := v.Syscall(ctx, "fallocate", m.FD(), punch, Page(bad), PageBytes())
		read := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		Expect(advice).To(silentBefore(m))
		Expect(punched).To(BeOutcome(Returns(0)))
		Expect(read).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})

	It("stays after FALLOC_FL_PUNCH_HOLE of a part of it: pread(2) fails with EIO since v5.16 (zeros before)", poisons(
		"removed/punch-part", "T10", Needs("TMPFS"), Changes(change.ShmemKeepsErrorPage)), func(ctx SpecContext) {
		v, m, advice := lost(ctx)
		punched := v.Syscall(ctx, "fallocate", m.FD(), punch, Page(bad), int64(512))
		read := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		Expect(advice).To(silentBefore(m))
		Expect(punched).To(BeOutcome(Returns(0)))
		Expect(read).To(DependOn(change.ShmemKeepsErrorPage, Before(ReturnsFull(PageBytes(), 0)), After(Errno("EIO"))))
	})

	It("is removed by ftruncate(2)", poisons("removed/truncate", "T10", Needs("TMPFS")), func(ctx SpecContext) {
		v, m, advice := lost(ctx)
		short := v.Syscall(ctx, "ftruncate", m.FD(), Page(bad))
		long := v.Syscall(ctx, "ftruncate", m.FD(), int64(64*KiB))
		read := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		Expect(advice).To(silentBefore(m))
		Expect(short).To(BeOutcome(Returns(0)))
		Expect(long).To(BeOutcome(Returns(0)))
		Expect(read).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})
})

// A pipe pins a page by vmsplice(2), so that the kernel cannot split the huge page when it
// is poisoned. It splits it later, when a part is punched out.
var _ = describe("a poisoned huge page of a tmpfs file that could not be split", func() {
	It("fails with EIO in pread(2) after it was split, its other pages do not", scenario("huge-tmpfs/punch", "T10",
		Needs("TMPFS", "TRANSPARENT_HUGEPAGE"), NeedsPageMap(),
		Changes(change.ThpSplitSigbus, change.ShmemKeepsErrorPage)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		g.IgnoreInWitness(observe.WitnessLog, "thp split failed|non anonymous thp",
			"5.10 logs it a second time, with a different text")
		v := g.Victim(ctx)
		m := v.Map(ctx, g.HugeTmpfsFile(ctx, HugePageBytes()), Shared)
		v.Store(ctx, m.At(at()))
		kind := v.Kind(ctx, m.At(Page(bad+1)))
		r, w := v.Pipe(ctx)
		pinned := v.Syscall(ctx, "vmsplice", w, Vec(m.At(Page(bad+1)), PageBytes()), 1, 0)
		advice := hwpoison(ctx, v, m)
		v.Syscall(ctx, "read", r, Out(PageBytes()), PageBytes())
		punched := v.Syscall(ctx, "fallocate", m.FD(), punch, HugePageBytes()/2, HugePageBytes()/2)
		read := v.Pread(ctx, m.FD(), 1, at())
		good := v.Pread(ctx, m.FD(), PageBytes(), Page(bad+2))
		Expect(kind).To(BeOutcome(Note("huge")))
		Expect(pinned).To(BeOutcome(Returns(PageBytes())))
		Expect(advice).To(DependOn(change.ThpSplitSigbus, Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Failing("EHWPOISON")))))
		Expect(punched).To(BeOutcome(Returns(0)))
		Expect(read).To(DependOn(change.ShmemKeepsErrorPage,
			Before(ReturnsFull(1, 0x5a)), After(Errno("EIO"))))
		Expect(good).To(BeOutcome(ReturnsFull(PageBytes(), 0)))
	})
})
