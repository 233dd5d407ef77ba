package results

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
)

// LoadRun reads run.json and checks it against the schema. A record of schema 1, or one with
// cells whose verdict is withdrawn, is judged again. The error is a *NoRunError if there is
// none, and a *SchemaError if it is malformed.
func (f *Folder) LoadRun(judge Judge) (Run, error) {
	b, err := f.ReadFile(RunFile, maxRun)
	if errors.Is(err, fs.ErrNotExist) {
		return Run{}, &NoRunError{Dir: f.dir}
	}
	if err != nil {
		return Run{}, errkind.Requestf("read run: %w", err)
	}
	r, err := parse(b, judge)
	if err != nil {
		return Run{}, fmt.Errorf("read %s: %w", f.Path(RunFile), err)
	}
	return r, nil
}

// parse reads a run's record.
func parse(b []byte, judge Judge) (Run, error) {
	d, err := newDocument(b)
	if err != nil {
		return Run{}, err
	}
	upgraded, err := d.upgrade()
	if err != nil {
		return Run{}, err
	}
	r, err := d.read()
	if err != nil {
		return Run{}, err
	}
	if r.withdraw() || upgraded {
		judge(&r)
	}
	return r, nil
}

// LoadObserved is LoadRun for a run that may have been killed or still be in progress: its
// cells are then only in their files. Such a run is Interrupted, and judged by the cells
// that are available.
func (f *Folder) LoadObserved(judge Judge) (Run, error) {
	r, err := f.LoadRun(judge)
	if err != nil || !r.Finished.IsZero() {
		return r, err
	}
	if r.Cells, err = f.observed(r); err != nil {
		return Run{}, err
	}
	r.Interrupted = true
	judge(&r)
	return r, nil
}

// observed returns the cells of a run: those with files, which are complete even if the
// run was killed, and those that are only in run.json.
func (f *Folder) observed(r Run) ([]observe.Cell, error) {
	cells, _, err := f.Cells()
	if err != nil {
		return nil, err
	}
	onDisk := map[string]bool{}
	for _, c := range cells {
		onDisk[CellFile(c)] = true
	}
	for _, c := range r.Cells {
		if !onDisk[CellFile(c)] {
			cells = append(cells, c)
		}
	}
	r.Cells = cells
	r.withdraw()
	if err := bounds(r); err != nil {
		return nil, fmt.Errorf("read cells of %s: %w", f.dir, err)
	}
	return cells, nil
}
