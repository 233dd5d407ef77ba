package results

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
)

// Names in a run's folder.
const (
	RunFile = "run.json"
	// MailFile is the text of the mail, in the run of a backport.
	MailFile = "mail.txt"
	// BisectFile is the record of a bisection, next to the files of a run.
	BisectFile = "bisect.json"

	kernelsDir = "kernels"
	cellsDir   = "cells"
	tmpPrefix  = ".tmp-"
)

// Folder is the folder of a run's files:
//
//	run.json, begun.json, report.html, …
//	kernels/<kernel>/console.log, qemu.sh, …
//	kernels/<kernel>/cells/<scenario>[@attempt].json
//
// Files are written atomically. One process writes at a time: see Hold.
type Folder struct {
	dir     string
	held    *os.File // the locked folder; nil if it is not held
	earlier string   // see Earlier
}

// reason drops the path, which may be that of a temporary file.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// NoRunError is the error of a folder that contains no run.
type NoRunError struct{ Dir string }

func (e *NoRunError) Error() string {
	if filepath.Clean(e.Dir) == filepath.Clean(Latest) {
		return fmt.Sprintf("there is no run in %s yet; start one with \"faultline run\", "+
			"or give the folder of another run", e.Dir)
	}
	return fmt.Sprintf("%s contains no run (no %s in it); give the folder of a run, such as results/latest",
		e.Dir, RunFile)
}

// ErrKind implements errkind.Kinder.
func (e *NoRunError) ErrKind() errkind.Kind { return errkind.Request }

// Open opens the folder of an earlier run, or that of a given run.json, to resume, merge
// or report it. The error is a *NoRunError if there is none.
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

// At returns the folder of a run that may not have a run.json yet.
func At(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	return &Folder{dir: dir}, err
}

// Dir returns the folder's path, as given.
func (f *Folder) Dir() string { return f.dir }

// Path returns the path of a file of the run, given relative to the folder.
func (f *Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{f.dir}, elem...)...)
}

// KernelDir returns the folder of a kernel's files, relative to the run's.
func KernelDir(kernel string) string { return filepath.Join(kernelsDir, Slug(kernel)) }

// ConsoleFile returns the path of a kernel's console, relative to the run's folder.
func ConsoleFile(kernel string) string { return filepath.Join(KernelDir(kernel), "console.log") }

// CommandFile returns the path of the QEMU command that booted a kernel, relative to the
// run's folder.
func CommandFile(kernel string) string { return filepath.Join(KernelDir(kernel), "qemu.sh") }

// CellFile returns the path of a cell's file, relative to the run's folder.
func CellFile(c observe.Cell) string {
	name := Slug(c.Scenario)
	if c.Attempt > 0 {
		name += fmt.Sprintf("@%d", c.Attempt)
	}
	return filepath.Join(KernelDir(c.Kernel), cellsDir, name+".json")
}

// PutCell writes a cell atomically. It replaces an earlier file of the same kernel,
// scenario and attempt.
func (f *Folder) PutCell(c observe.Cell) error {
	b, err := encode(c)
	if err != nil {
		return fmt.Errorf("encode cell of %s on %s: %w", c.Scenario, c.Kernel, err)
	}
	return f.Put(CellFile(c), b)
}

// PutRun writes run.json, at the start of a run and again at its end. It syncs the file,
// so that a run can be resumed after a power loss.
func (f *Folder) PutRun(r Run) error {
	b, err := encode(r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", RunFile, err)
	}
	return f.PutSynced(RunFile, b)
}

// encode returns JSON in which terminal control characters are escaped.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return sanitize.JSON(b.Bytes()), err
}

// Write writes a run in the format of run.json. It ignores the folder.
func Write(w io.Writer, r Run, _ *Folder) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Put writes a file of the run atomically, given relative to the folder: under a temporary
// name first, then renamed.
func (f *Folder) Put(rel string, content []byte) error { return f.put(rel, content, false) }

// PutSynced is Put with fsync, for a file without which all results of a run would be
// lost.
func (f *Folder) PutSynced(rel string, content []byte) error { return f.put(rel, content, true) }

func (f *Folder) put(rel string, content []byte, sync bool) error {
	root, err := os.OpenRoot(f.dir)
	if err == nil {
		err = put(root, rel, content, sync)
		root.Close()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path(rel), reason(err))
	}
	return nil
}

// put does not use renameio, because that syncs each file, which takes too long for a
// cell, and because the incomplete files of a killed run are recognised by tmpPrefix.
func put(root *os.Root, rel string, content []byte, sync bool) (err error) {
	dir := filepath.Dir(rel)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, tmpPrefix+rand.Text())
	tmp, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(name))
		}
	}()
	_, err = tmp.Write(content)
	if sync && err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := root.Rename(name, rel); err != nil || !sync {
		return err
	}
	in, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(in.Sync(), in.Close())
}
