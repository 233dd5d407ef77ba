package repro_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change/declared"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/report/explain"
	"github.com/faultline/faultline/framework/report/table"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/framework/run/repro"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/matrix"
)

const (
	secret    = "TOP-SECRET" // in each file outside
	mostHeap  = 1 << 30      // bytes
	mostTime  = time.Minute  // of the processor, for one folder; a second is usual
	aMatrix   = "kernels:\n  - spec: apt:bookworm\n    name: old\n    has: {dax_fault_hwpoison: false}\n  - spec: tree:../linux@v6.5?cc=gcc-12\n"
	aDeclared = "changes:\n  - id: mine\n    commit: 1ea7ca1b0901\n    since: v6.5\n    subject: a subject\n    effect: another signal\n" +
		"    shows:\n      - {scenarios: dax/*/shared-read, step: 3, before: SIGBUS BUS_ADRERR, after: SIGBUS BUS_MCEERR_AR lsb=12}\n" +
		"    moves:\n      - {witness: log, before: \"\", after: \"MCE: *\"}\n"
)

// foreign is where an input is modified: a results folder next to files that must not be
// touched.
type foreign struct {
	r       *rand.Rand
	base    string // has theirs, outside and evil
	theirs  string
	outside string
}

// small returns a run that is quick to judge and to report.
func small() results.Run {
	run := demo.Troubled()
	keep := []string{"dax/ext4/shared-read", "dax/xfs/shared-read", "dax/ext4/pread", "dax/xfs/pread", "syscalls/ext4/pwrite-aligned"}
	run.Scenarios = slices.DeleteFunc(run.Scenarios, func(s results.Scenario) bool { return !slices.Contains(keep, s.ID) })
	cells := run.Cells[:0]
	for _, c := range run.Cells {
		if slices.Contains(keep, c.Scenario) {
			cells = append(cells, c)
		}
	}
	run.Cells = cells
	for i, k := range run.Kernels {
		run.Kernels[i].Console, run.Kernels[i].CommandFile = results.ConsoleFile(k.Name), results.CommandFile(k.Name)
	}
	judge.Run(&run)
	return run
}

// lay writes a run to a folder, with the files that it names.
func lay(t *testing.T, dir string, run results.Run, console string) {
	t.Helper()
	f, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range run.Cells {
		err = firstOf(err, f.PutCell(c))
	}
	for _, k := range run.Kernels {
		err = firstOf(err, f.Put(k.Console, []byte(console)), f.Put(k.CommandFile, []byte(console)))
	}
	if err = firstOf(err, f.PutRun(run)); err != nil {
		t.Fatal(err)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// pick returns one of some values.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// change returns text with bytes changed, removed or repeated.
func (f *foreign) change(text []byte) []byte {
	text = slices.Clone(text)
	for range 1 + f.r.IntN(4) {
		if len(text) == 0 {
			return text
		}
		at := f.r.IntN(len(text))
		to := min(len(text), at+1+f.r.IntN(40))
		switch f.r.IntN(5) {
		case 0:
			text[at] = byte(f.r.IntN(256))
		case 1:
			text = slices.Delete(text, at, to)
		case 2:
			text = slices.Insert(text, at, text[at:to]...)
		case 3:
			text = text[:at]
		case 4:
			text = slices.Insert(text, at, []byte(pick(f.r, "{}", "[]", "null", "-", "\x00", "../", "%s", "&a", "*a", "9999999999999999999", strings.Repeat("[", 2000), strings.Repeat("- ", 500)))...)
		}
	}
	return text
}

// document returns JSON with changed values.
func (f *foreign) document(text []byte) []byte {
	root := []any{nil}
	if json.Unmarshal(text, &root[0]) != nil {
		return text
	}
	for range 1 + f.r.IntN(3) {
		var places []func(any)
		var values []any
		var walk func(any)
		walk = func(v any) {
			switch v := v.(type) {
			case []any:
				for i, e := range v {
					places, values = append(places, func(now any) { v[i] = now }), append(values, e)
					walk(e)
				}
			case map[string]any:
				for _, k := range slices.Sorted(maps.Keys(v)) {
					places, values = append(places, func(now any) { v[k] = now }), append(values, v[k])
					walk(v[k])
				}
			}
		}
		walk(root)
		at := f.r.IntN(len(places))
		now := pick[any](f.r, nil, true, 0, -1, 1.5, 1e300, 2e9, "", "faultline.run/1", "faultline.run/2", "faultline.run/3", "\x1b[31m::error::\n", strings.Repeat("long", 1000),
			[]any{}, map[string]any{}, []any{nil}, "tree:"+filepath.Join(f.base, "evil"), filepath.Join(f.outside, "run.json"), "../outside/run.json", "kernels/../../outside/run.json",
			demo.OldName, demo.NewName, "dax/ext4/pread", "infra", "expected", "unexpected", "skipped", "2026-03-01T09:30:00Z", "kvm", "3/4", "99-0123abcd", values[f.r.IntN(len(values))], values[at])
		if list, ok := values[at].([]any); ok && f.r.IntN(2) == 0 { // grows
			for len(list) > 0 && len(list) < 300 {
				list = append(list, list...)
			}
			now = list
		}
		places[at](now)
		if b, err := json.Marshal(root[0]); err != nil || len(b) > 2<<20 {
			return text
		}
	}
	b, err := json.Marshal(root[0])
	if err != nil {
		return text
	}
	return b
}

// file changes or replaces one file of the folder.
func (f *foreign) file(t *testing.T) {
	t.Helper()
	var all []string
	err := filepath.Walk(f.theirs, func(path string, _ os.FileInfo, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 1 {
		return // all of it was taken away
	}
	at := pick(f.r, all[1:]...)
	rel, err := filepath.Rel(f.theirs, at)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(at); err == nil && info.Mode().IsRegular() && f.r.IntN(2) == 0 {
		b, err := os.ReadFile(at)
		if err == nil {
			err = os.WriteFile(at, f.change(b), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.RemoveAll(at); err != nil {
		t.Fatal(err)
	}
	switch outside := filepath.Join(f.outside, rel); f.r.IntN(6) {
	case 0:
		err = os.Symlink(outside, at)
	case 1:
		outside, err = filepath.Rel(filepath.Dir(at), outside)
		err = firstOf(err, os.Symlink(outside, at))
	case 2:
		err = os.Symlink(pick(f.r, "/", ".", "..", filepath.Base(at), "run.json", f.outside), at)
	case 3:
		err = unix.Mkfifo(at, 0o644)
	case 4:
		err = os.Mkdir(at, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// written collects all output, which must contain nothing from outside.
type written struct{ bytes.Buffer }

func (w *written) note(err error) {
	if err != nil {
		fmt.Fprintln(w, err)
	}
}

// read passes the folder to every reader and writer of a record.
func (f *foreign) read(t *testing.T, store *cache.Cache) *written {
	t.Helper()
	w := &written{}
	folder, err := results.Open(f.theirs)
	if w.note(err); err != nil {
		return w
	}
	run, err := folder.LoadObserved(judge.Run)
	w.note(err)
	_, skipped, errCells := folder.Cells()
	w.note(errCells)
	fmt.Fprintln(w, skipped)
	to, merged, errMerge := results.Merge(filepath.Join(f.base, "merged"), nil, judge.Run, folder)
	if w.note(errMerge); errMerge == nil {
		w.note(report.Write(merged, to))
		to.Close()
	}
	if err != nil {
		return w
	}
	for _, format := range report.Formats() {
		w.note(format.Write(w, run, folder))
	}
	w.note(report.Write(run, folder))
	w.note(table.Write(w, run, table.Options{Width: 100}))
	var ids []string
	for i, c := range run.Cells {
		if ids = append(ids, c.Scenario); i > 20 {
			break
		}
		explain.Cell(w, run, c, scenario.Info{ID: c.Scenario})
		cell, k, err := run.FindCell(run.CellName(c))
		if w.note(err); err != nil {
			continue
		}
		_, err = repro.Do(t.Context(), repro.Options{Run: run, Cell: cell, Kernel: k, Cache: store, Pause: repro.Step(run, cell), Log: t.Logf})
		if w.note(err); errkind.Of(err) != errkind.Request {
			t.Errorf("repro of a foreign record: got %v, want a request error", err)
		}
	}
	_, err = bisect.EndsOf(run, ids, bisect.Here{Host: run.Host, Suites: run.Suites})
	w.note(err)
	theirs, ours := compare.Side{Label: "theirs", Run: run}, compare.Side{Label: "ours", Run: small()}
	for _, sides := range [][2]compare.Side{{theirs, ours}, {ours, theirs}, {theirs, theirs}} {
		c, err := compare.Of(sides[0], sides[1], compare.Options{AnyAccel: f.r.IntN(2) == 0})
		w.note(firstOf(err, c.Write(w)))
		fmt.Fprintln(w, c.Moved())
	}
	h, err := history.Of([]history.Source{{Label: "theirs", Run: run}, {Label: "ours", Run: small()}}, history.Options{})
	w.note(firstOf(err, h.Write(w)))
	text, _, err := baseline.Encode(run)
	w.note(err)
	f.baseline(w, text)
	return w
}

// baseline reads a baseline, and compares a run with it.
func (f *foreign) baseline(w *written, text []byte) {
	b, err := baseline.Decode(text)
	if w.note(err); err != nil {
		return
	}
	c, err := compare.Of(compare.Side{Label: "baseline", Run: b.Run, Baseline: b}, compare.Side{Label: "ours", Run: small()}, compare.Options{})
	w.note(firstOf(err, c.Write(w)))
	fmt.Fprintln(w, c.Moved())
}

// FuzzForeign modifies records and the files around them, as their sender may: nothing
// outside of the folder is read or changed, nothing in it is executed, and no reader
// panics, hangs, or allocates without bound.
func FuzzForeign(f *testing.F) {
	for i := range uint64(40) {
		f.Add(i)
	}
	memory := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		memory = "/dev/shm" // run.json waits for a disk
	}
	base, err := os.MkdirTemp(memory, "faultline-foreign-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(base) })
	store, err := cache.Open(filepath.Join(base, "cache"))
	if err != nil {
		f.Fatal(err)
	}
	saved, _, err := baseline.Encode(small())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		in := &foreign{r: rand.New(rand.NewPCG(seed, 1)), base: dir, theirs: filepath.Join(dir, "theirs"), outside: filepath.Join(dir, "outside")}
		hidden := demo.Saying(secret)
		hidden.Kernels = slices.Clone(hidden.Kernels)
		for i, k := range hidden.Kernels {
			hidden.Kernels[i].Console, hidden.Kernels[i].CommandFile = results.ConsoleFile(k.Name), results.CommandFile(k.Name)
		}
		hidden.Cells, hidden.Scenarios = hidden.Cells[:2], hidden.Scenarios[:2]
		lay(t, in.outside, hidden, secret)
		before := snapshot(t, in.outside)
		if err := os.MkdirAll(filepath.Join(dir, "evil"), 0o755); err != nil {
			t.Fatal(err)
		}
		pwned := filepath.Join(dir, "PWNED")
		if err := os.WriteFile(filepath.Join(dir, "evil", "Makefile"), []byte("$(shell touch "+pwned+")\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		run := small()
		if in.r.IntN(3) == 0 { // killed: its cells are in files
			run.Finished = time.Time{}
		}
		lay(t, in.theirs, run, "console")
		record := filepath.Join(in.theirs, results.RunFile)
		text, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		switch in.r.IntN(4) {
		case 0:
			text = in.change(text)
		case 1, 2:
			text = in.document(text)
		}
		if err := os.WriteFile(record, text, 0o644); err != nil {
			t.Fatal(err)
		}
		for range in.r.IntN(4) {
			in.file(t)
		}
		began := processorTime(t)
		w := in.read(t, store)
		in.baseline(w, in.document(saved))
		in.baseline(w, in.change(saved))
		for name, text := range map[string]string{"m.yaml": aMatrix, "c.yaml": aDeclared} {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, in.change([]byte(text)), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := matrix.Load(file)
			w.note(err)
			_, err = declared.Load(file)
			w.note(err)
		}
		if took := processorTime(t) - began; took > mostTime {
			t.Errorf("took %v, want at most %v", took, mostTime)
		}
		if i := bytes.Index(w.Bytes(), []byte(secret)); i >= 0 {
			t.Errorf("a file outside was read: %.300s", w.Bytes()[max(0, i-100):])
		}
		if after := snapshot(t, in.outside); !maps.Equal(before, after) {
			t.Errorf("the files outside: got %v before, and after %v; want the same",
				slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
		inside(t, filepath.Join(dir, "merged"))
		inside(t, in.theirs)
		if _, err := os.Stat(pwned); err == nil {
			t.Error("a Makefile was run")
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapSys > mostHeap {
			t.Errorf("got %d MiB of memory, want at most %d MiB", m.HeapSys>>20, mostHeap>>20)
		}
	})
}

// snapshot returns the content of each file below a folder.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inside fails the test if a written file has contents from outside.
func inside(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Lstat(dir); err != nil {
		return
	}
	for path, content := range snapshot(t, dir) {
		if strings.Contains(content, secret) {
			t.Errorf("%s has what is outside", path)
		}
	}
}

// processorTime returns the CPU time of this process so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
