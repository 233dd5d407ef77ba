// Package build configures and compiles a Linux source tree, beside it and never in
// it (make O=), and says how much of it there is to compile. It fetches no source and
// keeps no kernel.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Build is a tree and where it is compiled.
type Build struct {
	// Source is the tree's folder. Nothing is written there.
	Source string
	// Objects is the folder of what is compiled. What an earlier build left there
	// is taken over as far as make finds it good.
	Objects string
	// CC is the compiler, "gcc-11"; empty stands for gcc.
	CC string
	// Base is a whole .config to begin with; empty stands for tinyconfig.
	Base string
	// Fragment is what must be set beside, in the form of a .config.
	Fragment string
	// Deciding identifies all of the source that Decides; where it and the rest are
	// as when Objects was last configured, Kconfig is not asked again. Empty asks.
	Deciding string
	// Log is the file that gets all that make prints; the next build begins it anew.
	Log string
	// Held is a file that make and what it starts keep open as long as one of them
	// lives, such as a lock; may be nil.
	Held *os.File
	// Progress hears of each file that was compiled: how many there are so far, and
	// about how many there will be; 0 where that is not known. May be nil.
	Progress func(files, of int)

	files, of int
}

// Error is a tree that does not build.
type Error struct {
	Target string // make's
	First  string // the first error in what make printed; "" if none looks like one
	Advice string // what to do about it, where it is no matter of the source and its compiler
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

// ErrFull is a disk that has no room for a tree or its objects.
var ErrFull = errors.New("no space left on the device; free some, or set XDG_CACHE_HOME to a folder with more")

// Full makes an error for want of room say ErrFull, and leaves others as they are.
func Full(err error) error {
	if errors.Is(err, unix.ENOSPC) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// Compile compiles make's targets of what Configure configured: "vmlinux" or "bzImage",
// which it leaves in Objects, and "modules".
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

// todo is about how many files there are to compile; 0 where that is not known.
func (b *Build) todo(ctx context.Context, whole bool, targets []string) (int, error) {
	if whole {
		stale, _, err := Stale(b.Source, b.Objects, nil)
		return stale, err
	}
	said, err := os.Stat(b.Log)
	if err != nil {
		return 0, err
	}
	if b.make(ctx, "prepare") != nil { // the targets need it as well, and will tell
		return 0, errors.Join(context.Cause(ctx), os.Truncate(b.Log, said.Size()))
	}
	return b.listed(ctx, targets...), nil
}
