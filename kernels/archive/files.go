package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/download"
)

// isHost reports whether an error is this machine's and not the archive's.
func isHost(err error) bool {
	for _, e := range []error{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// CheckFiles checks the text of a spec's list of files or URLs. form is how to write it.
func CheckFiles(arg, form string) error {
	for file := range strings.SplitSeq(arg, ",") {
		if err := CheckFile(file, form); err != nil {
			return err
		}
	}
	return nil
}

// CheckFile is CheckFiles for a single file.
func CheckFile(file, form string) error {
	if file == "" {
		return &kernels.SpecError{Problem: "empty file name", Hint: "write " + form}
	}
	if download.IsURL(file) {
		return download.Check(file)
	}
	return nil
}

// Files are the files of a spec. They must be closed.
type Files struct {
	Paths  []string // of this machine; those of downloads are in the cache
	scheme string
	names  []string // as the user gave them: paths or URLs
	Parts  []string // what identifies their contents, for kernels.Unpack
	stamps []string
	loaded []*download.File
}

// Open checks the files of a spec, and computes their digests. A URL is downloaded first.
// what is the kind of file, for messages.
func Open(ctx context.Context, scheme, what string, paths []string, opts kernels.Options) (files *Files, err error) {
	fs := &Files{Parts: []string{scheme}, scheme: scheme}
	defer func() {
		if err != nil {
			fs.Close()
		}
	}()
	for _, p := range paths { // before anything is downloaded
		if download.IsURL(p) {
			continue
		}
		if err := checkFile(p, p, what); err != nil {
			return nil, err
		}
	}
	for _, p := range paths {
		fs.names = append(fs.names, p)
		if download.IsURL(p) {
			name, _, _ := strings.Cut(p, "#") // without its digest
			fs.names[len(fs.names)-1] = name
			file, err := download.Get(ctx, p, opts)
			if err != nil {
				return nil, err
			}
			fs.loaded, p = append(fs.loaded, file), file.Path
			if err := checkFile(p, name, what); err != nil {
				return nil, err
			}
		}
		stamp, err := kernels.Stamp(p)
		if err != nil {
			return nil, err
		}
		sum, err := cache.FileSum(p)
		if err != nil {
			return nil, &kernels.SpecError{
				Problem: "cannot read " + p,
				Err:     reason(err),
				Hint:    "give the path of a readable " + what,
			}
		}
		fs.Paths = append(fs.Paths, p)
		fs.stamps, fs.Parts = append(fs.stamps, stamp), append(fs.Parts, sum)
	}
	return fs, nil
}

// checkFile checks that a path is that of a regular file with content; name is for messages.
func checkFile(path, name, what string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return &kernels.SpecError{Problem: name + " is a folder", Hint: "write dir:" + name + ", or give " + what}
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", name)
	case err == nil && info.Size() == 0:
		return &kernels.SpecError{Problem: name + " is empty", Hint: "get the " + what + " again"}
	}
	if err != nil {
		return &kernels.SpecError{
			Problem: "cannot open " + name,
			Err:     reason(err),
			Hint:    "give the path of a readable " + what,
		}
	}
	return nil
}

// Close allows downloaded files to be pruned from the cache.
func (f *Files) Close() {
	for _, file := range f.loaded {
		file.Close()
	}
}

// reason leaves out the path, which the message has.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Label returns a kernel's name: its version, and the name of the first file.
func (f *Files) Label(version string) string {
	name := filepath.Base(f.Paths[0])
	if more := len(f.Paths) - 1; more > 0 {
		name += fmt.Sprintf("+%d", more)
	}
	return fmt.Sprintf("%s (%s:%s)", version, f.scheme, name)
}

// Check returns an error if a file changed since Open, else err, the result of reading them.
func (f *Files) Check(err error) error {
	for i, p := range f.Paths {
		if stamp, gone := kernels.Stamp(p); gone != nil || stamp != f.stamps[i] {
			return kernels.Changed(p)
		}
	}
	var request *kernels.SpecError
	if !errors.As(err, &request) {
		return err
	}
	for _, file := range f.loaded { // the next time it is downloaded again
		_ = file.Discard()
	}
	f.loaded = nil
	c := *request
	for i, p := range f.Paths { // the path of a download means nothing to the user
		c.Problem = strings.ReplaceAll(c.Problem, p, f.names[i])
	}
	return &c
}

// Damaged turns an error of an archive's format into one of the request, with a hint. Errors
// of this machine (*os.PathError), of the request, and a cancellation are returned as they are.
func Damaged(file string, err error, hint string) error {
	var request *kernels.SpecError
	var host *os.PathError
	switch {
	case err == nil, errors.As(err, &request), errors.As(err, &host), errors.Is(err, context.Canceled):
		return err
	}
	return &kernels.SpecError{Problem: "cannot unpack " + file, Err: err, Hint: hint}
}

// Bound returns a reader that fails with TooLarge after MostBytes: a small file can
// decompress to any size.
func Bound(r io.Reader) io.Reader { return &bounded{r: r, left: MostBytes} }

type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, TooLarge()
	}
	return n, err
}
