package victim

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// Env returns the environment to start a victim with. The Go runtime must not
// interfere with the victim's signals and file descriptors: no collections, no
// SIGURG to preempt it, and no open files of its cgroup.
func Env() []string {
	return []string{
		"GOGC=off",
		"GODEBUG=asyncpreemptoff=1,containermaxprocs=0",
		"GOMAXPROCS=1",
		"GOTRACEBACK=single",
	}
}

// Serve installs d and answers requests from in on out until in ends. The
// caller is locked to the process's main thread.
func Serve(d wire.Disposition, in io.Reader, out io.Writer) error {
	if !written {
		return fmt.Errorf("victims are not implemented for %s", runtime.GOARCH)
	}
	if unix.Getpid() == 1 {
		return errors.New("a victim must not be process 1: its death would end the guest")
	}
	if unix.Gettid() != unix.Getpid() {
		return errors.New("a victim must run on the main thread")
	}
	// The process name that the kernel logs when it kills the victim.
	name := []byte("victim\x00")
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
		return fmt.Errorf("set the process name: %w", err)
	}
	if err := Install(d); err != nil {
		return err
	}
	v := &server{maps: newMapper(), children: map[int]*child{}}
	if err := v.rehearse(); err != nil {
		return err
	}
	Stock()
	Quiet()
	lines := wire.NewReader(in)
	for {
		line, err := lines.Line()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		b, err := wire.Encode(v.answer(line))
		if err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("write a reply: %w", err)
		}
	}
}

// rehearse executes a request of its own and undoes its effects, so that the process
// allocates the memory for a first answer before the guest is frozen and not in
// every clone.
func (v *server) rehearse() error {
	line, err := wire.Encode(&wire.Request{Map: &wire.Map{Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE}})
	if err != nil {
		return err
	}
	r := v.answer(line)
	if _, err := wire.Encode(r); err != nil {
		return err
	}
	if r.Mapped == nil || r.Mapped.Errno != "" {
		return fmt.Errorf("map a page: %s", r.Error)
	}
	if line, err = wire.Encode(
		&wire.Request{Access: &wire.Access{Kind: wire.Load, Addr: r.Mapped.Addr, Width: 1}},
	); err == nil {
		_, err = wire.Encode(v.answer(line))
	}
	if err != nil {
		return err
	}
	unix.RawSyscall(unix.SYS_MUNMAP, uintptr(r.Mapped.Addr), 4096, 0)
	v.maps = newMapper()
	return nil
}

type server struct {
	maps     *mapper
	children map[int]*child // by the numbers that the agent assigned
}

func (v *server) answer(line []byte) *wire.Reply {
	var q wire.Request
	err := wire.Decode(line, &q)
	r := &wire.Reply{ID: q.ID}
	if err == nil {
		err = v.do(&q, r)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (v *server) do(q *wire.Request, r *wire.Reply) (err error) {
	op, err := q.Op()
	if err != nil {
		return err
	}
	if q.Wait != nil {
		c := v.children[q.Wait.Victim]
		if c == nil {
			return fmt.Errorf("victim %d is not a child of this victim", q.Wait.Victim)
		}
		r.Status, err = c.wait(q.Wait)
		return err
	}
	if c := v.children[q.To]; c != nil {
		switch {
		case q.Access != nil:
			r.Accessed, r.Died, err = c.access(q.Access)
		case q.Syscall != nil && c.thread != nil:
			r.Called, err = c.syscall(q.Syscall)
		default:
			err = fmt.Errorf("victim %d is forked and can only access memory, not %s", q.To, op)
		}
		return err
	}
	switch {
	case q.Map != nil:
		r.Mapped, err = v.maps.mmap(q.Map)
	case q.Access != nil:
		r.Accessed, err = Touch(q.Access)
	case q.Syscall != nil:
		if r.Called, err = Call(q.Syscall, unix.RawSyscall6); err == nil {
			r.Called.Signals, r.Called.Lost = drain()
		}
	case q.Fork != nil:
		start := newChild
		if q.Fork.Thread {
			start = newThread
		}
		var c *child
		if c, err = start(); err == nil {
			v.children[q.Fork.Victim] = c
			r.Spawned = &wire.Spawned{Victim: q.Fork.Victim, PID: c.pid}
		}
	default:
		return fmt.Errorf("%s is not an operation of a victim", op)
	}
	return err
}
