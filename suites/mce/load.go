package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// bad is the page that becomes bad, and at is the offset in it that is loaded.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// The outcome of a later access: the kernel remembers the poison of a machine check.
var adrerr = Before(SIGBUS(BUS_ADRERR))

func mceerr() Side { return After(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// page expects the bad sectors of a page.
func page() *Expectation {
	return DependOn(change.NfitMiscGranularity, Before(Note("1 sectors")), After(Note("8 sectors")))
}

// consumes returns the traits of a scenario in which an access consumes poison.
func consumes(more ...Trait) []Trait {
	return append(more, Exactly(), NeedsPageMap(), Needs("X86_MCE", "MEMORY_FAILURE"))
}

// scenario adds the prefix of the id and the common traits.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario("mce/"+id, append(traits, Catalogue(catalogue))...)
}

// onDAX is scenario for a file system with DAX.
func onDAX(fs FS, id, catalogue string, traits ...Trait) []any {
	return scenario(string(fs)+"/"+id, catalogue, append(traits, NeedsDAX(NFIT, fs))...)
}

// consumed expects the signal for an access that consumed poison: memory_failure() reports
// the page, not the byte.
func consumed(m *Mapping) *Expectation {
	return BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad)))))
}

// aftermath is what follows the machine check: the kernel lists the bad block, which
// determines the outcome of later loads and of read(2).
type aftermath struct {
	first, listed, again, other, read *Observation
	m                                 *Mapping
}

// consume makes one process consume poison in a file on DAX. Then this process and a
// second one, which has not accessed the page before, access it.
func consume(ctx SpecContext, g *Guest, fs FS, flags MapFlags, check inject.MachineCheck) (s aftermath) {
	mount := g.DAX(ctx, fs)
	f := mount.File(ctx, 64*KiB)
	v, second := g.Victim(ctx), g.Second(ctx)
	s.m = v.Map(ctx, f, flags)
	other := second.Map(ctx, f, flags)
	v.Load(ctx, s.m.At(at()))
	s.first = v.Consume(ctx, check, s.m.At(at()))
	s.listed = g.AwaitBadBlocks(ctx, mount.Device)
	s.again = v.Load(ctx, s.m.At(at()))
	s.other = second.Load(ctx, other.At(at()))
	s.read = second.Pread(ctx, other.FD(), PageBytes(), Page(bad))
	return s
}

func (s aftermath) expect() {
	GinkgoHelper()
	Expect(s.first).To(consumed(s.m))
	Expect(s.listed).To(page())
	Expect(s.again).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
	Expect(s.other).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
	Expect(s.read).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON")))
}

var _ = describe("consuming poison in a DAX page", func() {
	follows := Changes(change.DaxFaultHWPoison, change.NfitMiscGranularity)
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+fs.Text(), func() {
			traits := consumes(follows, Catalogue("A17"))
			if fs == Ext4 {
				traits = append(traits, Lead())
			}
			It("sends SIGBUS to the process, and to a second one when it loads the page", onDAX(fs, "srar-shared", "D01",
				traits...), func(ctx SpecContext) {
				consume(ctx, StartGuest(ctx), fs, Shared, inject.SRAR()).expect()
			})

			It("through a private mapping sends SIGBUS to the process, and to a second one when it loads the page", onDAX(
				fs, "srar-private", "D01",
				consumes(follows)...), func(ctx SpecContext) {
				consume(ctx, StartGuest(ctx), fs, Private, inject.SRAR()).expect()
			})

			// Only the CPU of the load takes the machine check.
			It("sends SIGBUS in a guest with two CPUs, of which only the loading one takes the machine check (LMCE)", onDAX(
				fs, "srar-two-cpus", "D01",
				consumes(follows)...), func(ctx SpecContext) {
				consume(ctx, StartGuest(ctx, CPUs(2)), fs, Shared, inject.SRAR()).expect()
			})

			// Every CPU takes the exception, and they wait for each other (mce_start in
			// arch/x86/kernel/cpu/mce/core.c).
			It("sends SIGBUS if the machine check is broadcast to both CPUs", onDAX(fs, "srar-broadcast", "D01",
				consumes(follows)...), func(ctx SpecContext) {
				consume(ctx, StartGuest(ctx, CPUs(2)), fs, Shared, inject.SRAR().Everywhere()).expect()
			})

			// The kernel unmaps the whole huge page; only one page of it is bad, and the
			// others can be mapped again.
			It("reports si_addr_lsb 21 if the page is mapped as part of a huge page", onDAX(fs, "srar-huge", "D01",
				consumes(follows, Changes(change.DaxFolios), NeedsHugeDAX())...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				mount := g.DAX(ctx, fs)
				f := mount.File(ctx, 2*MiB, HugeAligned())
				v, second := g.Victim(ctx), g.Second(ctx)
				m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
				v.Load(ctx, m.At(5))
				huge := v.Present(ctx, m.At(at()))
				first := v.Consume(ctx, inject.SRAR(), m.At(at()))
				listed := g.AwaitBadBlocks(ctx, mount.Device)
				neighbour := v.Present(ctx, m.At(Page(bad+1)))
				again := v.Load(ctx, m.At(at()))
				good := v.Load(ctx, m.At(Page(bad+1)+5))
				other := second.Load(ctx, m2.At(at()))
				Expect(huge).To(BeOutcome(Note("present")))
				Expect(first).To(DependOn(change.DaxFolios,
					Before(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))))),
					After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(0))))))
				Expect(listed).To(page())
				Expect(neighbour).To(BeOutcome(Note("absent")))
				Expect(again).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(good).To(BeOutcome(Reads(Filled(bad + 1))))
				Expect(other).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// Late kill, the default: the kernel reports poison only on access.
			It("sends SIGBUS to another process that maps the page only when that process loads from it", onDAX(
				fs, "srar-other-late", "D01",
				consumes(follows)...), func(ctx SpecContext) {
				first, listed, idle, load, m, _ := others(ctx, fs, false)
				Expect(first).To(consumed(m))
				Expect(listed).To(page())
				Expect(idle).To(BeOutcome(OK()))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("sends BUS_MCEERR_AO to another process with PR_MCE_KILL_EARLY since v5.12", onDAX(
				fs, "srar-other-early", "D01",
				consumes(follows, Changes(change.KillEarlyOnConsumption))...), func(ctx SpecContext) {
				first, listed, idle, load, m, m2 := others(ctx, fs, true)
				Expect(first).To(consumed(m))
				Expect(listed).To(page())
				Expect(idle).To(DependOn(change.KillEarlyOnConsumption,
					Before(OK()),
					After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m2.At(Page(bad)))))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}
})

// others makes one process consume poison in a page that another process maps too.
func others(ctx SpecContext, fs FS, early bool) (first, listed, idle, load *Observation, m, m2 *Mapping) {
	g := StartGuest(ctx)
	mount := g.DAX(ctx, fs)
	f := mount.File(ctx, 64*KiB)
	v, second := g.Victim(ctx), g.Second(ctx)
	m, m2 = v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
	if early {
		second.KillEarly(ctx)
	}
	v.Load(ctx, m.At(at()))
	second.Load(ctx, m2.At(at()))
	first = v.Consume(ctx, inject.SRAR(), m.At(at()))
	listed = g.AwaitBadBlocks(ctx, mount.Device)
	idle = second.Idle(ctx)
	load = second.Load(ctx, m2.At(at()))
	return first, listed, idle, load, m, m2
}

var _ = describe("consuming poison", func() {
	// For a folio that cannot be split, kill_me_maybe() calls force_sig(), which reports no
	// address; since the change, memory_failure() reports the folio.
	It("in a dirty large folio sends BUS_MCEERR_AR since v6.11; before, SIGBUS with SI_KERNEL and no address", scenario(
		"pagecache-xfs/srar-dirty-folio", "D12",
		consumes(NeedsDisk(NFIT, XFS), Changes(change.ThpSplitSigbus))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.PageCache(ctx, XFS).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Load(ctx, m.At(at()))
		v.LargeFolio(ctx, m.At(at()))
		g.IgnoreInWitness(observe.WitnessLog, "Memory error not recovered",
			"kill_me_maybe logs it without a newline, so it appears only with the next message")
		v.Store(ctx, m.At(at()))
		first := v.Consume(ctx, inject.SRAR(), m.At(at()))
		Expect(first).To(DependOn(change.ThpSplitSigbus,
			Before(SIGBUS(SI_KERNEL, Nowhere())),
			After(SIGBUS(BUS_MCEERR_AR, LSB(14), At(m.At(Page(bad)))))))
	})

	// The page table gets a poison entry (make_hwpoison_entry), which do_swap_page reports
	// with the exact byte.
	It("in anonymous memory sends SIGBUS, and so does the next load", scenario("anon/srar",
		"D07", consumes()...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		first := v.Consume(ctx, inject.SRAR(), m.At(at()))
		g.AwaitLog(ctx, Recovered)
		left := v.Present(ctx, m.At(at()))
		again := v.Load(ctx, m.At(at()))
		Expect(first).To(consumed(m))
		Expect(left).To(BeOutcome(Note("swap entry")))
		Expect(again).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})

	for _, fs := range []FS{Ext4, XFS} {
		need := NeedsDisk(NFIT, fs)
		Context("in the page cache of "+fs.Text(), func() {
			// The kernel drops a clean page and reads it again from the disk. Files of one
			// page have small folios on every kernel.
			It("sends no signal if the page is clean: it is dropped and read again", scenario(
				"pagecache-"+string(fs)+"/srar-clean", "D08",
				consumes(need)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, PageBytes())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Load(ctx, m.At(5))
				first := v.Consume(ctx, inject.SRAR(), m.At(5))
				g.AwaitLog(ctx, Recovered)
				again := v.Load(ctx, m.At(5))
				Expect(first).To(BeOutcome(Reads(Filled(0))))
				Expect(again).To(BeOutcome(Reads(Filled(0))))
			})

			// Data that was not written back is lost: fsync(2) reports that.
			It("sends BUS_MCEERR_AR if the page is dirty, and fsync(2) fails with EIO", scenario(
				"pagecache-"+string(fs)+"/srar-dirty", "D12",
				consumes(need)...), func(ctx SpecContext) {
				g := StartGuest(ctx)
				f := g.PageCache(ctx, fs).File(ctx, PageBytes())
				v := g.Victim(ctx)
				m := v.Map(ctx, f, Shared)
				v.Store(ctx, m.At(5))
				first := v.Consume(ctx, inject.SRAR(), m.At(5))
				g.AwaitLog(ctx, Recovered)
				sync := v.Syscall(ctx, "fsync", m.FD())
				again := v.Load(ctx, m.At(5))
				Expect(first).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(0)))))
				Expect(sync).To(BeOutcome(Errno("EIO")))
				Expect(again).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
			})
		})
	}
})
