package victim

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// Trap makes a system call: unix.RawSyscall6 if signals and results must belong to
// this thread, unix.Syscall6 if goroutines must run meanwhile.
type Trap func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

// Call makes a system call by name. The kernel's answer, success or errno, is the
// result; the error is for calls that could not be made.
func Call(s *wire.Syscall, trap Trap) (*wire.SyscallReply, error) {
	number, ok := Number(s.Name)
	if !ok {
		return nil, fmt.Errorf("system call %q: not in the victim's table", s.Name)
	}
	if len(s.Args) > 6 {
		return nil, fmt.Errorf("system call %s: %d arguments, at most 6", s.Name, len(s.Args))
	}

	var (
		args   [6]uintptr
		memory [][]byte // everything that the kernel gets a pointer to
		outs   [][]byte
	)
	for i, a := range s.Args {
		var b []byte
		switch {
		case a.Out < 0 || a.Out > wire.MaxData:
			return nil, fmt.Errorf("system call %s, argument %d: %d bytes, at most %d", s.Name, i, a.Out, wire.MaxData)
		case a.Out > 0:
			b = buffer(max(a.Out, len(a.In)))
			copy(b, a.In)
			outs = append(outs, b[:a.Out])
		case a.In != nil:
			b = buffer(len(a.In))
			copy(b, a.In)
		case a.Str != "":
			b = buffer(len(a.Str) + 1)
			copy(b, a.Str)
		case a.Iov != nil:
			// On 64-bit, struct iovec is a pointer and a size_t: the pairs as they are.
			b = buffer(8 * len(a.Iov))
			for j, v := range a.Iov {
				binary.NativeEndian.PutUint64(b[8*j:], v)
			}
		default:
			args[i] = uintptr(a.Int)
			continue
		}
		memory = append(memory, b)
		args[i] = uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	}

	r1, _, errno := trap(number, args[0], args[1], args[2], args[3], args[4], args[5])
	runtime.KeepAlive(memory)

	r := &wire.SyscallReply{Ret: int64(r1), Out: outs}
	if errno != 0 {
		r.Ret = -1
		r.Errno = ErrnoName(errno)
	}
	return r, nil
}

// buffer allocates memory on the heap, which does not move. Memory that is large enough
// for O_DIRECT gets a page of its own, so that runs are identical.
//
//go:noinline
func buffer(n int) []byte {
	const sector = 512
	if n < sector {
		return make([]byte, n, max(n, 8))
	}
	page := os.Getpagesize()
	b := make([]byte, n+page)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	return b[skip : skip+n : skip+n]
}

// ErrnoName returns the name of an error number, or "errno N".
func ErrnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(e))
}
