package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/internal/bounded"
	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/plain"
)

// Names in a run's folder.
const (
	RunFile = "run.json"
	// MailFile is the text for the mail, of a run that validates a backport.
	MailFile = "mail.txt"

	kernelsDir = "kernels"
	cellsDir   = "cells"
	tmpPrefix  = ".tmp-"
)

// Folder is where a run's files lie:
//
//	run.json, report.html, …
//	kernels/<kernel>/console.log, qemu.sh, …
//	kernels/<kernel>/cells/<scenario>[@attempt].json
//
// Each file appears whole. One process writes to it: see Hold.
type Folder struct {
	dir  string
	held *os.File // the folder, locked; nil where it is not held
}

// NotWritableError says that a results folder can't be written to.
type NotWritableError struct {
	Dir string
	Err error
}

func (e *NotWritableError) Error() string {
	return fmt.Sprintf("results folder %s can't be written to: %v; give another one with --out", e.Dir, reason(e.Err))
}

// Fault implements fault.Kinder.
func (e *NotWritableError) Fault() fault.Kind { return fault.Request }

// Unwrap is the operating system's error.
func (e *NotWritableError) Unwrap() error { return e.Err }

// reason drops the path, which may be that of a temporary file.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// NoRunError says that a folder holds no run.
type NoRunError struct{ Dir string }

func (e *NoRunError) Error() string {
	return fmt.Sprintf("%s holds no run (no %s in it); give the folder of one, results/latest for example", e.Dir, RunFile)
}

// Fault implements fault.Kinder.
func (e *NoRunError) Fault() fault.Kind { return fault.Request }

// Latest is where the newest run is found that was given no folder.
var Latest = filepath.Join("results", "latest")

// Begin makes the folder of a new run, as Create does: dir, or where that is empty
// one in results/ that is named by the time, and to which Latest points from then
// on: a run that is killed is the one to go on with.
func Begin(dir string) (*Folder, error) {
	if dir != "" {
		dir, err := filepath.Abs(dir) // the suites' processes run elsewhere
		if err != nil {
			return nil, err
		}
		return Create(dir)
	}
	results, err := filepath.Abs(filepath.Dir(Latest))
	if err != nil {
		return nil, err
	}
	id := NewID(time.Now())
	for n, name := 2, id; ; n, name = n+1, fmt.Sprint(id, "-", n) { // others may begin in the same second
		dir := filepath.Join(results, name)
		if _, err := os.Lstat(dir); err == nil {
			continue
		}
		f, err := Create(dir)
		if busy := (*BusyError)(nil); errors.As(err, &busy) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := f.MarkLatest(); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
}

// Create makes the folder of a new run, and its parents, and holds it. A run that
// lies there already is replaced: its run.json, mail and cells go, other files stay
// until they are written over. The error is a *NotWritableError, or a *BusyError. Close it.
func Create(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := f.create(); err != nil {
		f.Close()
		if busy := (*BusyError)(nil); errors.As(err, &busy) {
			return nil, err
		}
		return nil, &NotWritableError{Dir: dir, Err: err}
	}
	return f, nil
}

func (f *Folder) create() error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(f.dir, tmpPrefix)
	if err != nil {
		return err
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	if err := f.Hold(); err != nil {
		return err
	}
	for _, concluded := range []string{RunFile, MailFile} {
		if err := os.Remove(f.Path(concluded)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(escape(f.dir), kernelsDir, "*", cellsDir))
	if err != nil {
		return err
	}
	for _, cells := range old {
		if err := os.RemoveAll(cells); err != nil {
			return err
		}
	}
	return nil
}

// escape makes a path safe to be the start of a glob pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Open opens the folder of an earlier run, to resume, merge or report it; its
// run.json stands for it. The error is a *NoRunError when there is none.
func Open(dir string) (*Folder, error) {
	if info, err := os.Stat(dir); err == nil && info.Mode().IsRegular() && filepath.Base(dir) == RunFile {
		dir = filepath.Dir(dir)
	}
	f := &Folder{dir: dir}
	_, err := os.Stat(f.Path(RunFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NoRunError{Dir: dir}
	}
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	return f, nil
}

// At is a folder in which a run may not have got as far as its run.json.
func At(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	return &Folder{dir: dir}, err
}

// Dir is the folder's path, as it was given.
func (f *Folder) Dir() string { return f.dir }

// Path is the path of a file of the run, given relative to the folder.
func (f *Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{f.dir}, elem...)...)
}

// KernelDir is the folder of a kernel's files, relative to the run's.
func KernelDir(kernel string) string { return filepath.Join(kernelsDir, Slug(kernel)) }

// ConsoleFile and CommandFile are the paths, relative to the run's folder, of
// a kernel's console and of the QEMU command that booted it.
func ConsoleFile(kernel string) string { return filepath.Join(KernelDir(kernel), "console.log") }

// CommandFile is described with ConsoleFile.
func CommandFile(kernel string) string { return filepath.Join(KernelDir(kernel), "qemu.sh") }

// CellFile is the path of a cell's file, relative to the run's folder.
func CellFile(c observe.Cell) string {
	name := Slug(c.Scenario)
	if c.Attempt > 0 {
		name += fmt.Sprintf("@%d", c.Attempt)
	}
	return filepath.Join(KernelDir(c.Kernel), cellsDir, name+".json")
}

// PutCell writes a cell. The file appears whole or not at all, and replaces an
// earlier one of the same kernel, scenario and attempt.
func (f *Folder) PutCell(c observe.Cell) error {
	return f.putJSON(CellFile(c), c)
}

// PutRun writes run.json. It may be called at the start, and again at the end.
func (f *Folder) PutRun(r Run) error {
	return f.putJSON(RunFile, r)
}

func (f *Folder) putJSON(rel string, v any) error {
	b, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", rel, err)
	}
	return f.Put(rel, b)
}

// encode is JSON for people, too: what would steer a terminal is escaped.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return plain.JSON(b.Bytes()), err
}

// Write writes a run as its run.json has it. Of the folder, which may be nil, it
// takes nothing.
func Write(w io.Writer, r Run, _ *Folder) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Put writes a file of the run, given relative to the folder: under a
// temporary name first, then renamed, so that it is never seen half-written.
func (f *Folder) Put(rel string, content []byte) error {
	path := f.Path(rel)
	if err := put(path, content); err != nil {
		return fmt.Errorf("write %s: %w", path, reason(err))
	}
	return nil
}

// By hand, because renameio waits for the disk after each file (fsync), which is
// too long for a cell, and a killed run's halves are known by tmpPrefix.
func put(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), tmpPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(content)
	// CreateTemp makes a private file; results are for whoever may read the folder.
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Skipped is a file among the cells that is not one.
type Skipped struct {
	Path   string // relative to the run's folder
	Reason string
}

// String is the file and why it was skipped.
func (s Skipped) String() string { return s.Path + ": " + s.Reason }

// Cells reads the cells that are there, by kernel folder and file name. Files
// that are no cell of this run (half-written, foreign) are skipped, and named.
func (f *Folder) Cells() ([]observe.Cell, []Skipped, error) {
	paths, err := filepath.Glob(filepath.Join(escape(f.dir), kernelsDir, "*", cellsDir, "*"))
	if err != nil {
		return nil, nil, fmt.Errorf("list cells of %s: %w", f.dir, err)
	}
	hidden, err := filepath.Glob(filepath.Join(escape(f.dir), kernelsDir, "*", cellsDir, ".*"))
	if err != nil {
		return nil, nil, fmt.Errorf("list cells of %s: %w", f.dir, err)
	}
	paths = append(paths, hidden...)
	slices.Sort(paths)
	var cells []observe.Cell
	var skipped []Skipped
	for _, path := range slices.Compact(paths) {
		rel, err := filepath.Rel(f.dir, path)
		if err != nil {
			return nil, nil, fmt.Errorf("list cells of %s: %w", f.dir, err)
		}
		c, err := readCell(path)
		if err == nil && CellFile(c) != rel {
			err = fmt.Errorf("holds %s on %s, which belongs in %s", c.Scenario, c.Kernel, CellFile(c))
		}
		if err != nil {
			skipped = append(skipped, Skipped{Path: rel, Reason: err.Error()})
			continue
		}
		cells = append(cells, c)
	}
	return cells, skipped, nil
}

// What is read of a folder has bounds, in bytes: it may come from elsewhere. A
// cell has some 10 KiB, a run of 5,000 of them 40 MiB; a console is as long as
// its guest's time and its serial port allow.
const (
	maxCell    = 64 << 20
	maxRun     = 1 << 30
	maxConsole = 1 << 30
)

func readCell(path string) (observe.Cell, error) {
	if strings.HasPrefix(filepath.Base(path), tmpPrefix) {
		return observe.Cell{}, errors.New("was not finished")
	}
	b, err := bounded.ReadFile(path, maxCell)
	if err != nil {
		return observe.Cell{}, reason(err)
	}
	var c observe.Cell
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return observe.Cell{}, fmt.Errorf("is not a cell: %w", err)
	}
	if dec.More() {
		return observe.Cell{}, errors.New("is not a cell: more follows it")
	}
	if c.Scenario == "" || c.Kernel == "" || c.Verdict == "" {
		return observe.Cell{}, errors.New("is not a cell: it lacks a scenario, a kernel or a verdict")
	}
	return c, nil
}

// MarkLatest points the symlink "latest" beside the folder at it.
func (f *Folder) MarkLatest() error {
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("mark %s as latest: %w", f.dir, err)
	}
	link := filepath.Join(filepath.Dir(abs), "latest")
	if at, err := os.Lstat(link); err == nil && at.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("mark %s as latest: %s is there and is no symlink; move it away", f.dir, link)
	}
	// A symlink can't be replaced in one step but by renaming another over it.
	tmp := filepath.Join(filepath.Dir(abs), tmpPrefix+"latest-"+filepath.Base(abs))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mark %s as latest: %w", f.dir, err)
	}
	if err := os.Symlink(filepath.Base(abs), tmp); err != nil {
		return fmt.Errorf("mark %s as latest: %w", f.dir, err)
	}
	if err := os.Rename(tmp, link); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("mark %s as latest: %w", f.dir, err)
	}
	return nil
}
