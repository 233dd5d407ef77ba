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
	// MailFile is the text for the mail, of a run that validates a backport.
	MailFile = "mail.txt"
	// BisectFile is the record of a bisection, which has the cells of a run beside it.
	BisectFile = "bisect.json"

	kernelsDir = "kernels"
	cellsDir   = "cells"
	tmpPrefix  = ".tmp-"
)

// Folder is where a run's files lie:
//
//	run.json, begun.json, report.html, …
//	kernels/<kernel>/console.log, qemu.sh, …
//	kernels/<kernel>/cells/<scenario>[@attempt].json
//
// Each file appears whole. One process writes to it: see Hold.
type Folder struct {
	dir     string
	held    *os.File // the folder, locked; nil where it is not held
	earlier string   // see Earlier
}

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

// ErrKind implements errkind.Kinder.
func (e *NoRunError) ErrKind() errkind.Kind { return errkind.Request }

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
	b, err := encode(c)
	if err != nil {
		return fmt.Errorf("encode the cell of %s on %s: %w", c.Scenario, c.Kernel, err)
	}
	return f.Put(CellFile(c), b)
}

// PutRun writes run.json. It may be called at the start, and again at the end.
// It is on the disk then, so that a run can be resumed after a power loss.
func (f *Folder) PutRun(r Run) error {
	b, err := encode(r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", RunFile, err)
	}
	return f.PutSynced(RunFile, b)
}

// encode is JSON for people, too: what would steer a terminal is escaped.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return sanitize.JSON(b.Bytes()), err
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
func (f *Folder) Put(rel string, content []byte) error { return f.put(rel, content, false) }

// PutSynced is Put of a file that is on the disk when it returns: without it all that
// the run observed would be lost.
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

// By hand, because renameio waits for the disk after each file (fsync), which takes
// too long for a cell, and a killed run's halves are recognised by tmpPrefix.
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
