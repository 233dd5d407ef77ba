package mce_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// Machine checks that nobody's access caused: the kernel learns of poison, and
// programs learn of it from the kernel.
var _ = Describe("poison that nobody consumed", func() {
	follows := Follows(change.DaxFaultHWPoison)
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+string(fs), func() {
			// optional has a scrubber find poison in a page that a process has mapped.
			optional := func(ctx SpecContext, early bool) (listed, idle, load *Seen, m *Mapping) {
				g := Guest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v := g.Victim(ctx)
				m = v.Map(ctx, f, Shared)
				if early {
					v.KillEarly(ctx)
				}
				v.Load(ctx, m.At(at))
				g.Inject(ctx, inject.SRAO().At(v.Frame(ctx, m.At(Page(bad)))))
				listed = g.AwaitBadBlocks(ctx, mount.Device)
				idle = v.Idle(ctx)
				load = v.Load(ctx, m.At(at))
				return listed, idle, load, m
			}

			It("is told at once to who asked for that", onDAX(fs, "srao-early", "D02", follows), func(ctx SpecContext) {
				listed, idle, load, m := optional(ctx, true)
				Expect(listed).To(Be(Says("8 sectors")))
				Expect(idle).To(Be(SIGBUS(BUS_MCEERR_AO, LSB(12), At(m.At(Page(bad))))))
				Expect(load).To(Follow(change.DaxFaultHWPoison, adrerr, mceerr))
			})

			// Nobody is to be killed, so nothing is unmapped (mf_generic_kill_procs):
			// who has the page mapped goes on loading from it.
			It("is told to nobody who has it mapped", onDAX(fs, "srao-late", "D03"), func(ctx SpecContext) {
				listed, idle, load, _ := optional(ctx, false)
				Expect(listed).To(Be(Says("8 sectors")))
				Expect(idle).To(Be(OK()))
				Expect(load).To(Be(Reads(Filled(bad))))
			})

			It("is told to a second process that comes for it", onDAX(fs, "srao-second", "D03", follows), func(ctx SpecContext) {
				g := Guest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				second := g.Second(ctx)
				m := second.Map(ctx, f, Shared)
				g.Inject(ctx, inject.SRAO().At(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				load := second.Load(ctx, m.At(at))
				Expect(listed).To(Be(Says("8 sectors")))
				Expect(load).To(Follow(change.DaxFaultHWPoison, adrerr, mceerr))
			})

			// Only those who list bad blocks hear of it; memory_failure() does not run.
			It("and needs no action is told to a process that comes for it", onDAX(fs, "ucna", "D04", follows), func(ctx SpecContext) {
				g := Guest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at))
				// The kernel leaves it in the bank for its next poll.
				g.WriteFile(ctx, "/sys/devices/system/machinecheck/machinecheck0/check_interval", "1")
				g.Inject(ctx, inject.UCNA().At(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				mapped := v.Load(ctx, m.At(at))
				load := second.Load(ctx, m2.At(at))
				Expect(listed).To(Be(Says("8 sectors")))
				Expect(mapped).To(Be(Reads(Filled(bad))))
				Expect(load).To(Follow(change.DaxFaultHWPoison, adrerr, mceerr))
			})

			It("but was simulated is told to a process that comes for it", onDAX(fs, "ucna-simulated", "D04", follows, Needs("X86_MCE_INJECT")), func(ctx SpecContext) {
				g := Guest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at))
				g.Inject(ctx, inject.UCNA().Simulated(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				mapped := v.Load(ctx, m.At(at))
				load := second.Load(ctx, m2.At(at))
				Expect(listed).To(Be(Says("8 sectors")))
				Expect(mapped).To(Be(Reads(Filled(bad))))
				Expect(load).To(Follow(change.DaxFaultHWPoison, adrerr, mceerr))
			})
		})
	}

	// The nfit driver takes as much as the machine check says, in sectors.
	It("takes as many sectors as the machine check says", scenario("nfit/cache-line", "D05", Needs("ACPI_NFIT"), Needs("X86_MCE_INJECT")), func(ctx SpecContext) {
		g := Guest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Bytes(64).Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(Be(Says("1 sectors")))
	})

	It("takes a page's sectors where the machine check says a page", scenario("nfit/page", "D05", Needs("ACPI_NFIT"), Needs("X86_MCE_INJECT"), Follows(change.NfitMiscGranularity)), func(ctx SpecContext) {
		g := Guest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(Follow(change.NfitMiscGranularity, Before(Says("1 sectors")), After(Says("8 sectors"))))
	})

	// The bus keeps what a machine check added, unlike what was written to the
	// disk's badblocks file.
	It("is remembered when the device comes again", scenario("nfit/rebind", "D06", Needs("ACPI_NFIT"), Needs("X86_MCE_INJECT"), Follows(change.NfitMiscGranularity)), func(ctx SpecContext) {
		g := Guest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
		before := g.AwaitBadBlocks(ctx, d)
		d = g.Rebind(ctx, d)
		after := g.AwaitBadBlocks(ctx, d)
		for _, listed := range []*Seen{before, after} {
			Expect(listed).To(Follow(change.NfitMiscGranularity, Before(Says("1 sectors")), After(Says("8 sectors"))))
		}
	})
})

var _ = Describe("a page that a machine check took", func() {
	It("cannot be had back", scenario("anon/unpoison", "D10", Needs("HWPOISON_INJECT"), Follows(change.UnpoisonAfterMCE)), func(ctx SpecContext) {
		g := Guest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at))
		frame := v.Frame(ctx, m.At(Page(bad)))
		v.Consume(ctx, inject.SRAR(), m.At(at))
		g.AwaitLog(ctx, "recovery action")
		v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
		Expect(g.Try(ctx, inject.UnpoisonPFN(frame))).To(Follow(change.UnpoisonAfterMCE, Before(OK()), After(Errno("ENOTSUP"))))
	})
})
