package mce

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// software returns the traits of a scenario that poisons a page without a machine check.
func software() []Trait { return []Trait{Needs("MEMORY_FAILURE"), NeedsPageMap()} }

// byPFN returns those of a scenario that uses the files of hwpoison_inject.
func byPFN() []Trait { return append(software(), Needs("HWPOISON_INJECT", "DEBUG_FS")) }

// anonymous makes a victim write an anonymous page.
func anonymous(ctx SpecContext) (*Guest, *Victim, *Mapping, inject.Frame) {
	g := StartGuest(ctx)
	v := g.Victim(ctx)
	m := v.MapAnonymous(ctx, 64*KiB, 0)
	v.Store(ctx, m.At(at()))
	return g, v, m, v.Frame(ctx, m.At(Page(bad)))
}

// Poison without a machine check: the kernel's own interfaces that call memory_failure(),
// for comparison with real machine checks.
var _ = describe("software poisoning", func() {
	for _, fs := range []FS{Ext4, XFS} {
		Context("of a DAX page on "+fs.Text(), func() {
			// The kernel kills no process, so it unmaps nothing, and it adds no bad block.
			It("with corrupt-pfn sends no SIGBUS to a process that maps the page", onDAX(fs, "corrupt-pfn", "C05",
				append(byPFN(), Changes(change.CountedByAction))...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.CorruptPFN(v.Frame(ctx, m.At(Page(bad))), inject.Filter{}))
				idle := v.Idle(ctx)
				left := v.Present(ctx, m.At(at()))
				load := v.Load(ctx, m.At(at()))
				counted := g.HardwareCorrupted(ctx)
				Expect(idle).To(BeOutcome(OK()))
				Expect(left).To(BeOutcome(Note("present")))
				Expect(counted).To(DependOn(change.CountedByAction, Before(Note("0 kB")), After(Note("4 kB"))))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
			})

			It("with corrupt-pfn sends BUS_MCEERR_AO under PR_MCE_KILL_EARLY since v5.12; a load gets no SIGBUS", onDAX(
				fs, "corrupt-pfn-early", "C06",
				append(byPFN(), Changes(change.KillEarlyOnConsumption))...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.DAX(ctx, fs).File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.KillEarly(ctx)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.CorruptPFN(v.Frame(ctx, m.At(Page(bad))), inject.Filter{}))
				idle := v.Idle(ctx)
				load := v.Load(ctx, m.At(at()))
				Expect(idle).To(DependOn(change.KillEarlyOnConsumption,
					Before(OK()),
					After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m.At(Page(bad)))))))
				Expect(load).To(BeOutcome(Reads(Filled(bad))))
			})
		})
	}

	Context("of an anonymous page", func() {
		It("with hard_offline_page sends no signal; a later load gets SIGBUS", scenario("anon/hard-offline", "E01",
			append(software(), Needs("MEMORY_HOTPLUG"))...), func(ctx SpecContext) {
			g, v, m, frame := anonymous(ctx)
			g.Inject(ctx, inject.HardOffline(frame))
			idle := v.Idle(ctx)
			left := v.Present(ctx, m.At(at()))
			load := v.Load(ctx, m.At(at()))
			Expect(idle).To(BeOutcome(OK()))
			Expect(left).To(BeOutcome(Note("swap entry")))
			Expect(load).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
		})

		It("with corrupt-pfn can be undone with unpoison-pfn", scenario("anon/unpoison-software",
			"E21", byPFN()...), func(ctx SpecContext) {
			g, v, m, frame := anonymous(ctx)
			g.Inject(ctx, inject.CorruptPFN(frame, inject.Filter{}))
			load := v.Load(ctx, m.At(at()))
			v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
			back := g.InjectMayFail(ctx, inject.UnpoisonPFN(frame))
			Expect(load).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
			Expect(back).To(BeOutcome(OK()))
		})
	})
})

// mce-inject raises the exception in the kernel itself.
var _ = describe("a machine check (SRAO) raised by mce-inject for a DAX page", func() {
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			It("adds a bad block; a later DAX fault gets SIGBUS", onDAX(fs, "srao-in-guest", "D02",
				IntelMachineCheck(), Needs("X86_MCE", "X86_MCE_INJECT", "MEMORY_FAILURE"),
				Changes(change.DaxFaultHWPoison, change.NfitMiscGranularity)), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				g.Inject(ctx, inject.SRAO().InGuest(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				load := v.Load(ctx, m.At(at()))
				Expect(listed).To(page())
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}
})

// Soft offlining migrates a page that is still good.
var _ = describe("soft offlining of an anonymous page", func() {
	It("with soft_offline_page migrates the page and keeps its data", scenario("anon/soft-offline", "E20",
		append(software(), Needs("MEMORY_HOTPLUG", "MIGRATION"))...), func(ctx SpecContext) {
		g, v, m, frame := anonymous(ctx)
		g.Inject(ctx, inject.SoftOffline(frame))
		load := v.Load(ctx, m.At(at()))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})

	It("with MADV_SOFT_OFFLINE migrates the page and keeps its data", scenario("anon/madvise-soft-offline", "E20",
		append(software(), Needs("MIGRATION"))...), func(ctx SpecContext) {
		_, v, m, _ := anonymous(ctx)
		advice := v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_SOFT_OFFLINE)
		load := v.Load(ctx, m.At(at()))
		Expect(advice).To(BeOutcome(Returns(0)))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})
})

// The filter of hwpoison_inject skips pages of other devices.
var _ = describe("corrupt-pfn", func() {
	filtered := func(ctx SpecContext, minor uint32) (load *Observation) {
		g := StartGuest(ctx)
		mount := g.PageCache(ctx, Ext4)
		f := mount.File(ctx, PageBytes())
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Store(ctx, m.At(5)) // dirty, so that its poison raises SIGBUS
		var device inject.Filter
		_, err := fmt.Sscanf(g.ReadFile(ctx, "/sys/block/"+mount.Device.Disk+"/dev"), "%d:%d", &device.Major, &device.Minor)
		Expect(err).NotTo(HaveOccurred())
		device.Minor += minor
		g.InjectMayFail(ctx, inject.CorruptPFN(v.Frame(ctx, m.At(0)), device))
		return v.Load(ctx, m.At(5))
	}
	It("poisons a page-cache page if corrupt-filter-dev-* select its device", scenario(
		"pagecache-ext4/filter-takes", "E23",
		append(byPFN(), NeedsDisk(NFIT, Ext4))...), func(ctx SpecContext) {
		Expect(filtered(ctx, 0)).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})
	It("does not poison a page-cache page if corrupt-filter-dev-* select another device", scenario(
		"pagecache-ext4/filter-spares", "E23",
		append(byPFN(), NeedsDisk(NFIT, Ext4))...), func(ctx SpecContext) {
		Expect(filtered(ctx, 100)).To(BeOutcome(Reads(0x5a)))
	})
})
