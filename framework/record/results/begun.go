package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
)

// BegunFile is the record of a run as it was before the first cell: what it observes,
// and with which Faultline, kernels, suites and QEMU. It is not written to while cells
// are, so that it is whole where a power loss left a torn RunFile.
const BegunFile = "begun.json"

// PutBegun writes the record of a run that has no cells yet, as BegunFile and as
// RunFile. Each is on the disk before the next one is touched.
func (f *Folder) PutBegun(r Run) error {
	b, err := encode(r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", BegunFile, err)
	}
	if err := f.PutSynced(BegunFile, b); err != nil {
		return err
	}
	return f.PutSynced(RunFile, b)
}

// LostError reports that a folder has cells, and no record of the run that they are of.
type LostError struct {
	Dir  string
	File string         // what is wrong with RunFile: "missing", "empty", "damaged"
	Has  map[string]int // how many cells there are, by kernel
}

func (e *LostError) Error() string {
	var parts []string
	for kernel, cells := range e.Has {
		parts = append(parts, fmt.Sprintf("%d of %s", cells, kernel))
	}
	slices.Sort(parts)
	return fmt.Sprintf("%s in %s is %s, and no %s says with what its cells were observed (%s): they can't be taken over; "+
		"run without --resume and with another --out, which observes them again",
		RunFile, e.Dir, e.File, BegunFile, strings.Join(parts, ", "))
}

// ErrKind implements errkind.Kinder.
func (e *LostError) ErrKind() errkind.Kind { return errkind.Request }

// LoadBegun reads the record of a run that is to go on. Where RunFile is missing or no
// JSON, which a power loss can make of it, that is BegunFile's, and from names it. The
// error is a *LostError where there are cells and neither is whole, a *NoRunError where
// there is nothing of a run.
func (f *Folder) LoadBegun() (r Run, from string, err error) {
	broken, err := f.broken(RunFile)
	if err != nil {
		return Run{}, "", err
	}
	if broken == "" {
		r, err := f.LoadRun()
		return r, RunFile, err
	}
	copyBroken, err := f.broken(BegunFile)
	if err != nil {
		return Run{}, "", err
	}
	if copyBroken == "" {
		b, err := f.ReadFile(BegunFile, maxRun)
		if err != nil {
			return Run{}, "", err
		}
		if r, err = parse(b); err != nil {
			return Run{}, "", fmt.Errorf("read %s: %w", f.Path(BegunFile), err)
		}
		return r, BegunFile, nil
	}
	cells, _, err := f.Cells()
	if err != nil {
		return Run{}, "", err
	}
	if len(cells) == 0 {
		return Run{}, "", &NoRunError{Dir: f.dir}
	}
	lost := &LostError{Dir: f.dir, File: broken, Has: map[string]int{}}
	for _, c := range cells {
		lost.Has[c.Kernel]++
	}
	return Run{}, "", lost
}

// broken describes what is wrong with a file that should hold JSON; "" for one that does.
func (f *Folder) broken(name string) (string, error) {
	b, err := f.ReadFile(name, maxRun)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing", nil
	case err != nil:
		return "", err
	case len(b) == 0:
		return "empty", nil
	case !json.Valid(b):
		return "damaged", nil
	}
	return "", nil
}
