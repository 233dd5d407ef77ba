package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
)

// A tree is compiled in places: directories of the cache, each with a checkout and, for
// each configuration, a directory of objects. A new revision goes to the place where the
// fewest files have to be compiled for it.
const (
	workKind = "tree"
	// mostPlaces bounds the disk space for a tree: a checkout is some 1.5 GB.
	mostPlaces = 3
	// mostConfigurations bounds the disk space for configurations in a place.
	mostConfigurations = 3
	// far is the share of a place's compiled files to recompile from which on another place
	// is better. Compiling half of them here or all of them elsewhere is at most twice
	// the work, and is recovered when the old revision is built again.
	far = 0.5
)

// Files and directories of a place. Build output has other names.
const (
	sourceName  = "source"
	treeName    = "tree" // has the hash of the tree that is, or was to be, checked out
	objectsName = "objects-"
	logSuffix   = ".log"
)

// place is a place that is held.
type place struct {
	*cache.Work
	objects string // the directory for the configuration
}

// log returns the path of make's log file.
func (p *place) log() string { return p.objects + logSuffix }

// survey describes a place without holding it.
type survey struct {
	number int // from 1
	path   string
	tree   string
	used   time.Time
	// compiled means that it has objects in the wanted configuration.
	compiled bool
	// share is the share of its compiled files that would be recompiled.
	share float64
}

// take finds the place for a snapshot in a configuration, and holds it.
func (w *work) take(ctx context.Context, s *snapshot, configuration string) (*place, error) {
	if s.tree == "" { // its objects depend on files outside the place
		return w.hold(ctx, "standing", configuration)
	}
	for try := 1; ; try++ {
		all := w.survey(ctx, s, configuration)
		chosen := survey{number: choose(all, w.roomFor)}
		for _, a := range all {
			if a.number == chosen.number {
				chosen = a
			}
		}
		p, err := w.hold(ctx, fmt.Sprint(chosen.number), configuration)
		if err != nil {
			return nil, err
		}
		// During the wait, another build may have changed its checkout.
		if p.tree() == chosen.tree || try == mostPlaces {
			return p, nil
		}
		p.Close()
	}
}

// hold waits for a place, holds it, and limits the number of its configurations.
func (w *work) hold(ctx context.Context, name, configuration string) (*place, error) {
	path := filepath.Join(w.opts.Cache.Dir(), workKind, w.key+"-"+name)
	held, err := w.opts.Cache.Work(
		ctx,
		workKind,
		filepath.Base(path),
		false,
		func() { w.opts.Logf("wait for another build in %s", path) },
	)
	if err != nil {
		return nil, err
	}
	p := &place{held, filepath.Join(path, objectsName+configuration)}
	for others := p.others(); len(others) >= mostConfigurations; others = others[:len(others)-1] {
		err = errors.Join(err, os.RemoveAll(others[len(others)-1]), os.RemoveAll(others[len(others)-1]+logSuffix))
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// tree returns the hash of the tree that is checked out.
func (p *place) tree() string { return read(filepath.Join(p.Path, treeName)) }

func read(file string) string {
	data, _ := os.ReadFile(file) // a missing file is like an empty one
	return string(data)
}

// others returns the directories of objects in other configurations, most recently
// used first.
func (p *place) others() []string {
	return slices.DeleteFunc(objectsIn(p.Path), func(o string) bool { return o == p.objects })
}

// objectsIn returns a place's directories of objects, most recently used first: a build
// rewrites its log.
func objectsIn(path string) []string {
	logs, _ := fs.Glob(os.DirFS(path), objectsName+"*"+logSuffix) // the pattern is valid
	for i := range logs {
		logs[i] = filepath.Join(path, logs[i])
	}
	slices.SortFunc(logs, func(a, b string) int { return modified(b).Compare(modified(a)) })
	for i := range logs {
		logs[i] = strings.TrimSuffix(logs[i], logSuffix)
	}
	return logs
}

func modified(file string) (t time.Time) {
	if info, err := os.Stat(file); err == nil {
		t = info.ModTime()
	}
	return t
}

// giveBack removes build output after the disk became full: half a build is what
// filled it.
func (p *place) giveBack() error {
	if len(p.others()) == 0 {
		return p.Remove()
	}
	return errors.Join(os.RemoveAll(p.objects), os.Remove(p.log()))
}

// survey inspects the existing places.
func (w *work) survey(ctx context.Context, s *snapshot, configuration string) (all []survey) {
	for n := 1; n <= mostPlaces; n++ {
		a := survey{number: n, path: filepath.Join(w.opts.Cache.Dir(), workKind, fmt.Sprint(w.key, "-", n)), share: 1}
		if a.tree = read(filepath.Join(a.path, treeName)); a.tree == "" {
			continue
		}
		a.used = modified(filepath.Join(a.path, treeName))
		a.measure(ctx, s, configuration)
		all = append(all, a)
	}
	return all
}

// measure estimates how much of a place's files a snapshot would recompile; everything if
// unknown.
func (a *survey) measure(ctx context.Context, s *snapshot, configuration string) {
	changed := map[string]bool{}
	if a.tree != s.tree {
		files, err := s.repo.Differ(ctx, a.tree, s.tree)
		if err != nil {
			return // the previous tree is no longer in the repository
		}
		for _, f := range files {
			changed[f] = true
		}
	}
	objects := objectsIn(a.path)
	if len(objects) == 0 {
		a.share = 0
		return
	}
	wanted := filepath.Join(a.path, objectsName+configuration)
	if a.compiled = slices.Contains(objects, wanted); !a.compiled {
		wanted = objects[0] // the output that others would lose
	}
	if stale, count, err := build.Stale(filepath.Join(a.path, sourceName), wanted, changed); err == nil {
		a.share = float64(stale) / float64(max(count, 1))
	}
}

// choose returns the number of the place to use: the nearest; or a new one if all
// are far, another one is allowed and the disk has room for one like the nearest;
// else the least recently used.
func choose(all []survey, room func(as survey) bool) int {
	if len(all) == 0 {
		return 1
	}
	nearest := slices.MinFunc(all, func(a, b survey) int {
		switch {
		case (a.share > far) != (b.share > far):
			return sign(a.share > far)
		case a.compiled != b.compiled:
			return sign(b.compiled)
		case a.share != b.share:
			return sign(a.share > b.share)
		}
		return b.used.Compare(a.used)
	})
	switch {
	case nearest.share <= far:
		return nearest.number
	case len(all) == mostPlaces:
		return slices.MinFunc(all, func(a, b survey) int { return a.used.Compare(b.used) }).number
	case !room(nearest):
		return nearest.number
	}
	n := 1
	for slices.ContainsFunc(all, func(a survey) bool { return a.number == n }) {
		n++
	}
	return n
}

// sign returns 1 for more, and -1 for less.
func sign(more bool) int {
	if more {
		return 1
	}
	return -1
}

// roomFor reports whether the disk has room for twice the size of such a place.
func (w *work) roomFor(as survey) bool {
	return free(as.path) > 2*cache.DiskUse(as.path)
}

// free returns the number of bytes that can be written at dir.
func free(dir string) int64 {
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil {
		return 0
	}
	return int64(disk.Bavail) * disk.Bsize
}

// littleSpace is less than a compiled kernel needs, in bytes.
const littleSpace = 16 << 20

// checkout checks out the source in a place, and returns its path.
func (s *snapshot) checkout(ctx context.Context, p *place) (string, error) {
	if s.tree == "" {
		return s.root, nil
	}
	// Its modification time is that of the place's last use.
	if err := os.WriteFile(filepath.Join(p.Path, treeName), []byte(s.tree), 0o644); err != nil {
		return "", err
	}
	source := filepath.Join(p.Path, sourceName)
	if err := s.repo.Checkout(ctx, s.tree, source); err != nil {
		// git reports that it can't write a file, and not always why.
		if ctx.Err() == nil && free(p.Path) < littleSpace {
			err = build.ErrFull
		} else if ctx.Err() == nil && s.user.Partial(ctx) {
			return "", &kernels.SpecError{Problem: "the clone is partial, and does not have files of " + s.label, Err: err,
				Hint: "fetch them: git -C " + s.root + " fetch --refetch --no-filter"}
		}
		return "", fmt.Errorf("check out %s: %w", s.label, err)
	}
	return source, nil
}
