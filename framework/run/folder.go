package run

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/errkind"
)

// checkFolder reads the run to resume, or checks, before kernels are fetched, that
// results can be written. It creates and changes nothing.
func (r *recorder) checkFolder() (err error) {
	if !r.Resume {
		return errors.Join(writable(r.Out), free(r.Out))
	}
	dir := r.Out
	if dir == "" {
		dir = results.Latest
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if filepath.Base(dir) == results.RunFile {
		dir = filepath.Dir(dir)
	}
	if r.folder, err = results.At(dir); err != nil {
		return err
	}
	none := errkind.Requestf("nothing to resume: no run was started in %s; run without --resume first", dir)
	if err = r.folder.Hold(); errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		return err
	}
	var from string
	r.record, from, err = r.folder.LoadBegun(judge.Run)
	switch {
	case errors.As(err, new(*results.NoRunError)):
		return none
	case errors.As(err, new(*results.LostError)):
		return errkind.Requestf("resume: %w", err)
	case err != nil:
		return errkind.Requestf("resume %s: %w; run without --resume", dir, err)
	case from != results.RunFile:
		r.progress.say(
			"%s in %s is missing or damaged; continuing with %s and the cells that are left",
			results.RunFile,
			dir,
			from,
		)
	}
	return nil
}

// free checks that a folder, if it exists, can be used for a new run: no other process
// writes to it, and it contains only results.
func free(dir string) error {
	f, err := results.At(dir)
	if err != nil || dir == "" {
		return err
	}
	var busy *results.BusyError
	if err := f.Hold(); errors.As(err, &busy) {
		return busy
	}
	return errors.Join(f.Check(), f.Close())
}

// writable checks that a folder can be written to, or created.
func writable(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue
		}
		if err == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err == nil {
			err = unix.Access(at, unix.W_OK|unix.X_OK)
		}
		if err != nil {
			return &results.NotWritableError{Dir: dir, Err: err}
		}
		return nil
	}
}

// discard removes what begin created, when the request turns out to be wrong later.
// Other contents of the folder stay.
func (r *recorder) discard(ks []*plan.Kernel) {
	if r.Resume {
		return
	}
	for _, k := range ks {
		os.RemoveAll(r.folder.Path(results.KernelDir(k.Name)))
	}
	os.Remove(r.folder.Path(results.RunFile))
	os.Remove(r.folder.Path(results.BegunFile))
	os.Remove(r.folder.Path("kernels"))
	os.Remove(r.folder.Dir()) // fails, as intended, if anything is in it
	if r.Out == "" {
		os.Remove(results.Latest)
		os.Remove(filepath.Dir(results.Latest))
	}
}
