package apt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// aptState is the state for one suite and those that belong to it: sources derived from the
// machine's, an index of the kernel packages, and apt's own state if there is an apt. It is in the cache
// directory, so it needs no root and does not affect the machine's apt.
type aptState struct {
	// machine is empty if it could not be read: then existing lists are used.
	machine configuration
	suite   string
	dir     string
	index   *aptIndex
	// refreshed means that this process has just fetched the lists.
	refreshed bool
}

// aptIndex has the kernel packages from the package lists. It is stored because apt
// itself takes a second to answer.
type aptIndex struct {
	Format int `json:"format"`
	// Machine is the stamp of the configuration with which the lists were fetched.
	Machine  string       `json:"machine"`
	Origin   string       `json:"origin"` // of the suite
	Suites   []string     `json:"suites"`
	Packages []aptPackage `json:"packages"`
}

const aptIndexFormat = 2

// aptPackage is a kernel package in the lists.
type aptPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Suite   string `json:"suite"`
	Depends string `json:"depends,omitempty"`
	SHA256  string `json:"sha256"`
	Size    string `json:"size"` // bytes
	URL     string `json:"url"`
}

// retryAfter is the time between attempts to refresh, after a failure, if old lists
// exist.
const retryAfter = time.Hour

// open returns the state of a suite whose lists are recent enough and were made from the
// machine's present sources, or, if the mirror can't be reached, with the existing
// lists.
func (m machine) open(ctx context.Context, suite string, opts kernels.Options, force bool) (*aptState, error) {
	a := &aptState{suite: suite, dir: filepath.Join(opts.Cache.Dir(), "apt", suite)}
	var unknown error
	if a.machine, unknown = m.read(ctx); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !force && a.read(opts.MaxAge) {
		return a, nil
	}
	fresh := !exists(a.dir)
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create a private apt state: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(a.dir, "lock"), opts)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !force && a.read(opts.MaxAge) { // another process refreshed it meanwhile
		return a, nil
	}
	old := a.readAny()
	if !force && old && a.failedLately() {
		return a, nil
	}
	if err = unknown; err == nil {
		err = a.refresh(ctx, opts)
	}
	if err == nil {
		a.refreshed = true
		_ = os.Remove(a.failedMark())
		return a, nil
	}
	var spec *kernels.SpecError
	if old && ctx.Err() == nil && !errors.As(err, &spec) {
		opts.Logf("use the old package lists of %s from %s: %v", suite, a.age(), err)
		_ = os.WriteFile(a.failedMark(), []byte(a.machine.stamp), 0o644)
		return a, nil
	}
	if fresh {
		_ = os.RemoveAll(a.dir)
	}
	return nil, err
}

// failedLately reports whether a refresh with the same configuration failed less than
// retryAfter ago.
func (a *aptState) failedLately() bool {
	info, err := os.Stat(a.failedMark())
	if err != nil || time.Since(info.ModTime()) > retryAfter {
		return false
	}
	with, err := os.ReadFile(a.failedMark())
	return err == nil && string(with) == a.machine.stamp
}

func (a *aptState) indexFile() string  { return filepath.Join(a.dir, "index.json") }
func (a *aptState) failedMark() string { return filepath.Join(a.dir, "refresh-failed") }

func (a *aptState) age() string {
	info, err := os.Stat(a.indexFile())
	if err != nil {
		return "before"
	}
	return info.ModTime().Format("2006-01-02 15:04")
}

// read reads the index if it is younger than maxAge and was made with the machine's
// present configuration.
func (a *aptState) read(maxAge time.Duration) bool {
	info, err := os.Stat(a.indexFile())
	if err != nil || time.Since(info.ModTime()) > maxAge {
		return false
	}
	return a.readAny() && (a.machine.stamp == "" || a.index.Machine == a.machine.stamp)
}

// readAny reads the index, independent of age and configuration.
func (a *aptState) readAny() bool {
	data, err := os.ReadFile(a.indexFile())
	if err != nil {
		return false
	}
	var x aptIndex
	if json.Unmarshal(data, &x) != nil || x.Format != aptIndexFormat {
		return false
	}
	a.index = &x
	return true
}

// lockFile takes an exclusive lock, waiting until ctx ends.
func lockFile(ctx context.Context, name string, opts kernels.Options) (unlock func(), err error) {
	l := flock.New(name)
	// Two kernels of a suite are resolved at a time.
	if free, err := l.TryLock(); err == nil && !free && !cache.HeldHere(name) {
		opts.Logf("wait for another process that uses %s", filepath.Dir(name))
	}
	if _, err := l.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for the private apt state in %s: %w", filepath.Dir(name), context.Cause(ctx))
		}
		return nil, fmt.Errorf("lock the private apt state: %w", err)
	}
	return func() { l.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
