package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/internal/suggest"
)

// NotWritableError is the error of a results folder that cannot be written to.
type NotWritableError struct {
	Dir string
	Err error
}

func (e *NotWritableError) Error() string {
	return fmt.Sprintf("cannot write to results folder %s: %v; give another one with --out", e.Dir, reason(e.Err))
}

// ErrKind implements errkind.Kinder.
func (e *NotWritableError) ErrKind() errkind.Kind { return errkind.Request }

// Unwrap returns the operating system's error.
func (e *NotWritableError) Unwrap() error { return e.Err }

// Latest is the link to the newest run without a given folder.
var Latest = filepath.Join("results", "latest")

// Begin creates the folder of a new run, as Create does: dir, or if that is empty one in
// results/ that is named after the time. Latest points to the latter from the start, so
// that a killed run can be resumed.
func Begin(dir string) (*Folder, error) {
	if dir != "" {
		dir, err := filepath.Abs(dir) // suite processes run in another folder
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
	for n, name := 2, id; ; n, name = n+1, fmt.Sprint(id, "-", n) { // others may start in the same second
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

// Create creates the folder of a new run, with its parents, and holds it. The files of an
// earlier run or bisection are moved to a subfolder (Earlier); other files stay. The error
// is a *NotWritableError, a *BusyError, or a *ForeignError. The folder must be closed.
func Create(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := f.create(); err != nil {
		f.Close()
		if busy, foreign := (*BusyError)(nil), (*ForeignError)(nil); errors.As(err, &busy) || errors.As(err, &foreign) {
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
	id, names, err := f.left()
	if err != nil || len(names) == 0 {
		return err
	}
	return f.moveAside(id, names)
}

// ForeignError is the error of a folder with files that have the names of a run's files,
// but do not belong to a run of Faultline.
type ForeignError struct {
	Dir   string
	Names []string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s contains %s, but no record of a run; give another folder with --out, or move these files away",
		e.Dir, suggest.Quoted(e.Names, "and"))
}

// ErrKind implements errkind.Kinder.
func (e *ForeignError) ErrKind() errkind.Kind { return errkind.Request }

// Files are glob patterns of what runs and bisections write at the top of their folder:
// records, reports, and the folder of the kernels' files.
var Files = []string{
	RunFile, BegunFile, MailFile, BisectFile, kernelsDir, "bisect*.log",
	"report.html", "junit.xml", "ktap.txt", "kcidb.json", "summary.md",
}

// Check returns the error that Create would return because of the folder's contents. It
// changes nothing.
func (f *Folder) Check() error {
	_, _, err := f.left()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// left returns the files of an earlier run in the folder, and the run's id. The error is a
// *ForeignError if there are such files without a record of a run.
func (f *Folder) left() (id string, left []string, err error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return "", nil, err
	}
	defer root.Close()
	all, err := names(root, ".")
	if err != nil {
		return "", nil, err
	}
	for _, name := range all {
		for _, pattern := range Files {
			if ok, err := filepath.Match(pattern, name); err == nil && ok {
				left = append(left, name)
			}
		}
	}
	for _, record := range []struct{ name, schema string }{
		{BisectFile, "faultline.bisect/"}, {BegunFile, "faultline.run/"}, {RunFile, "faultline.run/"},
	} {
		b, err := limitread.ReadFileIn(root, record.name, maxRun)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if record.name == RunFile && id != "" && err == nil && !json.Valid(b) {
			continue // damaged by a power loss
		}
		var head struct {
			Schema, ID string
			Started    time.Time
		}
		if err != nil || json.Unmarshal(b, &head) != nil || !strings.HasPrefix(head.Schema, record.schema) {
			return "", nil, &ForeignError{Dir: f.dir, Names: []string{record.name}}
		}
		id = cmp.Or(head.ID, NewID(head.Started))
	}
	if len(left) > 0 && id == "" {
		return "", nil, &ForeignError{Dir: f.dir, Names: left}
	}
	return id, left, nil
}

// earlierDir is the subfolder for earlier runs.
const earlierDir = "earlier"

// Earlier returns the path of the folder to which Create moved the files of an earlier
// run; empty if there was none.
func (f *Folder) Earlier() string { return f.earlier }

// moveAside moves the files of the run with an id to a subfolder.
func (f *Folder) moveAside(id string, names []string) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(earlierDir, 0o755); err != nil {
		return err
	}
	to := filepath.Join(earlierDir, Slug(id))
	for n := 2; ; n++ {
		err := root.Mkdir(to, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		to = filepath.Join(earlierDir, fmt.Sprintf("%s-%d", Slug(id), n))
	}
	for _, name := range names {
		if err := root.Rename(name, filepath.Join(to, name)); err != nil {
			return err
		}
	}
	f.earlier = f.Path(to)
	return nil
}

// MarkLatest points the symlink "latest", next to the folder, to it.
func (f *Folder) MarkLatest() error {
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return fmt.Errorf("mark %s as latest: %w", f.dir, err)
	}
	link := filepath.Join(filepath.Dir(abs), "latest")
	if at, err := os.Lstat(link); err == nil && at.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("mark %s as latest: %s exists and is not a symlink; move it away", f.dir, link)
	}
	// A symlink can be replaced atomically only by renaming another over it.
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
