package delivery

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/guest/wire"
)

// bad is the page that becomes bad, and at is the offset in it that is accessed.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// scenario adds the prefix of the id and the common traits. The agent injects poison with
// hard_offline_page, never the victim.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario(
		"delivery/"+id,
		append(traits, Catalogue(catalogue), Needs("MEMORY_FAILURE", "MEMORY_HOTPLUG"), NeedsPageMap())...)
}

// victim starts a victim with this disposition of SIGBUS, which writes a page.
func victim(ctx SpecContext, sigbus wire.Disposition) (*Guest, *Victim, *Mapping) {
	g := StartGuest(ctx)
	v := g.VictimAs(ctx, "victim", sigbus)
	m := v.MapAnonymous(ctx, 64*KiB, 0)
	v.Store(ctx, m.At(at()))
	return g, v, m
}

// poison makes the kernel call memory_failure() for the victim's page.
func poison(ctx SpecContext, g *Guest, v *Victim, m *Mapping) {
	g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad)))))
}

// An access that cannot continue: force_sig_fault_to_task() overrides a blocked or ignored
// signal.
var _ = describe("a load from a poisoned page", func() {
	for _, p := range []struct {
		id, number, does string
		disposition      wire.Disposition
	}{
		{"blocked", "S01", "blocks SIGBUS", wire.Block},
		{"ignored", "S02", "ignores SIGBUS", wire.Ignore},
		{"default", "S03", "leaves SIGBUS at its default", wire.Default},
	} {
		It("kills a process that "+p.does, scenario("load/"+p.id, p.number), func(ctx SpecContext) {
			g, v, m := victim(ctx, p.disposition)
			poison(ctx, g, v, m)
			load := v.Load(ctx, m.At(at()))
			Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
		})
	}

	// The status of wait(2) does not contain the address; the core file does.
	It("leaves BUS_MCEERR_AR in the core file of the process that it kills", scenario("load/core",
		"S11", Needs("ELF_CORE", "TMPFS")), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Default)
		v.DumpsCore(ctx)
		poison(ctx, g, v, m)
		load := v.Load(ctx, m.At(at()))
		kept := v.CoreSignal(ctx)
		Expect(load).To(BeOutcome(DumpedBy("SIGBUS")))
		Expect(kept).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
	})

	It("sends SIGBUS to the thread that loads", scenario("load/thread", "S07"), func(ctx SpecContext) {
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

	// copy_siginfo_to_user32(): si_addr and si_addr_lsb have other places.
	It("has the same siginfo in a 32-bit process", scenario("load/compat", "S12",
		Needs("IA32_EMULATION")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		v := g.Victim32(ctx)
		m := v.MapAnonymous(ctx, 64*KiB, 0)
		v.Store(ctx, m.At(at()))
		poison(ctx, g, v, m)
		load := v.Load(ctx, m.At(at()))
		store := v.Store(ctx, m.At(at()))
		Expect(load).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
		Expect(store).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})

	It("panics the kernel in process 1", Scenario("delivery/load/init", Catalogue("S13"),
		Impossible("process 1 of a guest is Faultline's init: its death is a panic (\"Attempted to kill init!\"), "+
			"so a victim (the process that is tested) refuses to be process 1")), func(SpecContext) {})

	It("is reported to a Go program without si_addr_lsb", Scenario("delivery/load/go-runtime", Catalogue("S15"),
		Impossible("the tested process replaces the SIGBUS handler of Go's runtime, which does not provide si_addr_lsb "+
			"(runtime/debug.SetPanicOnFault)")), func(SpecContext) {})
})

// SA_RESETHAND in sigaction(2) resets the disposition when the handler is called.
var _ = describe("with SA_RESETHAND,", func() {
	It("a second load from a poisoned page kills the process", scenario("load/once", "S14"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Once)
		poison(ctx, g, v, m)
		first := v.Load(ctx, m.At(at()))
		second := v.Load(ctx, m.At(at()))
		Expect(first).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(second).To(BeOutcome(KilledBy("SIGBUS")))
	})
})

// There is no poison beyond the end of a file, but the signal is forced in the same way.
var _ = describe("a load beyond the end of a file", func() {
	It("kills a process that blocks SIGBUS, as consuming poison does", Scenario("delivery/past-eof/blocked",
		Catalogue("S01"), Needs("TMPFS")), func(ctx SpecContext) {
		g := StartGuest(ctx)
		f := g.TmpfsFile(ctx, 16*KiB)
		v := g.VictimAs(ctx, "victim", wire.Block)
		m := v.MapPart(ctx, f, 0, 64*KiB, Shared)
		load := v.Load(ctx, m.At(Page(8)+5))
		Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
	})

	It("leaves BUS_ADRERR in the core file", Scenario("delivery/past-eof/core",
		Catalogue("S11"), Needs("ELF_CORE", "TMPFS")), func(ctx SpecContext) {
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
})

var _ = describe("a tracer", func() {
	It("reads the same siginfo at the signal stop as the process then receives", scenario("load/traced",
		"S10"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Handle)
		tracer := g.Second(ctx)
		tracer.Trace(ctx, v)
		poison(ctx, g, v, m)
		load := v.StartLoad(m.At(at()))
		stop := tracer.TracedSignal(ctx, v)
		handled := load.Wait(ctx)
		Expect(stop).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(at())))))
		Expect(handled).To(BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())))
	})
})

// No access has happened yet: send_sig_mceerr() sends a signal that can be blocked and
// ignored, as kill(2) does.
var _ = describe("an action-optional SIGBUS (BUS_MCEERR_AO)", func() {
	early := func(ctx SpecContext, sigbus wire.Disposition) (*Guest, *Victim, *Mapping) {
		g, v, m := victim(ctx, sigbus)
		v.KillEarly(ctx)
		return g, v, m
	}
	optional := func(m *Mapping) *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AO, PageLSB(), At(m.At(Page(bad))))) }

	It("is delivered to a process that handles it", scenario("news/handled", "S04"), func(ctx SpecContext) {
		g, v, m := early(ctx, wire.Handle)
		poison(ctx, g, v, m)
		Expect(v.Idle(ctx)).To(optional(m))
	})

	It("stays pending while blocked, until sigtimedwait(2) takes it", scenario(
		"news/blocked", "S04"), func(ctx SpecContext) {
		g, v, m := early(ctx, wire.Block)
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

	// Two pages cause two signals, of which one is kept: SIGBUS does not queue.
	It("is kept, while blocked, only for the first of two pages", scenario("news/blocked-twice",
		"S04"), func(ctx SpecContext) {
		g, v, m := early(ctx, wire.Block)
		v.Store(ctx, m.At(Page(bad+1)+5))
		poison(ctx, g, v, m)
		g.Inject(ctx, inject.HardOffline(v.Frame(ctx, m.At(Page(bad+1)))))
		taken := v.TakePending(ctx)
		again := v.TakePending(ctx)
		Expect(taken).To(optional(m))
		Expect(again).To(BeOutcome(Errno("EAGAIN")))
	})

	It("can be read from a signalfd", scenario("news/signalfd", "S05", Needs("SIGNALFD")), func(ctx SpecContext) {
		g, v, m := early(ctx, wire.Block)
		fd := v.Signalfd(ctx)
		before := v.ReadSignalfd(ctx, fd)
		poison(ctx, g, v, m)
		read := v.ReadSignalfd(ctx, fd)
		again := v.ReadSignalfd(ctx, fd)
		Expect(before).To(BeOutcome(Errno("EAGAIN")))
		Expect(read).To(optional(m))
		Expect(again).To(BeOutcome(Errno("EAGAIN")))
	})

	// find_early_kill_thread(): the setting of prctl(2) belongs to one thread.
	It("is delivered to the thread that set PR_MCE_KILL_EARLY", scenario("news/thread", "S09"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Handle)
		thread := v.Thread(ctx)
		thread.KillEarly(ctx)
		poison(ctx, g, v, m)
		signalled := thread.Idle(ctx)
		other := v.Idle(ctx)
		Expect(signalled).To(optional(m))
		Expect(other).To(BeOutcome(OK()))
	})

	It("is discarded if the process ignores SIGBUS, and the next load kills the process", scenario("news/ignored",
		"S06"), func(ctx SpecContext) {
		g, v, m := early(ctx, wire.Ignore)
		poison(ctx, g, v, m)
		idle := v.Idle(ctx)
		load := v.Load(ctx, m.At(at()))
		Expect(idle).To(BeOutcome(OK()))
		Expect(load).To(BeOutcome(KilledBy("SIGBUS")))
	})

	It("is not sent without PR_MCE_KILL_EARLY", scenario("news/late", "S06"), func(ctx SpecContext) {
		g, v, m := victim(ctx, wire.Block)
		poison(ctx, g, v, m)
		taken := v.TakePending(ctx)
		Expect(taken).To(BeOutcome(Errno("EAGAIN")))
	})
})
