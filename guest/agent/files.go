package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// errno returns the name of a system call's error.
func errno(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return victim.ErrnoName(e)
	}
	return err.Error()
}

// hold keeps files open. Requests for a file that can't be opened try again and
// report the error.
func (a *agent) hold(paths []string) {
	for _, p := range paths {
		fd, err := unix.Open(p, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			fd, err = unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if err == nil {
			a.held[p] = fd
		}
	}
}

// drop closes a file if it is held.
func (a *agent) drop(path string) {
	if fd, held := a.held[path]; held {
		unix.Close(fd)
		delete(a.held, path)
	}
}

// readFile executes wire.ReadFile.
func (a *agent) readFile(q *wire.ReadFile) (*wire.File, error) {
	want := q.Length
	if want < 0 || want > wire.MaxData {
		return nil, fmt.Errorf("read %d bytes of %s: at most %d", want, q.Path, wire.MaxData)
	}
	if want == 0 {
		want = wire.MaxData
	}
	if fd, held := a.held[q.Path]; held {
		if f := readTo(fd, q.Offset, q.Length, want); f.Errno == "" {
			return f, nil
		}
		a.drop(q.Path) // of a device that was removed, and may exist again
	}
	fd, err := unix.Open(q.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &wire.File{Errno: errno(err)}, nil
	}
	defer unix.Close(fd)
	return readTo(fd, q.Offset, q.Length, want), nil
}

// scratch is the read buffer, whose contents are copied at once: the agent is
// single-threaded, and in a clone the first use of a piece of memory is expensive.
var scratch [64 << 10]byte

// readTo reads at most want bytes of an open file from an offset on. hint is the expected
// number of bytes, 0 if unknown.
func readTo(fd int, offset int64, hint, want int) *wire.File {
	f := &wire.File{}
	buf := scratch[:4096] // a sysfs attribute in one read
	if hint > 0 {
		buf = make([]byte, hint)
	}
	for f.N < want {
		n, err := unix.Pread(fd, buf[:min(len(buf), want-f.N)], offset+int64(f.N))
		if errors.Is(err, unix.ESPIPE) { // a pipe, or a device that does not support seeking
			n, err = unix.Read(fd, buf[:min(len(buf), want-f.N)])
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			f.Errno = errno(err)
			break
		}
		if n == 0 {
			break
		}
		f.Data = append(f.Data, buf[:n]...)
		f.N += n
		if n == len(buf) && len(buf) < len(scratch) {
			buf = scratch[:]
		}
	}
	return f
}

// writeFile executes wire.WriteFile.
func (a *agent) writeFile(q *wire.WriteFile) (*wire.File, error) {
	if fd, held := a.held[q.Path]; held {
		n, err := unix.Pwrite(fd, q.Data, 0)
		switch {
		case err == nil:
			return &wire.File{N: n}, nil
		case !errors.Is(err, unix.ENODEV):
			return &wire.File{Errno: errno(err)}, nil
		}
		a.drop(q.Path)
	}
	flags := unix.O_WRONLY | unix.O_CLOEXEC
	if q.Create {
		flags |= unix.O_CREAT | unix.O_TRUNC
	}
	fd, err := unix.Open(q.Path, flags, 0o644)
	if err != nil {
		return &wire.File{Errno: errno(err)}, nil
	}
	n, err := unix.Write(fd, q.Data)
	f := &wire.File{N: max(n, 0)}
	if err != nil {
		f.Errno = errno(err)
	}
	if err := unix.Close(fd); err != nil && f.Errno == "" {
		f.Errno = errno(err)
	}
	return f, nil
}
