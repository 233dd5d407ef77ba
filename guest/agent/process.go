package main

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// process is a victim's process.
type process struct {
	pid     int
	number  int // what the host calls it, 0 while it is a spare
	in      victim.FD
	out     victim.FD // nobody once it said all it had to say
	lines   *wire.Reader
	stderr  victim.FD
	pending []pending    // what it has not answered yet, oldest first: it answers in order
	status  *wire.Status // set once it ended
}

// pending is a request that a process has to answer.
type pending struct {
	id    uint64
	ready *bool // not nil: for the agent's own use, set by the answer or the end
}

// waiting is a wait of the host's for the end of a process.
type waiting struct {
	id    uint64
	p     *process
	limit int       // milliseconds, 0 for none
	until time.Time // with a limit
}

// lastWords bounds Status.Output.
const lastWords = 4 << 10

// start starts a victim's process.
func (a *agent) start(d wire.Disposition) (*process, error) {
	var in, out, stderr [2]int
	var opened []int
	for _, p := range []*[2]int{&in, &out, &stderr} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			closeAll(opened)
			return nil, fmt.Errorf("start a victim: pipe: %w", err)
		}
		opened = append(opened, p[0], p[1])
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"victim", "victim", string(d)}, &syscall.ProcAttr{
		Files: []uintptr{uintptr(in[0]), uintptr(out[1]), uintptr(stderr[1])},
		Env:   victim.Env(),
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		closeAll(opened)
		return nil, fmt.Errorf("start a victim: %w", err)
	}
	closeAll([]int{in[0], out[1], stderr[1]})
	unix.SetNonblock(stderr[0], true)
	p := &process{pid: pid, in: victim.FD(in[1]), out: victim.FD(out[0]), lines: wire.NewReader(victim.FD(out[0])), stderr: victim.FD(stderr[0])}
	a.running = append(a.running, p)
	return p, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// attend sends on to the host what a process has to say.
func (a *agent) attend(p *process) {
	for more := true; more; more = p.lines.More() {
		line, err := p.lines.Line()
		if err != nil {
			unix.Close(int(p.out))
			p.out = nobody
			return
		}
		if len(p.pending) == 0 {
			continue
		}
		first := p.pending[0]
		p.pending = p.pending[1:]
		if first.ready != nil {
			*first.ready = true
		} else {
			a.out.Write(line)
		}
	}
}

// reap looks whether a process that says nothing more has ended, and answers what
// it left open.
func (a *agent) reap(p *process) {
	var ws unix.WaitStatus
	if got, err := unix.Wait4(p.pid, &ws, unix.WNOHANG, nil); got == 0 || errors.Is(err, unix.EINTR) {
		return // it is about to: see timeout
	}
	p.status = victim.StatusOf(ws)
	p.status.Output = p.output()
	a.running = slices.DeleteFunc(a.running, func(o *process) bool { return o == p })
	closeAll([]int{int(p.stderr), int(p.in)})
	for _, l := range p.pending {
		if l.ready != nil {
			*l.ready = true
		} else {
			a.reply(&wire.Reply{ID: l.id, Died: p.status})
		}
	}
	p.pending = nil
	a.waiting = slices.DeleteFunc(a.waiting, func(w waiting) bool {
		if w.p == p {
			a.reply(&wire.Reply{ID: w.id, Status: p.status})
		}
		return w.p == p
	})
}

// aMoment is after what time a process that is about to end is looked at again.
const aMoment = time.Millisecond

// timeout is how long nothing has to be done unless somebody says something; nil
// is for ever.
func (a *agent) timeout() *unix.Timespec {
	least := time.Duration(-1)
	for _, w := range a.waiting {
		if w.limit > 0 {
			if left := max(time.Until(w.until), 0); least < 0 || left < least {
				least = left
			}
		}
	}
	for _, p := range a.running {
		if p.out == nobody {
			least = min(max(least, aMoment), aMoment)
		}
	}
	if least < 0 {
		return nil
	}
	ts := unix.NsecToTimespec(int64(least))
	return &ts
}

// expire answers the waits whose time is up.
func (a *agent) expire() {
	if len(a.waiting) == 0 {
		return
	}
	now := time.Now()
	a.waiting = slices.DeleteFunc(a.waiting, func(w waiting) bool {
		up := w.limit > 0 && !now.Before(w.until)
		if up {
			a.reply(&wire.Reply{ID: w.id, Error: fmt.Sprintf("wait for victim %d, process %d: it still runs after %d ms", w.p.number, w.p.pid, w.limit)})
		}
		return up
	})
}

// output is the end of what a process that has ended wrote to stderr: it is
// still in the pipe, which holds more than a victim has to say.
func (p *process) output() string {
	var all []byte
	buf := make([]byte, lastWords)
	for {
		n, err := p.stderr.Read(buf)
		if n <= 0 || err != nil {
			return string(all)
		}
		all = append(all, buf[:n]...)
		all = all[max(0, len(all)-lastWords):]
	}
}

// ask gives a process a request to answer.
func (a *agent) ask(p *process, line []byte, w pending) error {
	if p.status != nil {
		return fmt.Errorf("victim %d has ended: %s", p.number, describe(p.status))
	}
	p.pending = append(p.pending, w)
	// When the process ends over it, reap answers.
	p.in.Write(line)
	return nil
}

// describe says how a process ended.
func describe(s *wire.Status) string {
	if s.Signal != 0 {
		return "by " + siginfo.SignalName(int32(s.Signal))
	}
	return fmt.Sprintf("with exit status %d", s.Code)
}

// of is the process of a victim.
func (a *agent) of(number int) (*process, error) {
	if p := a.victims[number]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("there is no victim %d", number)
}

// pass passes a request on to its victim.
func (a *agent) pass(to int, id uint64, line []byte) error {
	p, err := a.of(to)
	if err != nil {
		return err
	}
	return a.ask(p, line, pending{id: id})
}

// add gives a process a number.
func (a *agent) add(p *process) int {
	a.last++
	a.victims[a.last] = p
	return a.last
}

// spawn answers wire.Spawn.
func (a *agent) spawn(s *wire.Spawn) (*wire.Spawned, error) {
	d := s.SIGBUS
	switch d {
	case "":
		d = wire.Handle
	case wire.Handle, wire.Once, wire.Default, wire.Ignore, wire.Block:
	default:
		return nil, fmt.Errorf("spawn a victim: unknown disposition %q: want %q, %q, %q, %q or %q", d, wire.Handle, wire.Once, wire.Default, wire.Ignore, wire.Block)
	}
	var p *process
	if d == wire.Handle && len(a.spare) > 0 {
		p, a.spare = a.spare[0], a.spare[1:]
	} else {
		var err error
		if p, err = a.start(d); err != nil {
			return nil, err
		}
		if err := a.settle(p); err != nil {
			return nil, err
		}
	}
	p.number = a.add(p)
	return &wire.Spawned{Victim: p.number, PID: p.pid}, nil
}

// prepare starts n victims for later spawns.
func (a *agent) prepare(n int) error {
	var started []*process
	for range n {
		p, err := a.start(wire.Handle)
		if err != nil {
			return err
		}
		started = append(started, p)
	}
	for _, p := range started {
		if err := a.settle(p); err != nil {
			return err
		}
	}
	a.spare = append(a.spare, started...)
	return nil
}

// settle waits until a process has answered once: it has installed its
// handler, and its first real request will not be slower than the others.
func (a *agent) settle(p *process) error {
	line, err := wire.Encode(&wire.Request{Syscall: &wire.Syscall{Name: "getpid"}})
	if err != nil {
		return err
	}
	ready := false
	if err := a.ask(p, line, pending{ready: &ready}); err != nil {
		return err
	}
	for !ready {
		if _, err := a.await(nobody); err != nil {
			return err
		}
	}
	if p.status != nil {
		return fmt.Errorf("start a victim: it ended %s: %s", describe(p.status), p.status.Output)
	}
	return nil
}

// fork asks a victim to fork. The child is reached through its parent.
func (a *agent) fork(q *wire.Request) error {
	p, err := a.of(q.To)
	if err != nil {
		return err
	}
	if p.number != q.To {
		return fmt.Errorf("victim %d was forked and can't fork", q.To)
	}
	q.Fork.Victim = a.add(p)
	line, err := wire.Encode(q)
	if err != nil {
		return err
	}
	return a.ask(p, line, pending{id: q.ID})
}

// wait answers wire.Wait, later: by the end of the victim, or of the time.
func (a *agent) wait(q *wire.Request, line []byte) error {
	w := q.Wait
	p, err := a.of(w.Victim)
	if err != nil {
		return err
	}
	if p.number != w.Victim {
		return a.ask(p, line, pending{id: q.ID}) // its parent must reap it
	}
	if p.status != nil {
		a.reply(&wire.Reply{ID: q.ID, Status: p.status})
		return nil
	}
	if w.Kill {
		// It was not reaped, so the number is its own.
		if err := unix.Kill(p.pid, siginfo.SIGKILL); err != nil {
			return fmt.Errorf("kill victim %d, process %d: %w", w.Victim, p.pid, err)
		}
	}
	a.waiting = append(a.waiting, waiting{id: q.ID, p: p, limit: w.Limit, until: time.Now().Add(time.Duration(w.Limit) * time.Millisecond)})
	return nil
}
