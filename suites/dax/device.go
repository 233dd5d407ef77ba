package dax

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

// Device DAX is persistent memory without a file system: a character device maps it in
// pages of one size, without a check for bad blocks.
var _ = describe("MADV_HWPOISON of a device-DAX page", func() {
	scenario := func(name string, traits ...Trait) []any {
		return Scenario("dax/device/"+name, append(traits, NeedsDeviceDAX(), Needs("MEMORY_FAILURE"))...)
	}

	It("sends BUS_MCEERR_AR to the caller; the page can then be read again", scenario("page",
		Catalogue("C12"), Catalogue("C15"), Changes(change.CountedByAction)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapPart(ctx, g.DeviceDAX(ctx, PageBytes()), 0, 64*KiB, Shared)
		v.Store(ctx, m.At(at()))
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
	})

	It("of 2 MiB reports si_addr_lsb 21, and its start as si_addr since v5.17", scenario("huge-page", Catalogue("C13"),
		Catalogue("C15"), Changes(change.DeviceDaxCompound, change.CountedByAction)), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapPart(ctx, g.DeviceDAX(ctx, HugePageBytes()), 0, HugePageBytes(), Shared)
		v.Store(ctx, m.At(at()))
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(DependOn(change.DeviceDaxCompound,
			Before(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))), Returning(0))),
			After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(0)), Returning(0)))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
	})

	It("of 1 GiB reports si_addr_lsb 30, and its start as si_addr since v5.17", scenario("gigantic-page",
		Catalogue("C14"), Changes(change.DeviceDaxCompound, change.CountedByAction)), func(ctx SpecContext) {
		g := StartGuest(ctx, LargeNVDIMM())
		v := g.Victim(ctx)
		m := v.MapPart(ctx, g.LargeDeviceDAX(ctx, GiB), 0, GiB, Shared)
		v.Store(ctx, m.At(at()))
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(DependOn(change.DeviceDaxCompound,
			Before(SIGBUS(BUS_MCEERR_AR, LSB(30), At(m.At(Page(bad))), Returning(0))),
			After(SIGBUS(BUS_MCEERR_AR, LSB(30), At(m.At(0)), Returning(0)))))
		Expect(load).To(BeOutcome(Reads(0x5a)))
		Expect(g.HardwareCorrupted(ctx)).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
	})
})
