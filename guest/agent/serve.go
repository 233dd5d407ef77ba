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

// agent serves one host, in one thread: another one would have to be woken for each
// thing that happens, which is dear where code runs for the first time. Its own
// operations are answered in turn; those of victims when the victim is done, so that
// one victim can be looked at while another is stuck.
type agent struct {
	kmsg kernelLog

	out     io.Writer
	victims map[int]*process // by number; a forked victim is its parent's process
	last    int              // the last number given
	spare   []*process
	running []*process // those whose end was not seen, spares included
	waiting []waiting
	held    map[string]int // descriptors of files that are kept open
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

// nobody stands for the host where it is not listened to.
const nobody = victim.FD(-1)

// await waits until the host says something, a process does or ends, or the time
// of a wait is up; and deals with all of that but what the host says.
func (a *agent) await(from victim.FD) (host bool, err error) {
	fds := []unix.PollFd{{Fd: int32(from), Events: unix.POLLIN}} // ppoll(2) passes over a negative one
	asked := slices.Clone(a.running)
	for _, p := range asked {
		fds = append(fds, unix.PollFd{Fd: int32(p.out), Events: unix.POLLIN})
	}
	timeout := a.timeout()
	_, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	if e != 0 && e != unix.EINTR {
		return false, fmt.Errorf("wait for the host: %w", e)
	}
	if e == 0 {
		for i, p := range asked {
			if fds[i+1].Revents != 0 {
				a.attend(p)
			}
		}
		host = fds[0].Revents != 0
	}
	for _, p := range asked {
		if p.out == nobody {
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
	_, _ = a.out.Write(b)
}
