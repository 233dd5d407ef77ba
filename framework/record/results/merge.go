package results

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
)

// MergeError is the error of runs that cannot be merged, with all reasons.
type MergeError struct{ Problems []string }

func (e *MergeError) Error() string {
	return fmt.Sprintf("the runs cannot be merged: %s; merge only runs of the same plan", strings.Join(e.Problems, "; "))
}

// ErrKind implements errkind.Kinder.
func (e *MergeError) ErrKind() errkind.Kind { return errkind.Request }

// Merge merges runs of the same plan, such as shards, into a new folder at dir, and judges
// the result. Before anything is written, it returns a *MergeError for runs of different
// versions of Faultline, of suites with different digests, of different QEMUs, or with KVM
// of different processors; for kernels of the same name that differ or ran with different
// accelerators; for different scenarios of the same id; for runs that declare different
// changes, unless declared replaces these; and for cells that were observed twice and
// differ. An observed cell replaces an infrastructure failure; a planned cell that no run
// has, because a shard was lost, becomes an infrastructure failure. Among shards of one
// plan a folder may contain no run: its shard was lost early.
func Merge(dir string, declared change.List, judge Judge, from ...*Folder) (*Folder, Run, error) {
	if len(from) == 0 {
		return nil, Run{}, errors.New("merge runs: none given; name the folders of at least one")
	}
	m := merger{declared: declared, judge: judge, cells: map[string]placed{}}
	var none *NoRunError
	for _, f := range from {
		// Create would move the files away that are about to be read.
		if sameFile(dir, f.dir) {
			return nil, Run{}, fmt.Errorf("merge runs: %s is one of them; give another folder with --out", dir)
		}
		if err := m.add(f); err != nil && !errors.As(err, &none) {
			return nil, Run{}, err
		}
	}
	// The missing part is known only for shards.
	if none != nil && m.of() == 0 {
		return nil, Run{}, none
	}
	m.accels()
	if len(m.problems) > 0 {
		return nil, Run{}, &MergeError{Problems: m.problems}
	}
	run := m.finish()
	to, err := Create(dir)
	if err != nil {
		return nil, Run{}, err
	}
	// First, so that the folder is recognised as a run's if this is interrupted.
	if err := to.PutRun(run); err != nil {
		to.Close()
		return nil, Run{}, err
	}
	if err := to.fill(run, from); err != nil {
		to.Close()
		return nil, Run{}, err
	}
	return to, run, nil
}

// fill writes the files of a merged run: its cells, and the files of kernels.
func (f *Folder) fill(run Run, from []*Folder) error {
	for _, c := range run.Cells {
		if err := f.PutCell(c); err != nil {
			return err
		}
	}
	copied := map[string]bool{}
	for i, one := range from {
		if err := copyKernelFiles(f, one, i+1, copied); err != nil {
			return err
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

// placed is a cell and the folder it came from.
type placed struct {
	cell observe.Cell
	from string
}

type merger struct {
	run      Run
	judge    Judge
	declared change.List    // nil keeps the declarations of the runs
	planned  []observe.Cell // kernel and scenario only
	ids      []string
	shards   []part
	cells    map[string]placed // by CellFile
	attempts int               // planned observations per cell; 0 means once
	problems []string
}

func (m *merger) problem(format string, args ...any) {
	m.problems = append(m.problems, fmt.Sprintf(format, args...))
}

func (m *merger) add(f *Folder) error {
	r, err := f.LoadRun(m.judge)
	if err != nil {
		return fmt.Errorf("merge runs: %w", err)
	}
	cells, err := f.observed(r)
	if err != nil {
		return fmt.Errorf("merge runs: %w", err)
	}
	m.join(r, cells, f)
	return nil
}

// join adds the run of a folder, with its cells.
func (m *merger) join(r Run, cells []observe.Cell, f *Folder) {
	plain := Run{Cells: cells}
	m.judge(&plain) // without the declared changes, which are not observations
	cells = plain.Cells
	if len(m.ids) == 0 {
		m.run = r
		m.run.Kernels, m.run.Scenarios, m.run.Cells = nil, nil, nil
		m.run.Suites = maps.Clone(r.Suites)
	} else {
		m.header(r, f)
	}
	m.ids = append(m.ids, r.ID)
	m.shards = append(m.shards, part{r.Shard, f.dir})
	for _, k := range r.Kernels {
		m.kernel(k, f)
	}
	for _, s := range r.Scenarios {
		m.scenario(s, f)
	}
	for _, c := range cells {
		m.cell(c, f)
	}
	for _, s := range r.Scenarios {
		for _, k := range r.Kernels {
			m.planned = append(m.planned, observe.Cell{Scenario: s.ID, Kernel: k.Name, Accel: k.Accel})
		}
	}
}

func (m *merger) header(r Run, f *Folder) {
	if r.Tool != m.run.Tool {
		m.problem("%s was written by %s, the others by %s", f.dir, tool(r.Tool), tool(m.run.Tool))
	}
	if r.Accel != m.run.Accel {
		m.problem("%s ran with --accel %s, the others with %s", f.dir, r.Accel, m.run.Accel)
	}
	if unlike := m.run.Host.Unlike(r.Host, m.run.WithKVM() || r.WithKVM()); unlike != "" {
		m.problem("%s ran on a different machine than the others (%s)", f.dir, unlike)
	}
	if len(r.Suites) == 0 != (len(m.run.Suites) == 0) {
		m.problem("%s or the others do not record the digests of suites", f.dir)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Suites)) {
		if have, ok := m.run.Suites[name]; ok && have != r.Suites[name] {
			m.problem("%s in %s has the digest %.12s, elsewhere %.12s: build all from the same commit",
				name, f.dir, r.Suites[name], have)
		} else if !ok && m.run.Suites != nil {
			m.run.Suites[name] = r.Suites[name]
		}
	}
	if m.declared == nil && !reflect.DeepEqual(r.Changes, m.run.Changes) {
		m.problem("%s was judged with different --changes than the others", f.dir)
	}
	if r.Started.Before(m.run.Started) {
		m.run.Started = r.Started
	}
	if r.Finished.After(m.run.Finished) {
		m.run.Finished = r.Finished
	}
	m.run.Interrupted = m.run.Interrupted || r.Interrupted
}

func tool(t Tool) string {
	if t.Commit == "" {
		return "version " + t.Version
	}
	return fmt.Sprintf("version %s (%s)", t.Version, t.Commit)
}

func (m *merger) kernel(k Kernel, f *Folder) {
	have, ok := m.run.Kernel(k.Name)
	if !ok {
		m.run.Kernels = append(m.run.Kernels, k)
		return
	}
	if (have.Unavailable == "") != (k.Unavailable == "") {
		if have.Unavailable != "" {
			i := slices.IndexFunc(m.run.Kernels, func(o Kernel) bool { return o.Name == k.Name })
			m.run.Kernels[i] = k
		}
		return
	}
	if have.Digest != k.Digest {
		m.problem("kernel %q in %s has the digest %s, elsewhere %s", k.Name, f.dir, k.Digest, have.Digest)
	}
	if !maps.Equal(have.Claims, k.Claims) {
		m.problem("the claims (has:) for kernel %q in %s differ from those elsewhere", k.Name, f.dir)
	}
	i := slices.IndexFunc(m.run.Kernels, func(o Kernel) bool { return o.Name == k.Name })
	if have.BootMillis == 0 { // a shard that did not boot this kernel
		to := &m.run.Kernels[i]
		to.BootMillis, to.Accel, to.AccelWhy = k.BootMillis, k.Accel, k.AccelWhy
	}
	if have.Console == "" {
		m.run.Kernels[i].Console = k.Console
	}
	if have.CommandFile == "" {
		m.run.Kernels[i].CommandFile = k.CommandFile
	}
}

func (m *merger) scenario(s Scenario, f *Folder) {
	i := slices.IndexFunc(m.run.Scenarios, func(o Scenario) bool { return o.ID == s.ID })
	switch {
	case i < 0:
		m.run.Scenarios = append(m.run.Scenarios, s)
	case !reflect.DeepEqual(m.run.Scenarios[i], s):
		m.problem("scenario %s in %s differs from that elsewhere", s.ID, f.dir)
	}
}

func (m *merger) cell(c observe.Cell, f *Folder) {
	at := CellFile(c)
	m.attempts = max(m.attempts, c.Attempt)
	have, ok := m.cells[at]
	switch {
	case !ok:
		m.cells[at] = placed{c, f.dir}
	case have.cell.Verdict == observe.Infra && c.Verdict != observe.Infra:
		m.cells[at] = placed{c, f.dir}
	case c.Verdict == observe.Infra:
	case have.cell.Accel != c.Accel || have.cell.Verdict != c.Verdict ||
		!bytes.Equal(have.cell.Canonical(), c.Canonical()):
		m.problem("%s on %s differs between %s and %s", c.Scenario, c.Kernel, have.from, f.dir)
	}
}

// accels reports a problem for a kernel that ran with different accelerators in different
// runs, because its cells are then not comparable.
func (m *merger) accels() {
	exact := map[string]bool{} // scenarios that always run under TCG
	for _, s := range m.run.Scenarios {
		exact[s.ID] = s.TCG != ""
	}
	first := map[string]placed{}
	reported := map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(m.cells)) {
		p := m.cells[at]
		if !p.cell.Comparable() || exact[p.cell.Scenario] {
			continue
		}
		kernel := p.cell.Kernel
		have, ok := first[kernel]
		if !ok {
			first[kernel] = p
			continue
		}
		if have.cell.Accel != p.cell.Accel && !reported[kernel] {
			reported[kernel] = true
			m.problem("kernel %q ran with %s in %s, but with %s in %s: run all with --accel tcg",
				kernel, have.cell.Accel, have.from, p.cell.Accel, p.from)
		}
	}
}

// settle renames a kernel that was not available to one run, and so has only its spec as a
// name, to its name in another run.
func (m *merger) settle() {
	for _, k := range slices.Clone(m.run.Kernels) {
		i := slices.IndexFunc(m.run.Kernels, func(o Kernel) bool { return o.Spec == k.Spec && o.Unavailable == "" })
		if k.Unavailable == "" || i < 0 {
			continue
		}
		name := m.run.Kernels[i].Name
		m.run.Kernels = slices.DeleteFunc(m.run.Kernels, func(o Kernel) bool { return o.Name == k.Name })
		for i := range m.planned {
			if m.planned[i].Kernel == k.Name {
				m.planned[i].Kernel = name
			}
		}
		for at, p := range maps.Clone(m.cells) {
			if p.cell.Kernel != k.Name {
				continue
			}
			delete(m.cells, at)
			p.cell.Kernel = name
			if at = CellFile(p.cell); m.cells[at].from == "" {
				m.cells[at] = p
			}
		}
	}
}

func (m *merger) finish() Run {
	m.settle()
	r := m.run
	for _, p := range m.cells {
		r.Cells = append(r.Cells, p.cell)
		// A killed run has no end time.
		if end := p.cell.Started.Add(time.Duration(p.cell.Millis * float64(time.Millisecond))); end.After(r.Finished) {
			r.Finished = end
		}
	}
	lost := m.lost()
	r.Cells = append(r.Cells, lost...)
	r.Sort()
	r.Shard = Shard{}
	// A stopped run whose missing cells are in another run is complete.
	r.Interrupted = r.Interrupted && len(lost) > 0
	if len(m.ids) > 1 {
		r.ID = m.ids[0] + "+" + fmt.Sprint(len(m.ids)-1)
		r.Merged = m.ids
	}
	if m.declared != nil {
		r.Changes = m.declared
	}
	m.judge(&r)
	return r
}

// copyKernelFiles copies consoles, QEMU commands and the like. The file of the first run
// keeps its name; that of the second run goes to the folder merged-2, and so on.
func copyKernelFiles(to, from *Folder, nth int, copied map[string]bool) error {
	root, err := os.OpenRoot(from.dir)
	if err == nil {
		defer root.Close()
		err = copyFiles(to, root, nth, copied)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copy kernel files of %s: %w", from.dir, err)
	}
	return nil
}

func copyFiles(to *Folder, root *os.Root, nth int, copied map[string]bool) error {
	left := int64(maxFiles)
	return fs.WalkDir(root.FS(), kernelsDir, func(rel string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == cellsDir && path.Dir(path.Dir(rel)) == kernelsDir {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := limitread.ReadFileIn(root, rel, maxConsole)
		if err != nil {
			return err
		}
		if left -= int64(len(b)); left < 0 {
			return &limitread.Error{Path: kernelsDir, Most: maxFiles}
		}
		if copied[rel] {
			kernel, rest, _ := strings.Cut(strings.TrimPrefix(rel, kernelsDir+"/"), "/")
			rel = path.Join(kernelsDir, kernel, fmt.Sprintf("merged-%d", nth), rest)
		}
		copied[rel] = true
		return to.Put(rel, b)
	})
}
