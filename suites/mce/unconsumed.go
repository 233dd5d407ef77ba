package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
)

// Machine checks that no access caused: the processor reports poison to the kernel, and
// the kernel reports it to programs.
var _ = describe("a machine check for unconsumed poison", func() {
	follows := Changes(change.DaxFaultHWPoison, change.NfitMiscGranularity)
	raised := []Trait{IntelMachineCheck(), Needs("X86_MCE")}
	simulated := append(raised, Needs("X86_MCE_INJECT"))
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			// scrubbed raises the machine check of a scrubber that finds poison in a page
			// that a process maps. A second process then accesses the page.
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

			It("sends BUS_MCEERR_AO to a process with PR_MCE_KILL_EARLY since v5.12", onDAX(fs, "srao-early", "D02",
				append(raised, NeedsPageMap(), Needs("MEMORY_FAILURE"), follows,
					Changes(change.KillEarlyOnConsumption))...), func(ctx SpecContext) {
				listed, idle, load, _, m := scrubbed(ctx, true)
				Expect(listed).To(page())
				Expect(idle).To(DependOn(change.KillEarlyOnConsumption,
					Before(OK()),
					After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m.At(Page(bad)))))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// The kernel kills no process, so it unmaps nothing (mf_generic_kill_procs): a
			// process that maps the page can still load from it.
			It("sends no SIGBUS to a process that maps the page", onDAX(fs, "srao-late", "D03",
				append(raised, NeedsPageMap(), Needs("MEMORY_FAILURE"), follows)...), func(ctx SpecContext) {
				listed, idle, load, v, m := scrubbed(ctx, false)
				again := v.Load(ctx, m.At(at()))
				Expect(listed).To(page())
				Expect(idle).To(BeOutcome(OK()))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(again).To(BeOutcome(Reads(Filled(bad))))
			})

			// Only the drivers that list bad blocks are notified; memory_failure() does not run.
			It("(UCNA, no action required) adds a bad block; a later DAX fault gets SIGBUS", onDAX(fs, "ucna", "D04",
				append(raised, follows)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 64*KiB)
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(at()))
				// The error stays in the bank until the next poll of the kernel.
				g.WriteFile(ctx, "/sys/devices/system/machinecheck/machinecheck0/check_interval", "1")
				g.Inject(ctx, inject.UCNA().At(f.Frame(Page(bad))))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				mapped := v.Load(ctx, m.At(at()))
				load := second.Load(ctx, m2.At(at()))
				Expect(listed).To(page())
				Expect(mapped).To(BeOutcome(Reads(Filled(bad))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("(UCNA, simulated by mce-inject) adds a bad block; a later DAX fault gets SIGBUS", onDAX(
				fs, "ucna-simulated", "D04",
				append(simulated, follows)...), func(ctx SpecContext) {
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

	// The nfit driver lists the range that the machine check reports, in sectors.
	It("adds one bad sector if it reports a cache line", scenario("nfit/cache-line", "D05",
		append(simulated, NeedsDisk(NFIT, Ext4))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Bytes(64).Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(BeOutcome(Note("1 sectors")))
	})

	It("adds 8 bad sectors since v5.19, one before, if it reports a page", scenario("nfit/page", "D05",
		append(simulated, NeedsDisk(NFIT, Ext4), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		d := g.Pmem(ctx, NFIT, Ext4)
		g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
		Expect(g.AwaitBadBlocks(ctx, d)).To(page())
	})

	// The region lists the bad blocks, but the fault handler of device DAX does not check
	// them.
	It("adds a bad block, but accesses to a device-DAX mapping get no SIGBUS", scenario("device/listed", "C15",
		append(simulated, NeedsDeviceDAX(), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
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

	// The bus keeps the blocks that a machine check added, unlike those that were written
	// to the disk's badblocks file.
	It("adds a bad block that remains when the device is bound again", scenario("nfit/rebind", "D06",
		append(simulated, NeedsDisk(NFIT, Ext4), Changes(change.NfitMiscGranularity))...), func(ctx SpecContext) {
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

// A machine check removes a page from the kernel's direct map (set_mce_nospec), so that
// the next user of an unpoisoned page crashes: 5.10 allows that. The page that is
// unpoisoned here was poisoned by software; the machine check for another page disables
// unpoisoning.
var _ = describe("a software-poisoned anonymous page", func() {
	It("cannot be unpoisoned after a machine check since v5.19", scenario("anon/unpoison", "D10",
		consumes(Needs("HWPOISON_INJECT", "DEBUG_FS"), Changes(change.UnpoisonAfterMCE))...), func(ctx SpecContext) {
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
		Expect(g.InjectMayFail(ctx, inject.UnpoisonPFN(other))).To(DependOn(change.UnpoisonAfterMCE,
			Before(OK()),
			After(Errno("ENOTSUP"))))
	})
})
