package mce

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
)

// bad is the page that goes bad, and at is the byte of it that is loaded.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// What the kernel remembers of a machine check tells whoever comes next.
var adrerr = Before(SIGBUS(BUS_ADRERR))

func mceerr() Side { return After(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// page asks for a bad block that is a page's.
func page() *Expectation {
	return DependOn(change.NfitMiscGranularity, Before(Says("1 sectors")), After(Says("8 sectors")))
}

// consumes are the traits of a scenario in which an access consumes poison.
func consumes(more ...Trait) []Trait {
	return append(more, Exactly(), NeedsPageMap(), Needs("X86_MCE", "MEMORY_FAILURE"))
}

// scenario gives a scenario its id and its traits.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario("mce/"+id, append(traits, Catalogue(catalogue))...)
}

// onDAX is scenario for one of a file system with DAX.
func onDAX(fs FS, id, catalogue string, traits ...Trait) []any {
	return scenario(string(fs)+"/"+id, catalogue, append(traits, NeedsDAX(NFIT, fs))...)
}

// consumed asks for what the one who consumed poison is told: memory_failure()
// reports the page, not the byte.
func consumed(m *Mapping) *Expectation {
	return BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad)))))
}

// story is what follows the machine check: the kernel lists the bad block, and
// whoever comes next, by load or by read(2), is told by what it lists.
type story struct {
	first, listed, again, other, read *Observation
	m                                 *Mapping
}

// tell has one process consume poison in a file on DAX, and then itself and a
// second one, who never touched the page, come again.
func tell(ctx SpecContext, g *Guest, fs FS, flags MapFlags, check inject.MachineCheck) (s story) {
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

func (s story) expect() {
	GinkgoHelper()
	Expect(s.first).To(consumed(s.m))
	Expect(s.listed).To(page())
	Expect(s.again).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
	Expect(s.other).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
	Expect(s.read).To(BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON")))
}

var _ = describe("poison that one process consumed", func() {
	follows := Changes(change.DaxFaultHWPoison, change.NfitMiscGranularity)
	for _, fs := range []FS{Ext4, XFS} {
		Context("on "+string(fs), func() {
			traits := consumes(follows, Catalogue("A17"))
			if fs == Ext4 {
				traits = append(traits, Lead())
			}
			It("is told to it and to a second process", onDAX(fs, "srar-shared", "D01", traits...), func(ctx SpecContext) {
				tell(ctx, StartGuest(ctx), fs, Shared, inject.SRAR()).expect()
			})

			It("is told to those who map privately", onDAX(fs, "srar-private", "D01", consumes(follows)...), func(ctx SpecContext) {
				tell(ctx, StartGuest(ctx), fs, Private, inject.SRAR()).expect()
			})

			// The machine check comes to the processor of the load alone.
			It("is told with two processors", onDAX(fs, "srar-two-cpus", "D01", consumes(follows)...), func(ctx SpecContext) {
				tell(ctx, StartGuest(ctx, CPUs(2)), fs, Shared, inject.SRAR()).expect()
			})

			// Every processor meets the exception, and they wait for each other
			// (mce_start in arch/x86/kernel/cpu/mce/core.c).
			It("is told with two processors that both take the machine check", onDAX(fs, "srar-broadcast", "D01", consumes(follows)...), func(ctx SpecContext) {
				tell(ctx, StartGuest(ctx, CPUs(2)), fs, Shared, inject.SRAR().Everywhere()).expect()
			})

			// The whole huge page is lost to those who mapped it; what is bad is one
			// page of it, and the others can be had again.
			It("is told as a huge page where it was mapped as one", onDAX(fs, "srar-huge", "D01", consumes(follows, Changes(change.DaxFolios), NeedsHugeDAX())...), func(ctx SpecContext) {
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
				Expect(huge).To(BeOutcome(Says("present")))
				Expect(first).To(DependOn(change.DaxFolios,
					Before(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(Page(bad))))),
					After(SIGBUS(BUS_MCEERR_AR, HugePageLSB(), At(m.At(0))))))
				Expect(listed).To(page())
				Expect(neighbour).To(BeOutcome(Says("absent")))
				Expect(again).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
				Expect(good).To(BeOutcome(Reads(Filled(bad + 1))))
				Expect(other).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			// Late kill, the default: poison is told on access only.
			It("is told to another who has it mapped when that one loads", onDAX(fs, "srar-other-late", "D01", consumes(follows)...), func(ctx SpecContext) {
				first, listed, idle, load, m, _ := others(ctx, fs, false)
				Expect(first).To(consumed(m))
				Expect(listed).To(page())
				Expect(idle).To(BeOutcome(OK()))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})

			It("is told at once to another who asked for that", onDAX(fs, "srar-other-early", "D01", consumes(follows, Changes(change.KillEarlyOnConsumption))...), func(ctx SpecContext) {
				first, listed, idle, load, m, m2 := others(ctx, fs, true)
				Expect(first).To(consumed(m))
				Expect(listed).To(page())
				Expect(idle).To(DependOn(change.KillEarlyOnConsumption, Before(OK()), After(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m2.At(Page(bad)))))))
				Expect(load).To(DependOn(change.DaxFaultHWPoison, adrerr, mceerr()))
			})
		})
	}
})

// others has one process consume poison in a page that another has mapped too.
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

var _ = describe("poison in RAM", func() {
	// What can't be split is killed for by force_sig() in kill_me_maybe(), which says
	// nothing of where; since the change by what memory_failure() knows of the folio.
	It("that is part of a dirty folio of several pages is told of the folio, or of nothing", scenario("pagecache-xfs/srar-dirty-folio", "D08", consumes(NeedsDisk(NFIT, XFS), Changes(change.ThpSplitSigbus))...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.PageCache(ctx, XFS).File(ctx, 64*KiB)
		v := g.Victim(ctx)
		m := v.Map(ctx, f, Shared)
		v.Load(ctx, m.At(at()))
		v.LargeFolio(ctx, m.At(at()))
		g.IgnoreInWitness(observe.WitnessLog, "Memory error not recovered", "kill_me_maybe says it without an end of line, and so nobody reads it before something else is said")
		v.Store(ctx, m.At(at()))
		first := v.Consume(ctx, inject.SRAR(), m.At(at()))
		Expect(first).To(DependOn(change.ThpSplitSigbus, Before(SIGBUS(SI_KERNEL, Nowhere())), After(SIGBUS(BUS_MCEERR_AR, LSB(14), At(m.At(Page(bad)))))))
	})

	// The page table gets an entry that remembers (make_hwpoison_entry), which
	// do_swap_page reports with the very byte.
	It("that a process consumed is told again when it comes again", scenario("anon/srar", "D07", consumes()...), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		first := v.Consume(ctx, inject.SRAR(), m.At(at()))
		g.AwaitLog(ctx, Recovered)
		left := v.Present(ctx, m.At(at()))
		again := v.Load(ctx, m.At(at()))
		Expect(first).To(consumed(m))
		Expect(left).To(BeOutcome(Says("swap entry")))
		Expect(again).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})

	for _, fs := range []FS{Ext4, XFS} {
		need := NeedsDisk(NFIT, fs)
		Context("in the page cache of "+string(fs), func() {
			// A clean page is dropped, and read again from its disk. Files of one page
			// have small folios on every kernel.
			It("is told to nobody while the page is clean", scenario("pagecache-"+string(fs)+"/srar-clean", "D08", consumes(need)...), func(ctx SpecContext) {
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

			// What was not written back is lost: fsync(2) says so.
			It("is told to who wrote it while the page is dirty", scenario("pagecache-"+string(fs)+"/srar-dirty", "D08", consumes(need)...), func(ctx SpecContext) {
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
