package main

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// Constants of include/uapi/linux/fs.h and fiemap.h.
const (
	fsIocFiemap     = 0xc020660b
	fsIocFsgetxattr = 0x801c581f
	fsIocFssetxattr = 0x401c5820

	fiemapFlagSync   = 0x1
	fiemapExtentLast = 0x1

	fsXflagExtsize = 0x800
)

// makeFile executes wire.MakeFile.
func makeFile(q *wire.MakeFile) (made *wire.MakeReply, err error) {
	page := int64(os.Getpagesize())
	switch {
	case q.Size <= 0 || q.Size%page != 0:
		return nil, fmt.Errorf("make %s: size %d is not a multiple of the page size %d", q.Path, q.Size, page)
	case q.Align < 0, q.Align > 0 && q.Layout == wire.Hole:
		return nil, fmt.Errorf("make %s: layout %q can't be aligned to %d", q.Path, q.Layout, q.Align)
	}
	if q.Align > 0 {
		return makeAligned(q)
	}
	fd, err := create(q.Path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return fill(fd, q)
}

func create(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, fmt.Errorf("create %s: %w", path, err)
	}
	return fd, nil
}

// fill gives an open file its layout, drops its page cache, and returns the
// location of its blocks.
func fill(fd int, q *wire.MakeFile) (*wire.MakeReply, error) {
	var err error
	switch q.Layout {
	case wire.Written:
		err = writePages(fd, q.Size)
	case wire.Unwritten:
		err = unix.Fallocate(fd, 0, 0, q.Size)
	case wire.Hole:
		err = unix.Ftruncate(fd, q.Size)
	default:
		err = fmt.Errorf("unknown layout %q: want %q, %q or %q", q.Layout, wire.Written, wire.Unwritten, wire.Hole)
	}
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", q.Path, err)
	}
	if err := unix.Fsync(fd); err != nil {
		return nil, fmt.Errorf("make %s: fsync: %w", q.Path, err)
	}
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
		return nil, fmt.Errorf("make %s: drop its page cache: %w", q.Path, err)
	}
	extents, err := fiemap(fd)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", q.Path, err)
	}
	return &wire.MakeReply{Extents: extents}, nil
}

// writePages fills page n with the byte wire.Fill(n).
func writePages(fd int, size int64) error {
	page := int64(os.Getpagesize())
	buf := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; {
		chunk := buf[:min(int64(len(buf)), size-at)]
		for i := int64(0); i < int64(len(chunk)); i += page {
			b, v := chunk[i:i+page], wire.Fill((at+i)/page)
			for j := range b {
				b[j] = v
			}
		}
		for done := 0; done < len(chunk); {
			n, err := unix.Pwrite(fd, chunk[done:], at+int64(done))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return fmt.Errorf("write at %d: %w", at+int64(done), err)
			}
			done += n
		}
		at += int64(len(chunk))
	}
	return nil
}

// makeAligned makes a file whose first block is aligned. A file system allocates
// where it likes, so: allocate too much, find an aligned run of blocks, and cut off
// what lies before and after it.
func makeAligned(q *wire.MakeFile) (*wire.MakeReply, error) {
	fd, err := create(q.Path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	hintExtentSize(fd, q.Align)

	var runs []wire.Extent
	for _, more := range []int64{1, 4, 16} {
		size := q.Size + more*q.Align
		if err := unix.Fallocate(fd, 0, 0, size); err != nil {
			return nil, fmt.Errorf("make %s: allocate %d bytes to find %d aligned ones: %w", q.Path, size, q.Size, err)
		}
		extents, err := fiemap(fd)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", q.Path, err)
		}
		runs = join(extents)
		start, ok := aligned(runs, q)
		if !ok {
			continue
		}
		if start > 0 {
			if err := unix.Fallocate(fd, unix.FALLOC_FL_COLLAPSE_RANGE, 0, start); err != nil {
				return nil, fmt.Errorf("make %s: cut off the first %d bytes: %w", q.Path, start, err)
			}
		}
		if err := unix.Ftruncate(fd, q.Size); err != nil {
			return nil, fmt.Errorf("make %s: truncate: %w", q.Path, err)
		}
		made, err := fill(fd, q)
		if err != nil {
			return nil, err
		}
		if len(made.Extents) == 0 || (made.Extents[0].Physical+q.Base)%q.Align != 0 {
			return nil, fmt.Errorf("make %s: blocks moved while they were written: %+v", q.Path, made.Extents)
		}
		return made, nil
	}
	return nil, fmt.Errorf("make %s: no %d contiguous bytes at a multiple of %#x (with base %#x) among its blocks: %+v",
		q.Path, q.Size, q.Align, q.Base, runs)
}

// aligned returns the offset in the file of an aligned run that is long enough.
func aligned(runs []wire.Extent, q *wire.MakeFile) (logical int64, ok bool) {
	for _, r := range runs {
		skip := (q.Align - (r.Physical+q.Base)%q.Align) % q.Align
		if r.Length-skip >= q.Size {
			return r.Logical + skip, true
		}
	}
	return 0, false
}

// join merges extents that are adjacent both in the file and on the device.
func join(extents []wire.Extent) []wire.Extent {
	var runs []wire.Extent
	for _, e := range extents {
		if n := len(
			runs,
		) - 1; n >= 0 && runs[n].Logical+runs[n].Length == e.Logical &&
			runs[n].Physical+runs[n].Length == e.Physical {
			runs[n].Length += e.Length
			continue
		}
		runs = append(runs, e)
	}
	return runs
}

// hintExtentSize requests extents of a size, and so aligned to it. Only xfs
// honours the hint; the resulting extents show whether it did.
func hintExtentSize(fd int, size int64) {
	var x struct { // struct fsxattr
		xflags, extsize, nextents, projid, cowextsize uint32
		_                                             [8]byte
	}
	if ioctl(fd, fsIocFsgetxattr, unsafe.Pointer(&x)) != nil {
		return
	}
	x.xflags |= fsXflagExtsize
	x.extsize = uint32(size)
	_ = ioctl(fd, fsIocFssetxattr, unsafe.Pointer(&x))
}

// fiemap lists a file's extents (Documentation/filesystems/fiemap.rst).
func fiemap(fd int) ([]wire.Extent, error) {
	const batch = 64
	type extent struct {
		logical, physical, length uint64
		_                         [2]uint64
		flags                     uint32
		_                         [3]uint32
	}
	var extents []wire.Extent
	start := uint64(0)
	for {
		m := struct {
			start, length                uint64
			flags, mapped, count, unused uint32
			extents                      [batch]extent
		}{start: start, length: ^uint64(0) - start, flags: fiemapFlagSync, count: batch}
		if err := ioctl(fd, fsIocFiemap, unsafe.Pointer(&m)); err != nil {
			return nil, fmt.Errorf("FS_IOC_FIEMAP: %w", err)
		}
		for _, e := range m.extents[:min(m.mapped, batch)] {
			extents = append(extents, wire.Extent{
				Logical: int64(e.logical), Physical: int64(e.physical), Length: int64(e.length), Flags: e.flags,
			})
			if e.flags&fiemapExtentLast != 0 {
				return extents, nil
			}
			start = e.logical + e.length
		}
		if m.mapped == 0 {
			return extents, nil
		}
	}
}
