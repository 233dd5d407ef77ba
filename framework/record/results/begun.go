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

// BegunFile is the record of a run before its first cell: what it observes, and with which
// Faultline, kernels, suites and QEMU. It is not written again, so that it is intact if a
// power loss damages RunFile.
const BegunFile = "begun.json"

// PutBegun writes the record of a run that has no cells yet as BegunFile and as RunFile.
// The first is synced before the second is written.
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

// LostError is the error of a folder that has cells, but no record of their run.
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
	return fmt.Sprintf("%s in %s is %s, and there is no %s that describes how its cells (%s) were observed, "+
		"so they cannot be reused; "+
		"run without --resume and with another --out to observe them again",
		RunFile, e.Dir, e.File, BegunFile, strings.Join(parts, ", "))
}

// ErrKind implements errkind.Kinder.
func (e *LostError) ErrKind() errkind.Kind { return errkind.Request }

// LoadBegun reads the record of a run to resume. If RunFile is missing or is not JSON,
// which a power loss can cause, it reads BegunFile; from is the file that was read. The
// error is a *LostError if there are cells and neither file is intact, and a *NoRunError
// if there is no run.
func (f *Folder) LoadBegun(judge Judge) (r Run, from string, err error) {
	broken, err := f.broken(RunFile)
	if err != nil {
		return Run{}, "", err
	}
	if broken == "" {
		r, err := f.LoadRun(judge)
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
		if r, err = parse(b, judge); err != nil {
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

// broken describes the damage of a file that should contain JSON; "" if there is none.
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
