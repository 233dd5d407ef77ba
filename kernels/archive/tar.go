package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/readahead"
	"github.com/therootcompany/xz"
)

// Tar passes on the items of a tar archive, which may be compressed: gzip, xz, zstd or
// bzip2.
func Tar(r io.Reader, write func(Next) error) error {
	plain, done, err := Decompress(r)
	if err != nil {
		return err
	}
	defer done()
	ahead := readahead.NewReader(plain) // decompresses while files are written
	defer ahead.Close()
	source := &endReader{r: Bound(ahead)}
	t := tar.NewReader(source)
	err = write(func() (Item, io.Reader, error) {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && source.ended {
			err = io.ErrUnexpectedEOF // no end of the archive (two blocks of zeros): it was cut
		}
		if err != nil {
			return Item{}, nil, err
		}
		return Item{
			Name: h.Name, Mode: h.FileInfo().Mode(), Size: h.Size, Link: h.Linkname, Hard: h.Typeflag == tar.TypeLink,
		}, t, nil
	})
	if err == nil { // the compression's checksum is at its end
		_, err = io.Copy(io.Discard, source)
	}
	return err
}

// endReader reports whether its reader's end was read.
type endReader struct {
	r     io.Reader
	ended bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.ended = e.ended || n == 0 && errors.Is(err, io.EOF)
	return n, err
}

// Decompress recognises gzip, xz, zstd and bzip2 by their first bytes, and returns a reader
// of the decompressed data. Other data is returned as it is. done must be called at the end.
func Decompress(f io.Reader) (plain io.Reader, done func(), err error) {
	r := bufio.NewReaderSize(f, 1<<20)
	head, _ := r.Peek(6)
	done = func() {}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		plain, err = gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		plain, err = xz.NewReader(r, xz.DefaultDictMax)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(r, zstd.WithDecoderMaxMemory(512<<20), zstd.WithDecoderConcurrency(1)); err == nil {
			plain, done = z, z.Close
		}
	case bytes.HasPrefix(head, []byte("BZh")):
		plain = bzip2.NewReader(r)
	default:
		plain = r
	}
	return plain, done, err
}
