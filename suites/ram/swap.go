package ram

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// How do_swap_page() handles an entry of the page table whose page is on a device, or is
// poisoned in the swap cache. The device is persistent memory, which reads and writes
// synchronously, so that nothing races.
var _ = describe("a load from swapped-out memory", func() {
	needs := []Trait{Needs("SWAP"), NeedsDisk(NFIT, Ext4), NeedsPageMap()}
	const swapBytes = 128 * KiB
	// swapped makes a victim write a page and the kernel swap it out.
	swapped := func(ctx SpecContext) (*Guest, *Swap, *Victim, *Mapping, *Observation) {
		g := StartGuest(ctx)
		swap := g.Swap(ctx, g.Pmem(ctx, NFIT, Ext4), swapBytes)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_PAGEOUT)
		return g, swap, v, m, v.Present(ctx, m.At(at()))
	}
	out := BeOutcome(Note("swap entry"))

	It("reads the page back from the device", scenario("swap/load", "E06", needs...), func(ctx SpecContext) {
		_, _, v, m, left := swapped(ctx)
		load := v.Load(ctx, m.At(at()))
		Expect(left).To(out)
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})

	// The device cannot read the block: a page that is not up to date is not poison.
	It("gets BUS_ADRERR, not BUS_MCEERR_AR, if its block is bad", scenario("swap/bad-block",
		"E07", needs...), func(ctx SpecContext) {
		g, swap, v, m, left := swapped(ctx)
		g.Inject(ctx, inject.BadBlock(v.SwapSlot(ctx, swap, m.At(Page(bad))), 0))
		load := v.Load(ctx, m.At(at()))
		again := v.Load(ctx, m.At(at()))
		Expect(left).To(out)
		Expect(load).To(BeOutcome(SIGBUS(BUS_ADRERR)))
		Expect(again).To(BeOutcome(SIGBUS(BUS_ADRERR)))
	})

	// swapoff(2) leaves an entry that marks the page as unreadable (unuse_pte).
	It("gets SIGBUS after swapoff(2) failed to read its block, since v5.19 (zeros before)", scenario(
		"swap/bad-block-swapoff", "E08",
		append(needs, Changes(change.SwapinErrorMarker, change.PoisonedMarker))...), func(ctx SpecContext) {
		g, swap, v, m, left := swapped(ctx)
		g.Inject(ctx, inject.BadBlock(v.SwapSlot(ctx, swap, m.At(Page(bad))), 0))
		off := g.SwapOff(ctx, swap)
		load := v.Load(ctx, m.At(at()))
		Expect(left).To(out)
		Expect(off).To(BeOutcome(Returns(0)))
		Expect(load).To(DependOn(change.PoisonedMarker, Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, PageLSB()))).
			IfMissing(change.SwapinErrorMarker, Reads(0)))
	})

	// The page is in the swap cache and on the device. The kernel drops the poisoned copy
	// (me_swapcache_clean), and the page table gets the swap entry again instead of a
	// poison entry (TTU_IGNORE_HWPOISON in hwpoison_user_mappings).
	It("reads the page again if its clean copy in the swap cache is poisoned", scenario("swap/cache-clean",
		"E06", needs...), func(ctx SpecContext) {
		_, _, v, m, left := swapped(ctx)
		child := v.Fork(ctx, "child")
		back := v.Load(ctx, m.At(at()))
		kind := v.Kind(ctx, m.At(at()))
		advice := hwpoison(ctx, v, m)
		load := child.Load(ctx, m.At(at()))
		own := v.Load(ctx, m.At(at()))
		Expect(left).To(out)
		Expect(back).To(BeOutcome(Reads(0x5a)))
		Expect(kind).To(BeOutcome(Note("anonymous, in the swap cache")))
		Expect(advice).To(BeOutcome(Returns(0)))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(own).To(BeOutcome(Reads(0x5a)))
	})

	// The page cannot be written out, so its only copy is in the swap cache: the kernel
	// keeps it to report later accesses (me_swapcache_dirty, do_swap_page).
	It("gets SIGBUS if the only copy of the page, in the swap cache, is poisoned", scenario("swap/cache-dirty", "E06",
		append(needs, Needs("MEMORY_HOTPLUG"))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Swap(ctx, d, swapBytes)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		frame := v.Frame(ctx, m.At(Page(bad)))
		g.Inject(ctx, inject.BadSectors(d, PageBytes(), (swapBytes-PageBytes())/512))
		v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_PAGEOUT)
		left := v.Present(ctx, m.At(at()))
		g.Inject(ctx, inject.HardOffline(frame))
		load := v.Load(ctx, m.At(at()))
		Expect(left).To(out)
		Expect(load).To(remembered())
	})
})
