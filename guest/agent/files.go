package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// errno is the name of a system call's error.
func errno(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return victim.ErrnoName(e)
	}
	return err.Error()
}

// readFile answers wire.ReadFile.
func readFile(q *wire.ReadFile) (*wire.File, error) {
	want := q.Length
	if want < 0 || want > wire.MaxData {
		return nil, fmt.Errorf("read %d bytes of %s: at most %d", want, q.Path, wire.MaxData)
	}
	if want == 0 {
		want = wire.MaxData
	}
	fd, err := unix.Open(q.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &wire.File{Errno: errno(err)}, nil
	}
	defer unix.Close(fd)
	if q.Offset != 0 {
		if _, err := unix.Seek(fd, q.Offset, unix.SEEK_SET); err != nil {
			return &wire.File{Errno: errno(err)}, nil
		}
	}
	f := &wire.File{}
	size := 4096 // a sysfs attribute in one read
	if q.Length > 0 {
		size = q.Length
	}
	buf := make([]byte, size)
	for f.N < want {
		n, err := unix.Read(fd, buf[:min(len(buf), want-f.N)])
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
		if n == len(buf) && len(buf) < 64<<10 {
			buf = make([]byte, 64<<10)
		}
	}
	return f, nil
}

// writeFile answers wire.WriteFile.
func writeFile(q *wire.WriteFile) (*wire.File, error) {
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
