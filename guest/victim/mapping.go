package victim

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// mapper chooses the addresses of mappings.
type mapper struct{ next uintptr }

func newMapper() *mapper { return &mapper{next: mapBase} }

// mmap executes wire.Map. The address is only a hint, which the kernel honours if
// the range is free: MAP_FIXED_NOREPLACE would turn every MAP_SHARED_VALIDATE
// into EOPNOTSUPP (mm/mmap.c:do_mmap, LEGACY_MAP_MASK).
func (m *mapper) mmap(w *wire.Map) (*wire.MapReply, error) {
	if w.Length <= 0 {
		return nil, fmt.Errorf("map %d bytes: want a positive length", w.Length)
	}
	fd, flags := -1, w.Flags
	if w.Path == "" {
		flags |= unix.MAP_ANONYMOUS
	} else {
		var err error
		if fd, err = open(w.Path); err != nil {
			return nil, fmt.Errorf("open %s to map it: %w", w.Path, err)
		}
	}
	addr, _, errno := unix.RawSyscall6(
		sysMmap,
		m.next,
		uintptr(w.Length),
		uintptr(w.Prot),
		uintptr(flags),
		uintptr(fd),
		uintptr(w.Offset/mmapUnit),
	)
	if errno == 0 && addr != m.next {
		unix.RawSyscall(unix.SYS_MUNMAP, addr, uintptr(w.Length), 0)
		closeFD(fd)
		return nil, fmt.Errorf("map %d bytes of %q: the kernel chose %#x instead of %#x", w.Length, w.Path, addr, m.next)
	}
	if errno != 0 {
		closeFD(fd)
		return &wire.MapReply{FD: -1, Errno: ErrnoName(errno)}, nil
	}
	m.next += (uintptr(w.Length)/mapStep + 1) * mapStep
	return &wire.MapReply{Addr: uint64(addr), FD: fd}, nil
}

// open opens a file for reading and writing, or for what its permissions allow.
func open(path string) (int, error) {
	fd, err := openAs(path, unix.O_RDWR)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS), errors.Is(err, unix.ETXTBSY):
		return openAs(path, unix.O_RDONLY)
	}
	return fd, err
}

// openAs bypasses the Go scheduler, as FD.Read does.
func openAs(path string, how int) (int, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	at := unix.AT_FDCWD
	fd, _, e := unix.RawSyscall6(
		unix.SYS_OPENAT,
		uintptr(at),
		uintptr(unsafe.Pointer(name)),
		uintptr(how|unix.O_CLOEXEC),
		0,
		0,
		0,
	)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

func closeFD(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
