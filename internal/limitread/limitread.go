// Package limitread reads whole files, and fails above a size limit: a foreign file may
// have any size (a sparse one costs nothing), and its content takes our memory. It does
// not truncate files or look at their content.
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

// Error reports that a file is larger than its limit.
type Error struct {
	Path string
	Most int64 // the limit, in bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s is larger than %s, the maximum for such a file", e.Path, humanize.IBytes(uint64(e.Most)))
}

// ReadFile reads a file of at most that many bytes. If the file is larger, the error is
// an *Error, returned before a read if the file's size already shows it. All other errors
// are those of package os.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path, most)
}

// ReadFileIn is ReadFile for a regular file below a root. It does not follow links out
// of the root, and does not block on a pipe.
func ReadFileIn(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, name, most)
}

// ErrNotRegular reports that a file is not regular, but a folder, a pipe or a device.
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
