package delivery

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/guest/wire"
)

// bad is the page that goes bad, and at is the byte of it that is accessed.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// scenario gives a scenario its id and its traits. Poison is made by who writes to
// hard_offline_page, and so never by the victim.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario("delivery/"+id, append(traits, Catalogue(catalogue), Needs("MEMORY_FAILURE", "MEMORY_HOTPLUG"), NeedsPageMap())...)
}

// victim is one with this disposition, which has written a page.
func victim(ctx SpecContext, sigbus wire.Disposition) (*Guest, *Victim, *Mapping) {
	g := StartGuest(ctx)
	v := g.VictimAs(ctx, "victim", sigbus)
	m := v.MapAnonymous(ctx, 64*KiB, 0)
	v.Store(ctx, m.At(at()))
	return g, v, m
}

// poison has memory_failure() called for the victim's page.
func poison(ctx SpecContext, g *Guest, v *Victim, m *Mapping) {
	g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad)))))
}

// An access that can't go on: force_sig_fault_to_task() lets nobody keep the signal away.
var _ = describe("a load of poison", func() {
	for _, who := range []struct{ id, number, does string }{
		{"blocked", "S01", "blocks the signal"},
		{"ignored", "S02", "ignores it"},
		{"default", "S03", "leaves it as it is"},
	} {
		disposition := map[string]wire.Disposition{"blocked": wire.Block, "ignored": wire.Ignore, "default": wire.Default}[who.id]
		It("ends a process that "+who.does, scenario("load/"+who.id, who.number), func(ctx SpecContext) {
			g, v, m := victim(ctx, disposition)
			poison(ctx, g, v, m)
			load := v.Load(ctx, m.At(at()))
			Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
		})
	}

	// Beyond the end of a file there is no poison, and it ends alike.
	It("is as deadly as one without poison to a process that blocks the signal", Scenario("delivery/past-eof/blocked", Catalogue("S01"), Needs("TMPFS")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.TmpfsFile(ctx, 16*KiB)
		v := g.VictimAs(ctx, "victim", wire.Block)
		m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
		load := v.Load(ctx, m.At(Page(8)+5))
		Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
	})

	// What a parent learns by wait(2) has no room for the address; the core file has.
	It("is kept in the core file of a process that it ends", scenario("load/core", "S11", Needs("ELF_CORE", "TMPFS")), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Default)
		v.DumpsCore(ctx)
		poison(ctx, g, v, m)
		load := v.Load(ctx, m.At(at()))
		kept := v.CoreSignal(ctx)
		Expect(load).To(BeOutcome(DumpedBy("SIGBUS")))
		Expect(kept).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
	})

	It("beyond the end of a file is kept in the core file without poison", Scenario("delivery/past-eof/core", Catalogue("S11"), Needs("ELF_CORE", "TMPFS")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.TmpfsFile(ctx, 16*KiB)
		v := g.VictimAs(ctx, "victim", wire.Default)
		m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
		v.DumpsCore(ctx)
		load := v.Load(ctx, m.At(Page(8)+5))
		kept := v.CoreSignal(ctx)
		Expect(load).To(BeOutcome(DumpedBy("SIGBUS")))
		Expect(kept).To(BeOutcome(SIGBUS(BUS_ADRERR, At(m.At(Page(8)+5)))))
	})

	// SA_RESETHAND in sigaction(2): the disposition is taken back as the handler is called.
	It("ends a process the second time that asked to be told once", scenario("load/once", "S14"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Once)
		poison(ctx, g, v, m)
		first := v.Load(ctx, m.At(at()))
		second := v.Load(ctx, m.At(at()))
		Expect(first).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(second).To(BeOutcome(KilledBy("SIGBUS")))
	})

	It("is told to the thread that loads", scenario("load/thread", "S07"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Handle)
		thread := v.Thread(ctx)
		poison(ctx, g, v, m)
		load := thread.Load(ctx, m.At(at()))
		other := v.Idle(ctx)
		own := v.Load(ctx, m.At(at()))
		idle := thread.Idle(ctx)
		Expect(load).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(other).To(BeOutcome(OK()))
		Expect(own).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(idle).To(BeOutcome(OK()))
	})

	It("is told to a tracer as to the process itself", scenario("load/traced", "S10"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Handle)
		tracer := g.Second(ctx)
		tracer.Trace(ctx, v)
		poison(ctx, g, v, m)
		load := v.StartLoad(m.At(at()))
		stop := tracer.TracedSignal(ctx, v)
		told := load.Wait(ctx)
		Expect(stop).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(told).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})
})

// Nothing happened yet: send_sig_mceerr() is a signal like those of kill(2).
var _ = describe("news of poison", func() {
	news := func(ctx SpecContext, sigbus wire.Disposition) (*Guest, *Victim, *Mapping) {
		g, v, m := victim(ctx, sigbus)
		v.KillEarly(ctx)
		return g, v, m
	}
	optional := func(m *Mapping) *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m.At(Page(bad))))) }

	It("comes to a process that handles it", scenario("news/handled", "S04"), func(ctx SpecContext) {
		g, v, m := news(ctx, wire.Handle)
		poison(ctx, g, v, m)
		Expect(v.Idle(ctx)).To(optional(m))
	})

	It("waits for a process that blocks it, which takes it by sigtimedwait", scenario("news/blocked", "S04"), func(ctx SpecContext) {
		g, v, m := news(ctx, wire.Block)
		before := v.TakePending(ctx)
		poison(ctx, g, v, m)
		idle := v.Idle(ctx)
		taken := v.TakePending(ctx)
		again := v.TakePending(ctx)
		Expect(before).To(BeOutcome(Errno("EAGAIN")))
		Expect(idle).To(BeOutcome(OK()))
		Expect(taken).To(optional(m))
		Expect(again).To(BeOutcome(Errno("EAGAIN")))
	})

	// Two pages are two signals, of which one is kept: SIGBUS does not queue.
	It("is kept once, of the first page, where it is blocked", scenario("news/blocked-twice", "S04"), func(ctx SpecContext) {
		g, v, m := news(ctx, wire.Block)
		v.Store(ctx, m.At(Page(bad+1)+5))
		poison(ctx, g, v, m)
		g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad+1)))))
		taken := v.TakePending(ctx)
		again := v.TakePending(ctx)
		Expect(taken).To(optional(m))
		Expect(again).To(BeOutcome(Errno("EAGAIN")))
	})

	It("is read from a signalfd", scenario("news/signalfd", "S05", Needs("SIGNALFD")), func(ctx SpecContext) {
		g, v, m := news(ctx, wire.Block)
		fd := v.Signalfd(ctx)
		before := v.ReadSignalfd(ctx, fd)
		poison(ctx, g, v, m)
		read := v.ReadSignalfd(ctx, fd)
		again := v.ReadSignalfd(ctx, fd)
		Expect(before).To(BeOutcome(Errno("EAGAIN")))
		Expect(read).To(optional(m))
		Expect(again).To(BeOutcome(Errno("EAGAIN")))
	})

	// find_early_kill_thread(): prctl(2) is of one thread.
	It("comes to the thread that asked for it", scenario("news/thread", "S09"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Handle)
		thread := v.Thread(ctx)
		thread.KillEarly(ctx)
		poison(ctx, g, v, m)
		told := thread.Idle(ctx)
		other := v.Idle(ctx)
		Expect(told).To(optional(m))
		Expect(other).To(BeOutcome(OK()))
	})

	It("is lost on a process that ignores it, which ends at its next load", scenario("news/ignored", "S06"), func(ctx SpecContext) {
		g, v, m := news(ctx, wire.Ignore)
		poison(ctx, g, v, m)
		idle := v.Idle(ctx)
		load := v.Load(ctx, m.At(at()))
		Expect(idle).To(BeOutcome(OK()))
		Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
	})

	It("is not told where nobody asked for it", scenario("news/late", "S06"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Block)
		poison(ctx, g, v, m)
		taken := v.TakePending(ctx)
		Expect(taken).To(BeOutcome(Errno("EAGAIN")))
	})
})

var _ = describe("a victim", func() {
	It("of 32 bits is told alike", Scenario("delivery/load/compat", Catalogue("S12"),
		Impossible("no 32-bit victim is written: the handler and the accesses are assembly of AMD64; the kernels run such programs (CONFIG_IA32_EMULATION)")), func(SpecContext) {})

	It("that is process 1 takes the guest with it", Scenario("delivery/load/init", Catalogue("S13"),
		Impossible("process 1 of a guest is the rig's: its death is a panic (\"Attempted to kill init!\"), so a victim refuses to be it")), func(SpecContext) {})

	It("with the handler of Go's runtime is told nothing of the page's size", Scenario("delivery/load/go-runtime", Catalogue("S15"),
		Impossible("a victim has a handler of its own, for Go's runtime hands out the address alone (runtime/debug.SetPanicOnFault) or dies with address and code")), func(SpecContext) {})
})
