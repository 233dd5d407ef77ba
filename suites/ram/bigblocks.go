package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// The page cache of a file system with blocks of 16 KiB has folios of at least four pages,
// which cannot be split into single pages.
var _ = describe("poison in the page cache of an XFS with blocks of 16 KiB", func() {
	const block = 16 * KiB
	cached := func(ctx SpecContext) (*Victim, *Mapping) {
		g := StartGuest(ctx)
		f := g.BigBlocks(ctx, block).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Load(ctx, m.At(at()))
		return v, m
	}
	needs := []Trait{NeedsDisk(NFIT, XFS), NeedsPageMap()}

	split := Changes(change.ThpSplitSigbus)
	whole := func(m *Mapping) *Expectation {
		return DependOn(change.ThpSplitSigbus, Before(Errno("EBUSY")),
			After(SIGBUS(BUS_MCEERR_AR, LSB(14), At(m.At(Page(bad))), Failing("EHWPOISON"))))
	}

	It("sends SIGBUS with the size of a block for a clean page, which stays readable", scenario(
		"pagecache-xfs-16k/clean", "T09", append(needs, split)...), func(ctx SpecContext) {
		v, m := cached(ctx)
		kind := v.Kind(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		near := v.Load(ctx, m.At(Page(bad+1)))
		read := v.Pread(ctx, m.FD(), PageBytes(), Page(bad))
		Expect(kind).To(BeOutcome(Note("huge")))
		Expect(advice).To(whole(m))
		Expect(load).To(BeOutcome(Reads(Filled(bad))))
		Expect(near).To(BeOutcome(Reads(Filled(bad + 1))))
		Expect(read).To(BeOutcome(ReturnsFull(PageBytes(), Filled(bad))))
	})

	It("sends SIGBUS with the size of a block for a dirty page, which fsync(2) writes", scenario(
		"pagecache-xfs-16k/dirty", "T09", append(needs, split)...), func(ctx SpecContext) {
		v, m := cached(ctx)
		v.Store(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := v.Load(ctx, m.At(at()))
		sync := v.Syscall(ctx, "fsync", m.FD())
		again := v.Syscall(ctx, "fsync", m.FD())
		read := v.Pread(ctx, m.FD(), 1, at())
		Expect(advice).To(whole(m))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(sync).To(BeOutcome(Returns(0)))
		Expect(again).To(BeOutcome(Returns(0)))
		Expect(read).To(BeOutcome(ReturnsFull(1, 0x5a)))
	})
})
