package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// process is a victim's process. One goroutine reads its replies, and after
// them its end.
type process struct {
	pid    int
	number int // what the host calls it, 0 while it is a spare
	in     victim.FD
	stderr victim.FD

	// Guarded by agent.mu.
	pending []pending     // what it has not answered yet, oldest first: it answers in order
	status  *wire.Status  // set once it ended
	ended   chan struct{} // closed then
}

// pending is a request that a process has to answer.
type pending struct {
	id    uint64
	ready chan struct{} // not nil: for the agent's own use, closed by the answer or the end
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
	p := &process{pid: pid, in: victim.FD(in[1]), stderr: victim.FD(stderr[0]), ended: make(chan struct{})}
	go a.attend(p, victim.FD(out[0]))
	return p, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// attend sends a process's replies on to the host, and at its end answers what
// it left open.
func (a *agent) attend(p *process, out victim.FD) {
	lines := wire.NewReader(out)
	for {
		line, err := lines.Line()
		if err != nil {
			break
		}
		a.mu.Lock()
		if len(p.pending) > 0 {
			first := p.pending[0]
			p.pending = p.pending[1:]
			if first.ready != nil {
				close(first.ready)
			} else {
				a.out.Write(line)
			}
		}
		a.mu.Unlock()
	}

	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(p.pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	status := victim.StatusOf(ws)
	status.Output = p.output()

	a.mu.Lock()
	p.status = status
	left := p.pending
	p.pending = nil
	a.mu.Unlock()
	close(p.ended)
	// in stays open: a request may just be on its way into it, and would go to
	// whatever got its number next.
	closeAll([]int{int(p.stderr), int(out)})
	for _, l := range left {
		if l.ready != nil {
			close(l.ready)
		} else {
			a.reply(&wire.Reply{ID: l.id, Died: status})
		}
	}
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

// ask gives a process a request to answer. The lock is not held while the line
// is written: a victim that is busy may let the pipe fill up.
func (a *agent) ask(p *process, line []byte, w pending) error {
	a.mu.Lock()
	if p.status != nil {
		a.mu.Unlock()
		return fmt.Errorf("victim %d has ended: %s", p.number, describe(p.status))
	}
	p.pending = append(p.pending, w)
	a.mu.Unlock()
	// When the process ends over it, attend answers.
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
	a.mu.Lock()
	defer a.mu.Unlock()
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
	a.mu.Lock()
	defer a.mu.Unlock()
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
	case wire.Handle, wire.Default, wire.Ignore, wire.Block:
	default:
		return nil, fmt.Errorf("spawn a victim: unknown disposition %q: want %q, %q, %q or %q", d, wire.Handle, wire.Default, wire.Ignore, wire.Block)
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
	ready := make(chan struct{})
	if err := a.ask(p, line, pending{ready: ready}); err != nil {
		return err
	}
	<-ready
	a.mu.Lock()
	defer a.mu.Unlock()
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
	a.mu.Lock()
	if w.Kill && p.status == nil {
		// Not reaped before status is set, so the number is still its own,
		// unless it is just being reaped: then there is no such process.
		err = unix.Kill(p.pid, siginfo.SIGKILL)
	}
	a.mu.Unlock()
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill victim %d, process %d: %w", w.Victim, p.pid, err)
	}
	go func() { // ends with the victim or the limit
		var limit <-chan time.Time
		if w.Limit > 0 {
			t := time.NewTimer(time.Duration(w.Limit) * time.Millisecond)
			defer t.Stop()
			limit = t.C
		}
		select {
		case <-p.ended:
			a.reply(&wire.Reply{ID: q.ID, Status: p.status})
		case <-limit:
			a.reply(&wire.Reply{ID: q.ID, Error: fmt.Sprintf("wait for victim %d, process %d: it still runs after %d ms", w.Victim, p.pid, w.Limit)})
		}
	}()
	return nil
}
