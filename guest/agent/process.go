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
	number  int // its number for the host, 0 for a spare
	in      victim.FD
	out     victim.FD // noFD once its output has ended
	lines   *wire.Reader
	stderr  victim.FD
	pending []pending    // unanswered requests, oldest first: it answers in order
	status  *wire.Status // set once it has ended
	// reported is set once a reply had its status.
	reported bool
}

// pending is a request that a process has not answered yet.
type pending struct {
	id    uint64
	ready *bool // if not nil, the agent's own request: set by the reply or the end of the process
}

// waiting is the host's wait for the end of a process.
type waiting struct {
	id    uint64
	p     *process
	limit int       // milliseconds, 0 for none
	until time.Time // with a limit
}

// maxOutput bounds Status.Output.
const maxOutput = 4 << 10

// itself are the arguments that start a victim of the agent's own program.
var itself = []string{"/proc/self/exe", "victim", "victim"}

// start starts a victim's process: a program, its name, its arguments, and the disposition.
func (a *agent) start(d wire.Disposition, command ...string) (*process, error) {
	var in, out, stderr [2]int
	var opened []int
	for _, p := range []*[2]int{&in, &out, &stderr} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			closeAll(opened)
			return nil, fmt.Errorf("start a victim: pipe: %w", err)
		}
		opened = append(opened, p[0], p[1])
	}
	pid, err := syscall.ForkExec(command[0], append(slices.Clone(command[1:]), string(d)), &syscall.ProcAttr{
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
	p := &process{
		pid:    pid,
		in:     victim.FD(in[1]),
		out:    victim.FD(out[0]),
		lines:  wire.NewReader(victim.FD(out[0])),
		stderr: victim.FD(stderr[0]),
	}
	a.running = append(a.running, p)
	return p, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// forward sends a process's replies on to the host.
func (a *agent) forward(p *process) {
	for more := true; more; more = p.lines.More() {
		line, err := p.lines.Line()
		if err != nil {
			unix.Close(int(p.out))
			p.out = noFD
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

// reap checks whether a process that closed its output has ended, and answers its
// pending requests.
func (a *agent) reap(p *process) {
	var ws unix.WaitStatus
	if got, err := unix.Wait4(p.pid, &ws, unix.WNOHANG, nil); got == 0 || errors.Is(err, unix.EINTR) {
		return // it is about to end: see timeout
	}
	p.status = victim.StatusOf(ws)
	p.status.Output = p.output()
	a.running = slices.DeleteFunc(a.running, func(o *process) bool { return o == p })
	closeAll([]int{int(p.stderr), int(p.in)})
	for _, l := range p.pending {
		if l.ready != nil {
			*l.ready = true
		} else {
			p.reported = true
			a.reply(&wire.Reply{ID: l.id, Died: p.status})
		}
	}
	p.pending = nil
	a.waiting = slices.DeleteFunc(a.waiting, func(w waiting) bool {
		if w.p == p {
			p.reported = true
			a.reply(&wire.Reply{ID: w.id, Status: p.status})
		}
		return w.p == p
	})
}

// reapRetry is the interval at which a process that is about to end is checked again.
const reapRetry = time.Millisecond

// timeout returns how long poll may block if no descriptor becomes ready; nil means
// forever.
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
		if p.out == noFD {
			least = min(max(least, reapRetry), reapRetry)
		}
	}
	if least < 0 {
		return nil
	}
	ts := unix.NsecToTimespec(int64(least))
	return &ts
}

// expire answers the waits that have timed out.
func (a *agent) expire() {
	if len(a.waiting) == 0 {
		return
	}
	now := time.Now()
	a.waiting = slices.DeleteFunc(a.waiting, func(w waiting) bool {
		up := w.limit > 0 && !now.Before(w.until)
		if up {
			a.reply(
				&wire.Reply{
					ID:    w.id,
					Error: fmt.Sprintf("wait for victim %d, process %d: still runs after %d ms", w.p.number, w.p.pid, w.limit),
				},
			)
		}
		return up
	})
}

// output returns the end of what an ended process wrote to stderr. It is still in
// the pipe, which has room for more than a victim writes.
func (p *process) output() string {
	var all []byte
	buf := make([]byte, maxOutput)
	for {
		n, err := p.stderr.Read(buf)
		if n <= 0 || err != nil {
			return string(all)
		}
		all = append(all, buf[:n]...)
		all = all[max(0, len(all)-maxOutput):]
	}
}

// ask sends a request to a process. One that ended while it was idle answers with its status
// once; a request to one that is known to have ended is an error.
func (a *agent) ask(p *process, line []byte, w pending) error {
	if p.status != nil && w.ready == nil && !p.reported {
		p.reported = true
		a.reply(&wire.Reply{ID: w.id, Died: p.status})
		return nil
	}
	if p.status != nil {
		return fmt.Errorf("victim %d has ended: %s", p.number, describe(p.status))
	}
	p.pending = append(p.pending, w)
	// If the process ends meanwhile, reap answers.
	p.in.Write(line)
	return nil
}

// describe describes how a process ended.
func describe(s *wire.Status) string {
	if s.Signal != 0 {
		return "by " + siginfo.SignalName(int32(s.Signal))
	}
	return fmt.Sprintf("with exit status %d", s.Code)
}

// of returns the process of a victim.
func (a *agent) of(number int) (*process, error) {
	if p := a.victims[number]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no victim %d", number)
}

// pass forwards a request to its victim.
func (a *agent) pass(to int, id uint64, line []byte) error {
	p, err := a.of(to)
	if err != nil {
		return err
	}
	return a.ask(p, line, pending{id: id})
}

// add numbers a process.
func (a *agent) add(p *process) int {
	a.last++
	a.victims[a.last] = p
	return a.last
}

// spawn executes wire.Spawn.
func (a *agent) spawn(s *wire.Spawn) (*wire.Spawned, error) {
	d := s.SIGBUS
	switch d {
	case "":
		d = wire.Handle
	case wire.Handle, wire.Once, wire.Default, wire.Ignore, wire.Block:
	default:
		return nil, fmt.Errorf(
			"spawn a victim: unknown disposition %q: want %q, %q, %q, %q or %q",
			d,
			wire.Handle,
			wire.Once,
			wire.Default,
			wire.Ignore,
			wire.Block,
		)
	}
	command := itself
	if s.Program != "" {
		command = []string{s.Program, "victim"}
	}
	var p *process
	if d == wire.Handle && s.Program == "" && len(a.spare) > 0 {
		p, a.spare = a.spare[0], a.spare[1:]
	} else {
		var err error
		if p, err = a.start(d, command...); err != nil {
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
		p, err := a.start(wire.Handle, itself...)
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

// settle waits until a process has answered once: its handler is then installed,
// and its first real request is not slower than the others.
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
		if _, err := a.await(noFD); err != nil {
			return err
		}
	}
	if p.status != nil {
		return fmt.Errorf("start a victim: ended %s: %s", describe(p.status), p.status.Output)
	}
	return nil
}

// fork makes a victim fork. The child is reached through its parent.
func (a *agent) fork(q *wire.Request) error {
	p, err := a.of(q.To)
	if err != nil {
		return err
	}
	if p.number != q.To {
		return fmt.Errorf("fork victim %d: it is itself forked and can't fork", q.To)
	}
	q.Fork.Victim = a.add(p)
	line, err := wire.Encode(q)
	if err != nil {
		return err
	}
	return a.ask(p, line, pending{id: q.ID})
}

// wait executes wire.Wait. The reply is sent when the victim ends or the limit expires.
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
		p.reported = true
		a.reply(&wire.Reply{ID: q.ID, Status: p.status})
		return nil
	}
	if w.Kill {
		// It has not been reaped, so its process id was not reused.
		if err := unix.Kill(p.pid, siginfo.SIGKILL); err != nil {
			return fmt.Errorf("kill victim %d, process %d: %w", w.Victim, p.pid, err)
		}
	}
	a.waiting = append(
		a.waiting,
		waiting{id: q.ID, p: p, limit: w.Limit, until: time.Now().Add(time.Duration(w.Limit) * time.Millisecond)},
	)
	return nil
}
