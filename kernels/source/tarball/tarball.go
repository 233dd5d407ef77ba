// Package tarball gets kernels from tar archives, as make tarzst-pkg and similar targets
// write them: tar:FILE. Package archive finds the kernel among the contents.
package tarball

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/archive"
)

const (
	form   = "tar:FILE"
	intact = "give an intact tar archive (plain, gzip, xz, zstd or bzip2)"
)

// Source returns the source for tar:FILE.
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "tar",
		Usage:   []string{form},
		Check:   func(r kernels.Request) error { return archive.CheckFiles(r.Arg, form) },
		Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(
				text,
			); err == nil && info.Mode().IsRegular() &&
				strings.Contains(filepath.Base(text), ".tar") {
				return "for an archive write tar:" + text
			}
			return ""
		},
	}
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	files, err := archive.Open("tar", "tar archive", []string{r.Arg})
	if err != nil {
		return nil, err
	}
	k, err := kernels.Unpack(ctx, opts, files.Parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		opts.Logf("unpack %s", r.Arg)
		err := archive.Unpack(ctx, dir, opts, func(write func(archive.Next) error) error { return read(r.Arg, write) })
		return nil, files.Check(err)
	})
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (tar:%s)", k.Release, filepath.Base(r.Arg))
	return k, nil
}

// read passes on the items of a tar archive.
func read(file string, write func(archive.Next) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, done, err := decompress(f)
	if err != nil {
		return archive.Damaged(file, err, intact)
	}
	defer done()
	source := &endReader{r: archive.Bound(plain)}
	t := tar.NewReader(source)
	err = write(func() (archive.Item, io.Reader, error) {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && source.ended {
			err = io.ErrUnexpectedEOF // no end of the archive (two blocks of zeros): it was cut
		}
		if err != nil {
			return archive.Item{}, nil, err
		}
		return archive.Item{
			Name: h.Name, Mode: h.FileInfo().Mode(), Size: h.Size, Link: h.Linkname, Hard: h.Typeflag == tar.TypeLink,
		}, t, nil
	})
	return archive.Damaged(file, err, intact)
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

// decompress returns the reader of a tar archive's plain form, by its first bytes.
func decompress(f io.Reader) (plain io.Reader, done func(), err error) {
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
