package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/errkind"
)

// BusyError is the error of a results folder that another process writes to.
type BusyError struct{ Dir string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another faultline process is writing to %s; wait until it ends, or give another folder with --out",
		e.Dir)
}

// ErrKind implements errkind.Kinder.
func (e *BusyError) ErrKind() errkind.Kind { return errkind.Request }

// Hold locks the folder against other writers until Close, or the end of this process,
// because starting a run moves the cells of the previous one away. The error is a
// *BusyError if another process holds it. Create and Begin hold their folder; to resume a
// run, call Hold.
func (f *Folder) Hold() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("lock the results folder: %w", err)
	}
	// The folder itself is locked, so that no lock file is left in it. A network file
	// system without locks is used without.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		dir.Close()
		return &BusyError{Dir: f.dir}
	}
	f.held = dir
	return nil
}

// CheckLinks returns an error if the folder of a run to resume has links where a run
// writes, because a write would follow them. A run creates no links.
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
		return errkind.Requestf("%s is not a regular file, so it was not written by Faultline; "+
			"remove it, or run without --resume", f.Path(rel))
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

// Close unlocks the folder. It can still be read and written.
func (f *Folder) Close() error {
	if f == nil || f.held == nil {
		return nil
	}
	err := f.held.Close()
	f.held = nil
	return err
}
