package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// Stdout is the file name for standard output.
const Stdout = "-"

// Output is a format, and where to write it.
type Output struct {
	Format Format
	File   string // a path, or Stdout
}

// ParseOutput parses NAME=FILE. Its errors are of kind errkind.Request.
func ParseOutput(text string) (Output, error) {
	name, file, _ := strings.Cut(text, "=")
	for _, f := range Formats() {
		if f.Name == name && file != "" {
			return Output{Format: f, File: file}, nil
		}
		if f.Name == name {
			return Output{}, errkind.Requestf(
				"--format %s: no file given; write %s=FILE, or %s=- for standard output",
				text,
				name,
				name,
			)
		}
	}
	mean := ""
	if n := suggest.Names(name, Names()); len(n) > 0 {
		mean = "did you mean " + n[0] + "? "
	}
	return Output{}, errkind.Requestf("unknown format %q in %q; %sgive one of %s as NAME=FILE",
		name, text, mean, strings.Join(Names(), ", "))
}

// Check reports before the run starts that the file cannot be written. It creates and
// changes nothing.
func (o Output) Check() error {
	if o.File == Stdout {
		return nil
	}
	cant := func(err error) error {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		return errkind.Requestf("cannot write %s as %s: %v; give another file with --format", o.File, o.Format.Name, err)
	}
	info, err := os.Stat(o.File)
	switch {
	case err == nil && info.IsDir():
		return cant(unix.EISDIR)
	case err == nil:
		if err := unix.Access(o.File, unix.W_OK); err != nil {
			return cant(err)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return cant(err)
	}
	for dir := filepath.Dir(o.File); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			continue // Write creates it
		case err == nil && !info.IsDir():
			err = unix.ENOTDIR
		case err == nil:
			err = unix.Access(dir, unix.W_OK|unix.X_OK)
		}
		if err != nil {
			return cant(err)
		}
		return nil
	}
}

// Write writes a run's record. The file is written in place, because it may be a pipe,
// or a file that another program watches.
func (o Output) Write(run results.Run, folder *results.Folder, stdout io.Writer) error {
	if o.File == Stdout {
		if err := o.Format.Write(stdout, run, folder); err != nil {
			return fmt.Errorf("report as %s: %w", o.Format.Name, err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(o.File), 0o755); err != nil {
		return fmt.Errorf("report as %s: %w", o.Format.Name, err)
	}
	f, err := os.Create(o.File)
	if err != nil {
		return fmt.Errorf("report as %s: %w", o.Format.Name, err)
	}
	if err := errors.Join(o.Format.Write(f, run, folder), f.Close()); err != nil {
		return fmt.Errorf("report as %s into %s: %w", o.Format.Name, o.File, err)
	}
	return nil
}
