package victim

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// ringSize is the number of signals kept between two answers.
const ringSize = 32

// record is where the handler, or a forked child, records what happens on a thread; the
// assembly depends on the layout.
type record struct {
	value uintptr // the last result of a forked child or a thread
	done  uintptr // its last access was carried out
	armed uintptr // address of the instruction of the current access, 0 outside an access
	news  uintptr // number of BUS_MCEERR_AO at the access itself
	count uintptr // signals since the last drain
	ring  [ringSize][siginfo.Size]byte
}

// A signal handler belongs to the whole process, and so does its data.
var (
	box       record
	threadBox record  // of the thread that startThread started
	threadID  int     // 0 if there is none
	chained   uintptr // the previous handler of SIGSEGV: the Go runtime's
)

// Indices of entry.
const (
	entryLoad     = 0 // followed by the three wider loads
	entryStore    = 4
	entryHandler  = 8
	entryRestorer = 9
	entrySyscall  = 10
)

// sigaction is the kernel's struct sigaction on x86.
type sigaction struct {
	handler  uintptr
	flags    uintptr
	restorer uintptr
	mask     uint64
}

const (
	saSiginfo  = 0x4
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saReset    = 0x80000000 // SA_RESETHAND

	sigDefault = 0
	sigIgnore  = 1

	sigsetSize = 8
)

func rtSigaction(signo int, act, old *sigaction) error {
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signo),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), sigsetSize, 0, 0)
	if e != 0 {
		return fmt.Errorf("rt_sigaction of %s: %w", siginfo.SignalName(int32(signo)), e)
	}
	return nil
}

// Install sets this process's disposition for SIGBUS. A SIGSEGV that an access caused
// is recorded too, whatever the disposition; any other SIGSEGV is passed on to the Go
// runtime. The handler runs on the alternate stack that the runtime created for the
// main thread, with all signals blocked.
func Install(d wire.Disposition) error {
	ours := sigaction{
		handler:  entry(entryHandler),
		flags:    saSiginfo | saRestorer | saOnStack,
		restorer: entry(entryRestorer),
		mask:     ^uint64(0),
	}
	var old sigaction
	if err := rtSigaction(siginfo.SIGSEGV, nil, &old); err != nil {
		return err
	}
	if old.handler != ours.handler {
		if old.handler == sigDefault || old.handler == sigIgnore {
			return errors.New("install the handler of SIGSEGV: the Go runtime has no handler to chain to")
		}
		chained = old.handler
		if err := rtSigaction(siginfo.SIGSEGV, &ours, nil); err != nil {
			return err
		}
	}

	bus := ours
	switch d {
	case wire.Handle, wire.Block, "":
	case wire.Once:
		bus.flags |= saReset
	case wire.Default:
		bus = sigaction{handler: sigDefault}
	case wire.Ignore:
		bus = sigaction{handler: sigIgnore}
	default:
		return fmt.Errorf(
			"unknown disposition %q: want %q, %q, %q, %q or %q",
			d,
			wire.Handle,
			wire.Once,
			wire.Default,
			wire.Ignore,
			wire.Block,
		)
	}
	if err := rtSigaction(siginfo.SIGBUS, &bus, nil); err != nil {
		return err
	}

	how := unix.SIG_UNBLOCK
	if d == wire.Block {
		how = unix.SIG_BLOCK
	}
	set := uint64(1) << (siginfo.SIGBUS - 1)
	if _, _, e := unix.RawSyscall6(
		unix.SYS_RT_SIGPROCMASK,
		uintptr(how),
		uintptr(unsafe.Pointer(&set)),
		0,
		sigsetSize,
		0,
		0,
	); e != 0 {
		return fmt.Errorf("rt_sigprocmask of SIGBUS: %w", e)
	}
	return nil
}

// drain returns the signals recorded since the last drain, and the number of
// those that did not fit.
func drain() (signals [][]byte, lost int) {
	for {
		n := atomic.LoadUintptr(&box.count)
		signals, lost = box.take(n)
		if atomic.CompareAndSwapUintptr(&box.count, n, 0) {
			return signals, lost
		}
	}
}

// take copies n signals out of the ring, and counts those that were dropped.
func (b *record) take(n uintptr) (signals [][]byte, lost int) {
	kept := min(n, ringSize)
	for i := range kept {
		signals = append(signals, append([]byte(nil), b.ring[i][:]...))
	}
	return signals, int(n - kept)
}

// instruction returns the address of the instruction that makes an access.
func instruction(a *wire.Access) (uintptr, error) {
	if a.Kind == wire.Exec {
		return uintptr(a.Addr), nil
	}
	base := entryLoad
	switch a.Kind {
	case wire.Load:
	case wire.Store:
		base = entryStore
	default:
		return 0, fmt.Errorf("unknown kind of access %q: want %q, %q or %q", a.Kind, wire.Load, wire.Store, wire.Exec)
	}
	at := slices.Index([]int{1, 2, 4, 8}, a.Width)
	if at >= 0 && entry(base+at) != 0 { // on 386 there are no accesses of 8 bytes
		return entry(base + at), nil
	}
	return 0, fmt.Errorf("%s of %d bytes: want 1, 2, 4 or 8", a.Kind, a.Width)
}

// operand returns the operand of an access: only a store has a value.
func operand(a *wire.Access) uintptr {
	if a.Kind == wire.Store {
		return uintptr(a.Value)
	}
	return 0
}

// result returns the value of an access: only a completed load has one.
func result(a *wire.Access, value uint64, done bool) uint64 {
	if a.Kind == wire.Load && done {
		return value
	}
	return 0
}

// Touch makes an access. The caller is on the main thread and has called
// Install.
func Touch(a *wire.Access) (*wire.Accessed, error) {
	insn, err := instruction(a)
	if err != nil {
		return nil, err
	}
	value, done := touch(insn, uintptr(a.Addr), operand(a))
	for a.Spin && atomic.LoadUintptr(&box.count) == 0 {
		value, done = touch(insn, uintptr(a.Addr), operand(a))
	}
	r := &wire.Accessed{Value: result(a, uint64(value), done), Done: done}
	r.Signals, r.Lost = drain()
	return r, nil
}
