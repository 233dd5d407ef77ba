package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// FD is a file descriptor of a victim, with the name of the file.
type FD struct {
	n    int
	name string
}

// Out is an argument of Syscall: a buffer of that many bytes, which the call fills. The
// first one's content is part of the outcome.
type Out int

// Vector is an argument of Syscall: a struct iovec for bytes of a mapping.
type Vector struct {
	at Addr
	n  int64
}

// Vec returns the Vector of n bytes at an address.
func Vec(a Addr, n int64) Vector { return Vector{a, n} }

// Syscall makes a system call in the victim. Arguments are of type int, int64, string
// (paths), []byte (memory that the call reads), Out (memory that it fills), Addr, Vector,
// FD, or *Victim (its process id). An error of the call is an outcome: compare it with
// Errno.
func (v *Victim) Syscall(ctx context.Context, name string, args ...any) *Observation {
	v.g.approach(ctx, 1)
	return v.StartSyscall(name, args...).Wait(ctx)
}

// StartSyscall starts a system call, so that other things can happen during it;
// Started.Wait records it.
func (v *Victim) StartSyscall(name string, args ...any) *Started {
	wired, words := wireArgs(args)
	return &Started{
		v: v, action: v.g.roles().Named(fmt.Sprintf("%s(%s)", name, words)), // a path may have a disk's number in it
		pending: v.g.vm.Send(&wire.Request{To: v.id, Syscall: &wire.Syscall{Name: name, Args: wired}}),
		outcome: func(r *wire.Reply) observe.Outcome { return v.called(r.Called) },
	}
}

// called returns the outcome of a system call.
func (v *Victim) called(c *wire.SyscallReply) observe.Outcome {
	o := observe.Outcome{Errno: c.Errno, Signals: v.signals(c.Signals)}
	if c.Errno == "" {
		o.Ret = &c.Ret
	}
	if len(c.Out) > 0 && c.Errno == "" && c.Ret > 0 {
		read := observe.Data(c.Out[0][:min(int64(len(c.Out[0])), c.Ret)])
		o.Data, o.Digest = read.Data, read.Digest
	}
	return o
}

// Open opens a file in the victim. An error ends the scenario.
func (v *Victim) Open(ctx context.Context, path, name string, flags int) FD {
	return v.opened(v.Syscall(ctx, "openat", -100, path, flags|unix.O_CLOEXEC, 0), path, name)
}

// opened returns the file descriptor that a system call returned.
func (v *Victim) opened(seen *Observation, path, name string) FD {
	switch {
	case seen.Errno != "":
		v.g.fail(fmt.Errorf("open %s: %s", path, seen.Errno))
	case seen.Ret == nil: // the victim ended first
		v.g.fail(fmt.Errorf("open %s: %s", path, seen.Located()))
	}
	return FD{int(*seen.Ret), name}
}

// PIDFD opens a file descriptor that refers to another victim (pidfd_open(2)).
func (v *Victim) PIDFD(ctx context.Context, other *Victim) FD {
	return v.opened(v.Syscall(ctx, "pidfd_open", other, 0), "the process "+other.Role, other.Role)
}

// OpenFile opens a file for reading and writing, without mapping it.
func (v *Victim) OpenFile(ctx context.Context, f *File) FD {
	return v.Open(ctx, f.Path, f.Name, unix.O_RDWR)
}

// Pread reads n bytes at an offset (pread(2)).
func (v *Victim) Pread(ctx context.Context, fd FD, n, offset int64) *Observation {
	return v.Syscall(ctx, "pread64", fd, Out(n), n, offset)
}

// Pwrite writes n bytes of 0x5a at an offset (pwrite(2)).
func (v *Victim) Pwrite(ctx context.Context, fd FD, n, offset int64) *Observation {
	return v.Syscall(ctx, "pwrite64", fd, []byte(strings.Repeat("\x5a", int(n))), n, offset)
}

// Advice for Madvise.
const (
	MADV_DONTNEED       = unix.MADV_DONTNEED
	MADV_FREE           = unix.MADV_FREE
	MADV_MERGEABLE      = unix.MADV_MERGEABLE
	MADV_HUGEPAGE       = unix.MADV_HUGEPAGE
	MADV_PAGEOUT        = unix.MADV_PAGEOUT
	MADV_POPULATE_READ  = 22
	MADV_POPULATE_WRITE = 23
	MADV_COLLAPSE       = 25
	MADV_HWPOISON       = 100
	MADV_SOFT_OFFLINE   = 101
	MADV_GUARD_INSTALL  = 102
)

// Madvise gives advice on n bytes (madvise(2)).
func (v *Victim) Madvise(ctx context.Context, a Addr, n int64, advice int) *Observation {
	if advice == MADV_HWPOISON {
		v.g.injected, v.g.poisoned = true, true
	}
	return v.Syscall(ctx, "madvise", a, n, advice)
}

// Msync writes back n bytes of a mapping, starting at an address, and waits for it
// (msync(2), MS_SYNC). On DAX that flushes the processor's cache (dax_writeback_one).
func (v *Victim) Msync(ctx context.Context, a Addr, n int64) *Observation {
	return v.Syscall(ctx, "msync", a, n, unix.MS_SYNC)
}

// wireArgs returns a system call's arguments for package wire, and as canonical text.
func wireArgs(args []any) ([]wire.Arg, string) {
	var wired []wire.Arg
	var words []string
	for _, a := range args {
		var w wire.Arg
		word := ""
		switch a := a.(type) {
		case int:
			w.Int, word = int64(a), strconv.Itoa(a)
		case int64:
			w.Int, word = a, strconv.FormatInt(a, 10)
		case string:
			w.Str, word = a, strconv.Quote(a)
		case []byte:
			w.In, word = a, fmt.Sprintf("%d bytes", len(a))
		case Out:
			w.Out, word = int(a), "buffer"
		case Addr:
			w.Int, word = int64(a.guest()), a.String()
		case *Victim:
			w.Int, word = int64(a.PID), a.Role
		case Vector:
			w.Iov, word = []uint64{a.at.guest(), uint64(a.n)}, fmt.Sprintf("%s, %d bytes", a.at, a.n)
		case FD:
			w.Int, word = int64(a.n), a.name
		default:
			panic(fmt.Sprintf("system call argument of type %T", a))
		}
		wired, words = append(wired, w), append(words, word)
	}
	return wired, strings.Join(words, ", ")
}

// KillEarly sets the victim's policy for poison that it has mapped but not touched to
// early kill (PR_MCE_KILL in prctl(2)): the kernel sends the signal at once.
func (v *Victim) KillEarly(ctx context.Context) {
	const prMCEKill, set, early = 33, 1, 1
	if seen := v.Syscall(ctx, "prctl", prMCEKill, set, early, 0, 0); seen.Errno != "" {
		v.g.fail(fmt.Errorf("prctl(PR_MCE_KILL) in %s: %s", v.Role, seen.Errno))
	}
}

// Pipe makes a pipe in the victim (pipe2(2)).
func (v *Victim) Pipe(ctx context.Context) (r, w FD) {
	return v.pair(v.setUp(ctx, "pipe2", Out(pairBytes), unix.O_CLOEXEC), "pipe")
}

// SocketPair makes two connected sockets in the victim (socketpair(2)).
func (v *Victim) SocketPair(ctx context.Context) (one, other FD) {
	return v.pair(
		v.setUp(ctx, "socketpair", unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, Out(pairBytes)),
		"socket",
	)
}

const pairBytes = 8 // two file descriptors

// pair returns the two file descriptors that a system call made.
func (v *Victim) pair(made *wire.SyscallReply, name string) (FD, FD) {
	fds := made.Out[0]
	return FD{int(binary.LittleEndian.Uint32(fds)), name}, FD{int(binary.LittleEndian.Uint32(fds[4:])), name}
}
