package framework

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// Victim is a process in the guest that maps memory, accesses it and makes system calls.
//
// A victim survives SIGBUS, unless VictimAs gave it another disposition: its handler
// records the siginfo_t and resumes after the access, which is not repeated. So the same
// victim can be used for further steps. The kernel can still kill a victim; its exit
// status is then the outcome of the step, and later steps must not use it.
type Victim struct {
	g    *Guest
	id   int
	Role string
	PID  int
	maps []*Mapping
	dead bool
	// stuck is the place in the kernel from which the victim does not return; empty while
	// it answers.
	stuck string
	main  *Victim // of a thread: the victim whose memory it shares
	// is32 is set for a 32-bit process.
	is32 bool
}

// Victim starts the scenario's main victim, with the role "victim" and a handler for
// SIGBUS.
func (g *Guest) Victim(ctx context.Context) *Victim { return g.VictimAs(ctx, "victim", wire.Handle) }

// Second starts another victim, with the role "second" and a handler for SIGBUS, to
// observe the effects of what the first one did.
func (g *Guest) Second(ctx context.Context) *Victim { return g.VictimAs(ctx, "second", wire.Handle) }

// VictimAs starts a victim with a role, which is its name in reports, and a disposition
// of SIGBUS. Within a scenario a role is unique.
func (g *Guest) VictimAs(ctx context.Context, role string, sigbus wire.Disposition) *Victim {
	if g.victims[role] != nil {
		g.fail(fmt.Errorf("two victims with the role %q", role))
	}
	s := g.call(ctx, &wire.Request{Spawn: &wire.Spawn{SIGBUS: sigbus}}).Spawned
	v := &Victim{g: g, id: s.Victim, Role: role, PID: s.PID}
	g.victims[role] = v
	return v
}

// Victim32 starts a victim as a 32-bit process, with the role "victim" and a handler for
// SIGBUS. It can map memory, access up to 4 bytes of it, and give advice on it (madvise(2)).
func (g *Guest) Victim32(ctx context.Context) *Victim {
	const role, program = "victim", "/run/victim32"
	c, err := g.vm.SSH(ctx)
	if err == nil {
		err = c.Put(ctx, suite.Current().Victim32(), program)
		c.Close()
	}
	if err != nil {
		g.fail(fmt.Errorf("copy the 32-bit victim into the guest: %w", err))
	}
	reply, err := g.vm.Call(ctx, &wire.Request{Spawn: &wire.Spawn{Program: program}})
	if err != nil && strings.Contains(err.Error(), unix.ENOEXEC.Error()) {
		g.fail(&unsupported{"this kernel runs no 32-bit programs, although its command line has ia32_emulation=1"})
	}
	if err != nil {
		g.ended(err)
	}
	s := reply.Spawned
	v := &Victim{g: g, id: s.Victim, Role: role, PID: s.PID, is32: true}
	g.victims[role] = v
	record(g.rec, role, "start as a 32-bit process", observe.Outcome{}, "")
	return v
}

// Fork forks the victim. The child has a copy of its mappings and can only load and
// store.
func (v *Victim) Fork(ctx context.Context, role string) *Victim {
	if v.g.victims[role] != nil {
		v.g.fail(fmt.Errorf("two victims with the role %q", role))
	}
	s := v.g.call(ctx, &wire.Request{To: v.id, Fork: &wire.Fork{}}).Spawned
	child := &Victim{g: v.g, id: s.Victim, Role: role, PID: s.PID, maps: v.maps}
	v.g.victims[role] = child
	record(v.g.rec, v.Role, "fork "+role, observe.Outcome{}, "")
	return child
}

// Thread starts a thread of the victim: it shares the victim's memory, handles the
// signals that are sent to it, can load, store and make system calls, and ends with the
// victim.
func (v *Victim) Thread(ctx context.Context) *Victim {
	const role = "thread"
	if v.g.victims[role] != nil {
		v.g.fail(fmt.Errorf("two victims with the role %q", role))
	}
	s := v.g.call(ctx, &wire.Request{To: v.id, Fork: &wire.Fork{Thread: true}}).Spawned
	t := &Victim{g: v.g, id: s.Victim, Role: role, PID: s.PID, main: v}
	v.g.victims[role] = t
	record(v.g.rec, v.Role, "start a thread", observe.Outcome{}, "")
	return t
}

// Load loads a byte. The outcome is the byte or the signals.
func (v *Victim) Load(ctx context.Context, a Addr) *Observation {
	return v.access(ctx, wire.Load, a, 1, 0)
}

// Store stores the byte 0x5a.
func (v *Victim) Store(ctx context.Context, a Addr) *Observation {
	return v.access(ctx, wire.Store, a, 1, 0x5a)
}

// Jump calls the code at an address. It must be a return instruction, unless the fetch
// faults.
func (v *Victim) Jump(ctx context.Context, a Addr) *Observation {
	return v.access(ctx, wire.Exec, a, 1, 0)
}

func (v *Victim) access(ctx context.Context, kind wire.Kind, a Addr, width int, value uint64) *Observation {
	v.g.approach(ctx, 1)
	return v.start(kind, a, width, value).Wait(ctx)
}

// Started is an access or a system call in progress. Wait records it.
type Started struct {
	v       *Victim
	action  string
	at      string // the canonical address, of an access
	outcome func(*wire.Reply) observe.Outcome
	pending pending

	once  sync.Once
	reply *wire.Reply
	err   error
}

type pending interface {
	Await(context.Context) (*wire.Reply, error)
}

// StartLoad starts a load, so that other things can happen during it; Started.Wait
// records it.
func (v *Victim) StartLoad(a Addr) *Started { return v.start(wire.Load, a, 1, 0) }

// StartStore is like StartLoad, for Store.
func (v *Victim) StartStore(a Addr) *Started { return v.start(wire.Store, a, 1, 0x5a) }

func (v *Victim) start(kind wire.Kind, a Addr, width int, value uint64) *Started {
	return v.send(&wire.Access{Kind: kind, Addr: a.guest(), Width: width, Value: value}, fmt.Sprintf("%s %s", kind, a), a)
}

// send starts an access, whose name in reports is action.
func (v *Victim) send(access *wire.Access, action string, a Addr) *Started {
	kind := access.Kind
	return &Started{
		v: v, at: a.String(), action: action,
		pending: v.g.vm.Send(&wire.Request{To: v.id, Access: access}),
		outcome: func(r *wire.Reply) observe.Outcome {
			o := observe.Outcome{Signals: v.signals(r.Accessed.Signals)}
			if kind == wire.Load && r.Accessed.Done {
				o.Data = fmt.Sprintf("%02x", r.Accessed.Value)
			}
			return o
		},
	}
}

// await waits for the end. It can be called more than once and from several goroutines.
func (s *Started) await(ctx context.Context) (*wire.Reply, error) {
	s.once.Do(func() { s.reply, s.err = s.v.wait(ctx, s.pending) })
	return s.reply, s.err
}

// ask is Guest.ask for requests that the victim answers.
func (v *Victim) ask(ctx context.Context, req *wire.Request) *wire.Reply {
	known := v.stuck != ""
	reply, err := v.wait(ctx, v.g.vm.Send(req))
	if h := (*hung)(nil); errors.As(err, &h) {
		if op, _ := req.Op(); !known {
			v.g.recordHung(v.Role, op, "", h)
		}
		v.g.fail(fmt.Errorf("%s does not answer: an earlier step of it %w", v.Role, err))
	}
	if err != nil {
		v.g.ended(err)
	}
	return reply
}

// wait waits for the victim's reply. The error is a *hung if the victim does not return.
func (v *Victim) wait(ctx context.Context, p pending) (reply *wire.Reply, err error) {
	if v.stuck != "" {
		return nil, &hung{v.stuck}
	}
	waiting, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reply, err = p.Await(waiting)
	}()
	pid := func(context.Context) (int, error) { return v.PID, nil }
	failed := v.g.answered(ctx, ended, pid, hangLimit)
	stop()
	<-ended
	var h *hung
	switch {
	case errors.As(failed, &h):
		v.stuck = h.where
		return nil, failed
	case failed != nil && err != nil:
		return nil, failed
	}
	return reply, err
}

// Wait waits for the end of the operation and records its outcome as a step.
func (s *Started) Wait(ctx context.Context) *Observation {
	v := s.v
	reply, err := s.await(ctx)
	if err := v.g.watcher.failed(); err != nil {
		v.g.fail(err)
	}
	if h := (*hung)(nil); errors.As(err, &h) {
		return v.g.recordHung(v.Role, s.action, s.at, h)
	}
	if err != nil {
		return record(v.g.rec, v.Role, s.action, v.g.panicked(err), s.at)
	}
	var o observe.Outcome
	if reply.Died != nil {
		o.Exit = v.died(reply.Died)
	} else {
		o = s.outcome(reply)
	}
	return record(v.g.rec, v.Role, s.action, o, s.at)
}

// died marks the victim as dead and returns its exit status.
func (v *Victim) died(s *wire.Status) *observe.Exit {
	v.dead = true
	e := &observe.Exit{Code: s.Code, Core: s.Core}
	if s.Signal != 0 {
		e.Signal = siginfo.SignalName(int32(s.Signal))
	}
	return e
}

// signals decodes payloads and makes si_addr canonical.
func (v *Victim) signals(raw [][]byte) []observe.Signal {
	var out []observe.Signal
	for _, r := range raw {
		decode := siginfo.Decode
		if v.is32 {
			decode = siginfo.Decode32
		}
		in, err := decode(r)
		if err != nil {
			v.g.fail(fmt.Errorf("payload from %s: %w", v.Role, err))
		}
		out = append(out, observe.NewSignal(in, v.canonical(in.Addr)))
	}
	return out
}

func (v *Victim) canonical(addr uint64) string {
	if v.main != nil {
		return v.main.canonical(addr)
	}
	for _, m := range v.maps {
		if addr >= m.Addr && addr < m.Addr+uint64(m.Bytes) {
			return m.At(int64(addr - m.Addr)).String()
		}
	}
	return fmt.Sprintf("%#x", addr)
}
