// Package build configures and compiles a Linux source tree outside the tree (make O=),
// and estimates how much there is to compile. It neither fetches source nor stores
// kernels.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Build is a source tree and the directory that it is compiled in.
type Build struct {
	// Source is the tree's directory. Nothing is written there.
	Source string
	// Objects is the build directory. Results of an earlier build there are reused as
	// far as make considers them up to date.
	Objects string
	// CC is the compiler, such as "gcc-11"; empty means gcc.
	CC string
	// Base is a complete .config to start from; empty means tinyconfig.
	Base string
	// Fragment lists further symbols to set, in the form of a .config.
	Fragment string
	// Deciding identifies all files of the source for which Decides is true; if they and
	// the rest are unchanged since Objects was last configured, Kconfig is not run
	// again. If empty, Kconfig is always run.
	Deciding string
	// Log is the file for all output of make; each build truncates it.
	Log string
	// Held is a file that make and its child processes keep open as long as one of them
	// lives, such as a lock; may be nil.
	Held *os.File
	// Progress is called for each compiled file, with the number of files so far and the
	// estimated total; 0 if unknown. May be nil.
	Progress func(files, of int)

	files, of int
}

// Error is the error for a tree that does not build.
type Error struct {
	Target string // make's target
	First  string // the first error in make's output; "" if no line looks like one
	Advice string // what to do about it, unless the source does not fit its compiler
	Log    string
	Err    error
}

func (e *Error) Error() string {
	first := e.First
	if first == "" {
		first = e.Err.Error()
	}
	return fmt.Sprintf("make %s: %s (the whole log: %s)", e.Target, first, e.Log)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrFull means that the disk has no space for a tree or its objects.
var ErrFull = errors.New("no space left on the device; free some, or set XDG_CACHE_HOME to a folder with more")

// Full adds ErrFull to an error caused by a full disk, and returns other errors
// unchanged.
func Full(err error) error {
	if errors.Is(err, unix.ENOSPC) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// Compile builds targets of make after Configure: "vmlinux" or "bzImage", which it
// leaves in Objects, and "modules".
func (b *Build) Compile(ctx context.Context, targets ...string) error {
	s := b.state()
	todo, err := b.todo(ctx, s.Whole, targets)
	if err != nil {
		return err
	}
	if todo > 0 {
		b.of = b.files + todo
	}
	if err := b.make(ctx, targets...); err != nil || s.Whole {
		return err
	}
	s.Whole = true
	return b.keep(s)
}

// todo estimates the number of files to compile; 0 if unknown.
func (b *Build) todo(ctx context.Context, whole bool, targets []string) (int, error) {
	if whole {
		stale, _, err := Stale(b.Source, b.Objects, nil)
		return stale, err
	}
	before, err := os.Stat(b.Log)
	if err != nil {
		return 0, err
	}
	if b.make(ctx, "prepare") != nil { // the targets need it too, and report the error
		return 0, errors.Join(context.Cause(ctx), os.Truncate(b.Log, before.Size()))
	}
	return b.listed(ctx, targets...), nil
}
