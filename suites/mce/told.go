package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// Machine checks that nobody's access caused: the kernel learns of poison, and
// programs learn of it from the kernel.
var _ = describe("poison that nobody consumed", func() {
	follows := Changes(change.DaxFaultHWPoison, change.NfitMiscGranularity)
	raised := []Trait{IntelMachineCheck(), Needs("X86_MCE")}
	simulated := append(raised, Needs("X86_MCE_INJECT"))
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+string(fs), func() {
			// scrubbed has a scrubber find poison in a page that a process has mapped,
			// and a second one come for it.
			scrubbed := func(ctx SpecContext, early bool) (listed, idle, load *Observation, v *Victim, m *Mapping) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v = g.Victim(ctx)
				m = v.Map(ctx, f, Shared)
				second := g.Second(ctx)
				m2 := second.Map(ctx, f, Shared)
				if early {
					v.KillEarly(ctx)
				}
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.SRAO().At(v.Frame(ctx, m.At(Page(bad)))))
				listed = g.AwaitBadBlocks(ctx, mount.Device)
				idle = v.Idle(ctx)
				return listed, idle, second.Load(ctx, m2.At(at())), v, m
			}

			It("is told at once to who asked for that", onDAX(fs, "srao-early", "D02", append(raised, NeedsPageMap(), Needs("MEMORY_FAILURE"), follows, Changes(change.KillEarlyOnConsumption))...), func(ctx SpecContext) {
				listed, idle, load, _, m := scrubbed(ctx, true)
				Expect(listed).To(page())
				Expect(idle).To(DependOn(change.KillEarlyOnConsumption, Before(OK()), After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m.At(Page(bad)))))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// Nobody is to be killed, so nothing is unmapped (mf_generic_kill_procs):
			// who has the page mapped goes on loading from it.
			It("is told to nobody who has it mapped", onDAX(fs, "srao-late", "D03", append(raised, NeedsPageMap(), Needs("MEMORY_FAILURE"), follows)...), func(ctx SpecContext) {
				listed, idle, load, v, m := scrubbed(ctx, false)
				again := v.Load(ctx, m.At(at()))
				Expect(listed).To(page())
				Expect(idle).To(BeOutcome(OK()))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(again).To(BeOutcome(Reads(Filled(bad))))
			})

			// Only those who list bad blocks hear of it; memory_failure() does not run.
			It("and needs no action is told to a process that comes for it", onDAX(fs, "ucna", "D04", append(raised, follows)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				// The kernel leaves it in the bank for its next poll.
				g.WriteFile(ctx, "/sys/devices/system/machinecheck/machinecheck0/check_interval", "1")
				g.Inject(ctx, inject.UCNA().At(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				mapped := v.Load(ctx, m.At(at()))
				load := second.Load(ctx, m2.At(at()))
				Expect(listed).To(page())
				Expect(mapped).To(BeOutcome(Reads(Filled(bad))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("but was simulated is told to a process that comes for it", onDAX(fs, "ucna-simulated", "D04", append(simulated, follows)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				g.Inject(ctx, inject.UCNA().Simulated(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				mapped := v.Load(ctx, m.At(at()))
				load := second.Load(ctx, m2.At(at()))
				Expect(listed).To(page())
				Expect(mapped).To(BeOutcome(Reads(Filled(bad))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}

	// The nfit driver takes as much as the machine check says, in sectors.
	It("takes as many sectors as the machine check says", scenario("nfit/cache-line", "D05", append(simulated, NeedsDisk(NFIT, Ext4))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Bytes(64).Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(BeOutcome(Says("1 sectors")))
	})

	It("takes a page's sectors where the machine check says a page", scenario("nfit/page", "D05", append(simulated, NeedsDisk(NFIT, Ext4), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(page())
	})

	// The region lists it, and the device, which gives out pages, asks nobody.
	It("is told to nobody by a device without a file system", scenario("device/listed", "C15", append(simulated, NeedsDeviceDAX(), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.DeviceDAX(ctx, PageBytes())
		v := g.Victim(ctx)
		m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
		g.Inject(ctx, inject.UCNA().Simulated(f.Frame(Page(bad))))
		listed := g.AwaitBadBlocks(ctx, f.Mount.Device)
		store := v.Store(ctx, m.At(at()))
		load := v.Load(ctx, m.At(at()))
		Expect(listed).To(page())
		Expect(store).To(BeOutcome(OK()))
		Expect(load).To(BeOutcome(Reads(0x5a)))
	})

	// The bus keeps what a machine check added, unlike what was written to the
	// disk's badblocks file.
	It("is remembered when the device comes again", scenario("nfit/rebind", "D06", append(simulated, NeedsDisk(NFIT, Ext4), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
		before := g.AwaitBadBlocks(ctx, d)
		d = g.Rebind(ctx, d)
		after := g.AwaitBadBlocks(ctx, d)
		for _, listed := range []*Observation{before, after} {
			Expect(listed).To(page())
		}
	})
})

// A machine check takes a page out of the kernel's own map (set_mce_nospec), so
// that giving it back crashes whoever gets it: 5.10 does that. What is given
// back here was poisoned by software, and it is the machine check for another
// page that forbids it.
var _ = describe("a page that was poisoned by software", func() {
	It("cannot be had back once there was a machine check", scenario("anon/unpoison", "D10", consumes(Needs("HWPOISON_INJECT", "DEBUG_FS"), Changes(change.UnpoisonAfterMCE))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		v.Store(ctx, m.At(Page(bad+1)+5))
		other := v.Frame(ctx, m.At(Page(bad+1)))
		g.Inject(ctx, inject.CorruptPFN(other, inject.Filter{}))
		v.Consume(ctx, inject.SRAR(), m.At(at()))
		g.AwaitLog(ctx, Recovered)
		v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
		Expect(g.InjectMayFail(ctx, inject.UnpoisonPFN(other))).To(DependOn(change.UnpoisonAfterMCE, Before(OK()), After(Errno("ENOTSUP"))))
	})
})
