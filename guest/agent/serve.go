package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// agent serves one host, in one thread: waking a second thread for each event is slow
// where code runs for the first time. The agent executes its own operations in order; a
// victim's reply is sent when the victim is done, so that the host can inspect one victim
// while another is blocked.
type agent struct {
	kmsg kernelLog

	out     io.Writer
	victims map[int]*process // by number; a forked victim is its parent's process
	last    int              // the last number assigned
	spare   []*process
	running []*process // not yet reaped, spares included
	waiting []waiting
	held    map[string]int // descriptors of files that are kept open
}

// serve serves requests until the input ends. The victims then end too, as their
// input closes.
func serve(port string) error {
	in, out := victim.FD(0), victim.FD(1)
	if port != "-" {
		fd, err := openPort(port)
		if err != nil {
			return err
		}
		in, out = fd, fd
		// Data that the host sent before the port was open would be lost.
		if _, err := fmt.Fprintln(out, wire.Ready); err != nil {
			return fmt.Errorf("greet the host: %w", err)
		}
	}
	a := &agent{out: out, victims: map[int]*process{}, held: map[string]int{}}
	lines := wire.NewReader(in)
	for {
		if !lines.More() {
			if host, err := a.await(in); err != nil {
				return err
			} else if !host {
				continue
			}
		}
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

// noFD makes poll ignore an entry.
const noFD = victim.FD(-1)

// await waits until the host or a process writes, a process ends, or a wait expires. It
// handles all of these except the host's requests, and reports whether there is one.
func (a *agent) await(from victim.FD) (host bool, err error) {
	fds := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}} // ppoll(2) ignores negative descriptors
	asked := slices.Clone(a.running)
	for _, p := range asked {
		fds = append(fds, unix.PollFd{Fd: int32(p.out), Events: unix.POLLIN})
	}
	timeout := a.timeout()
	_, _, e := unix.RawSyscall6(
		unix.SYS_PPOLL,
		uintptr(unsafe.Pointer(&fds[0])),
		uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)),
		0,
		0,
		0,
	)
	if e != 0 && e != unix.EINTR {
		return false, fmt.Errorf("wait for the host: %w", e)
	}
	if e == 0 {
		for i, p := range asked {
			if fds[i+1].Revents != 0 {
				a.forward(p)
			}
		}
		host = fds[0].Revents != 0
	}
	for _, p := range asked {
		if p.out == noFD {
			a.reap(p)
		}
	}
	a.expire()
	return host, nil
}

// openPort opens a serial port.
func openPort(path string) (victim.FD, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return victim.FD(fd), nil
}

// handle executes a request and replies, or leaves the reply to a victim.
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

// do executes a request, or forwards line to a victim; later reports whether the
// victim sends the reply.
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
		return false, fmt.Errorf("%s is an operation of the agent, not of victim %d", op, q.To)
	}
	switch {
	case q.Hello != nil:
		r.Welcome, err = a.hello(q.Hello)
	case q.Spawn != nil:
		r.Spawned, err = a.spawn(q.Spawn)
	case q.Wait != nil:
		return true, a.wait(q, line)
	case q.ReadFile != nil:
		r.File, err = a.readFile(q.ReadFile)
	case q.WriteFile != nil:
		r.File, err = a.writeFile(q.WriteFile)
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
		err = fmt.Errorf("%s is an operation of a victim: no victim given", op)
	}
	return false, err
}

// reply sends a reply. A write error is ignored: without a host the agent has nothing
// to do, and the host detects the failure itself.
func (a *agent) reply(r *wire.Reply) {
	b, err := wire.Encode(r)
	if err != nil {
		b, _ = wire.Encode(&wire.Reply{ID: r.ID, Error: err.Error()})
	}
	_, _ = a.out.Write(b)
}
