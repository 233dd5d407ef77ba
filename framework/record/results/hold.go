package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/errkind"
)

// BusyError says that another process writes to a results folder.
type BusyError struct{ Dir string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another faultline writes its results to %s; wait until it is done, or give another folder with --out", e.Dir)
}

// ErrKind implements errkind.Kinder.
func (e *BusyError) ErrKind() errkind.Kind { return errkind.Request }

// Hold keeps others from writing to the folder until Close, or this process' end:
// who begins a run takes away the cells of the one before. The error is a
// *BusyError where another was first. Create and Begin hold their folder; who goes
// on with a run holds it himself.
func (f *Folder) Hold() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("hold the results folder: %w", err)
	}
	// The folder itself is locked, so that nothing is left in it. A file system of
	// the network that can't do that is written to without.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		dir.Close()
		return &BusyError{Dir: f.dir}
	}
	f.held = dir
	return nil
}

// CheckLinks refuses a folder that is to be written to again, and has links where a run
// writes: what is written would go to where they lead. A run leaves none.
func (f *Folder) CheckLinks() error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	plain := func(rel string, mode fs.FileMode) error {
		if mode.IsDir() || mode.IsRegular() {
			return nil
		}
		return errkind.Requestf("%s is no regular file, and no run of Faultline left it; remove it, or run without --resume", f.Path(rel))
	}
	top, err := root.Lstat(kernelsDir) // WalkDir follows a link there
	if err == nil {
		err = plain(kernelsDir, top.Mode())
	}
	if err == nil {
		err = fs.WalkDir(root.FS(), kernelsDir, func(rel string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return plain(rel, d.Type())
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close lets others write to the folder; it can still be read, and written to.
func (f *Folder) Close() error {
	if f == nil || f.held == nil {
		return nil
	}
	err := f.held.Close()
	f.held = nil
	return err
}
