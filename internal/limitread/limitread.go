// Package limitread reads files, and fails above a size limit. A file can claim any
// size (a sparse one costs its owner nothing), and what is read whole is memory of
// ours.
package limitread

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

// Error reports that a file has more bytes than are read of it.
type Error struct {
	Path string
	Most int64 // bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s is larger than %s, the most that is read of such a file", e.Path, humanize.IBytes(uint64(e.Most)))
}

// ReadFile reads a file of at most that many bytes. The error is an *Error where it
// has more, before anything is read where its size already shows it; else it is one
// of package os.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path, most)
}

// ReadFileIn is ReadFile of a regular file below a root. It follows no link that
// leaves the root, and waits for no pipe.
func ReadFileIn(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, name, most)
}

// ErrNotRegular reports that a file is a folder, a pipe, a device or the like.
var ErrNotRegular = errors.New("not a regular file")

// OpenIn opens a regular file below a root for reading; see ReadFileIn.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func read(f *os.File, path string, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if size := info.Size(); size <= most {
		b.Grow(int(size) + bytes.MinRead)
		_, err = b.ReadFrom(io.LimitReader(f, most+1))
	}
	if info.Size() > most || int64(b.Len()) > most {
		return nil, &Error{path, most}
	}
	return b.Bytes(), err
}
