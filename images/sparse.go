package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// CopySparse copies src to dst, which must not exist, using disk space for src's data
// only: by reflink if the file system supports it (ioctl_ficlone(2)), else extent by
// extent (SEEK_DATA in lseek(2), copy_file_range(2)). The copy is writable; after an
// error dst does not exist.
func CopySparse(ctx context.Context, dst, src string) (err error) {
	out, err := os.OpenFile(dst, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(dst)
		}
	}()
	in, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dst, err)
	}
	defer in.Close()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	if err := out.Truncate(info.Size()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	return CopySparseAt(ctx, out, 0, src)
}

// CopySparseAt copies the data of src into dst at byte offset. It does not write
// src's holes, so dst should have holes there too. It puts a pmem image into a
// guest's memory file, for memmap= (nd_e820).
func CopySparseAt(ctx context.Context, dst *os.File, offset int64, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("copy to %s: %w", dst.Name(), err)
	}
	defer in.Close()
	err = eachData(ctx, in, func(at, n int64) error { return copyRange(dst, offset+at, in, at, n) })
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src, dst.Name(), err)
	}
	return nil
}

// copyNonZero is like CopySparseAt, but also skips pages of zeros: mkfs writes many
// of them (XFS's log), and a cached image should be small.
func copyNonZero(ctx context.Context, dst *os.File, offset int64, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	buf := make([]byte, pageBytes)
	zero := make([]byte, pageBytes)
	return eachData(ctx, in, func(at, n int64) error {
		for end := at + n; at < end; {
			b := buf[:min(pageBytes, end-at)]
			if _, err := in.ReadAt(b, at); err != nil {
				return err
			}
			if !bytes.Equal(b, zero[:len(b)]) {
				if _, err := dst.WriteAt(b, offset+at); err != nil {
					return err
				}
			}
			at += int64(len(b))
		}
		return nil
	})
}

// eachData calls fn for f's data in pieces of at most 16 MiB, so that cancelling ctx
// takes effect. Without SEEK_DATA in the file system there is one extent.
func eachData(ctx context.Context, f *os.File, fn func(at, n int64) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	const most = 16 << 20
	for at := int64(0); at < size; {
		start, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // no data after this offset
			return nil
		}
		end := size
		if err != nil {
			start = at
		} else if end, err = f.Seek(start, unix.SEEK_HOLE); err != nil {
			return err
		}
		for at = start; at < end; {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			n := min(most, end-at)
			if err := fn(at, n); err != nil {
				return err
			}
			at += n
		}
	}
	return nil
}

func copyRange(dst *os.File, to int64, src *os.File, from, n int64) error {
	for n > 0 {
		done, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(n), 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || done == 0 {
			// EXDEV, EOPNOTSUPP, ENOSYS…: for any cause, fall back to read and
			// write, which repeat any real error.
			w, err := io.Copy(io.NewOffsetWriter(dst, to), io.NewSectionReader(src, from, n))
			if err == nil && w < n {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n -= int64(done)
	}
	return nil
}
