package main

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// agent serves one host. Its own operations are answered in turn; those of
// victims when the victim is done, so that one victim can be looked at while
// another is stuck.
type agent struct {
	kmsg kernelLog

	mu      sync.Mutex // guards what follows, and that lines leave whole
	out     io.Writer
	victims map[int]*process // by number; a forked victim is its parent's process
	last    int              // the last number given
	spare   []*process
}

// serve serves until the input ends. The victims end with it: their input does.
func serve(port string) error {
	in, out := victim.FD(0), victim.FD(1)
	if port != "-" {
		fd, err := openPort(port)
		if err != nil {
			return err
		}
		in, out = fd, fd
		// What the host sent before the port was open would be lost.
		if _, err := fmt.Fprintln(out, wire.Ready); err != nil {
			return fmt.Errorf("greet the host: %w", err)
		}
	}
	a := &agent{out: out, victims: map[int]*process{}}
	lines := wire.NewReader(in)
	for {
		line, err := lines.Line()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read a request: %w", err)
		}
		a.handle(line)
	}
}

// openPort opens a serial port.
func openPort(path string) (victim.FD, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return victim.FD(fd), nil
}

// handle answers a request, or sees to it that someone will.
func (a *agent) handle(line []byte) {
	var q wire.Request
	err := wire.Decode(line, &q)
	r := &wire.Reply{ID: q.ID}
	if err == nil {
		var later bool
		if later, err = a.do(&q, r, line); later && err == nil {
			return
		}
	}
	if err != nil {
		r.Error = err.Error()
	}
	a.reply(r)
}

// do carries out a request, or passes line on to a victim; later says that the
// reply will come from there.
func (a *agent) do(q *wire.Request, r *wire.Reply, line []byte) (later bool, err error) {
	op, err := q.Op()
	if err != nil {
		return false, err
	}
	if q.To != wire.Agent {
		switch {
		case q.Fork != nil:
			return true, a.fork(q)
		case q.Map != nil, q.Access != nil, q.Syscall != nil:
			return true, a.pass(q.To, q.ID, line)
		}
		return false, fmt.Errorf("%s is the agent's, not victim %d's", op, q.To)
	}
	switch {
	case q.Hello != nil:
		r.Welcome, err = a.hello(q.Hello)
	case q.Spawn != nil:
		r.Spawned, err = a.spawn(q.Spawn)
	case q.Wait != nil:
		return true, a.wait(q, line)
	case q.ReadFile != nil:
		r.File, err = readFile(q.ReadFile)
	case q.WriteFile != nil:
		r.File, err = writeFile(q.WriteFile)
	case q.MakeFile != nil:
		r.Made, err = makeFile(q.MakeFile)
	case q.Pmem != nil:
		r.Devices, err = pmem()
	case q.DM != nil:
		r.Mapper, err = mapDevice(q.DM)
	case q.KernelLog != nil:
		r.Log, err = a.kmsg.read(q.KernelLog.Since)
	case q.Syscall != nil:
		r.Called, err = victim.Call(q.Syscall, unix.Syscall6)
	default:
		err = fmt.Errorf("%s needs a victim to go to", op)
	}
	return false, err
}

// reply sends a reply. An agent that can't be heard has nothing left to do,
// and the host notices that by itself.
func (a *agent) reply(r *wire.Reply) {
	b, err := wire.Encode(r)
	if err != nil {
		b, _ = wire.Encode(&wire.Reply{ID: r.ID, Error: err.Error()})
	}
	a.send(b)
}

func (a *agent) send(line []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.Write(line)
}
