// Package bounded reads files of which no more than so many bytes make sense. A
// file can claim any size (a sparse one costs its owner nothing), and what is
// read whole is memory of ours.
package bounded

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
)

// Error says that a file has more bytes than are read of it.
type Error struct {
	Path string
	Most int64 // bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s is larger than %s, the most that is read of such a file", e.Path, humanize.IBytes(uint64(e.Most)))
}

// ReadFile reads a file of at most so many bytes whole. The error is an *Error
// where it has more, before anything is read where its size says so; else it is
// one of package os.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
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
