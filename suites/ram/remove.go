package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
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
