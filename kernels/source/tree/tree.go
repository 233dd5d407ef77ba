// Package tree takes kernels from a source tree, which it has compiled:
// tree:PATH[@REV]. Of a git tree it takes what is committed, into a checkout of
// its own; the user's checkout, index and refs are only read.
package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// What can be set: a configuration to begin with instead of tinyconfig, the
// compiler, whether what is not committed is built as it stands, and what is
// applied to the revision first: files of patches, commits, and commits' reverts,
// each a list with commas.
const (
	setConfig = "config"
	setCC     = "cc"
	setDirty  = "dirty"
	setPatch  = "patch"
	setPick   = "pick"
	setRevert = "revert"
)

// Source is tree:PATH[@REV].
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "tree", Forms: []string{"tree:PATH[@REV]"}, Settings: []string{setConfig, setCC, setDirty, setPatch, setPick, setRevert},
		Check: check, Resolve: resolve,
	}
}

// edit is one thing that is applied, and how a label says it.
type edit struct {
	git.Edit
	label string
}

// edits are applied in the order patches, commits, reverts.
func edits(set map[string]string) ([]edit, error) {
	var out []edit
	list := func(name string) []string {
		if set[name] == "" {
			return nil
		}
		return strings.Split(set[name], ",")
	}
	for _, f := range list(setPatch) {
		abs, err := filepath.Abs(f)
		if err != nil {
			return nil, err
		}
		out = append(out, edit{git.Edit{File: abs}, "+" + filepath.Base(f)})
	}
	for _, c := range list(setPick) {
		out = append(out, edit{git.Edit{Commit: c}, "+" + short(c)})
	}
	for _, c := range list(setRevert) {
		out = append(out, edit{git.Edit{Commit: c, Revert: true}, "-" + short(c)})
	}
	return out, nil
}

var reHash = regexp.MustCompile(`^[0-9a-f]{13,}$`)

// short cuts a commit's hash for people, and nothing else.
func short(rev string) string {
	if reHash.MatchString(rev) {
		return rev[:12]
	}
	return rev
}

func check(r kernels.Request) error {
	path, rev, at := cut(r.Arg)
	if path == "" {
		return &kernels.SpecError{Problem: "no folder named", WayOut: "write tree:PATH or tree:PATH@REV"}
	}
	if at && rev == "" {
		return &kernels.SpecError{Problem: "no revision behind the @", WayOut: "write tree:PATH@REV, such as tree:../linux@v6.1"}
	}
	switch d := r.Set[setDirty]; {
	case d != "" && d != "yes":
		return &kernels.SpecError{Problem: fmt.Sprintf("dirty is %q", d), WayOut: "write dirty=yes, or leave it out"}
	case d != "" && at:
		return &kernels.SpecError{Problem: "a revision is never dirty", WayOut: "leave out @REV or dirty=yes"}
	}
	for _, name := range []string{setPatch, setPick, setRevert} {
		if r.Set[name] != "" && r.Set[setDirty] != "" {
			return &kernels.SpecError{Problem: name + " and dirty can't be had together", WayOut: "write tree:PATH@HEAD, or apply it in the tree"}
		}
	}
	return nil
}

// cut takes the revision off, behind the last @, unless there is a folder of
// that very name.
func cut(arg string) (path, rev string, at bool) {
	i := strings.LastIndexByte(arg, '@')
	if info, err := os.Stat(arg); i < 0 || err == nil && info.IsDir() {
		return arg, "", false
	}
	return arg[:i], arg[i+1:], true
}

// buildFormat is part of every key: raise it when the same input gives another kernel.
const buildFormat = "1"

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	path, rev, _ := cut(r.Arg)
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(root); err != nil {
		return nil, &kernels.SpecError{Problem: "look into the tree", Err: err, WayOut: "give a folder that can be read"}
	}
	w := &work{dir: filepath.Join(opts.Cache.Dir(), "tree", cache.Key(root)[:16]), opts: opts, cc: r.Set[setCC]}
	todo, err := edits(r.Set)
	if err != nil {
		return nil, err
	}
	s, err := look(ctx, root, rev, filepath.Join(w.dir, "git"), r.Set[setDirty] != "", todo)
	if err != nil {
		return nil, asSpec(err)
	}
	w.label = s.label
	base := ""
	if file := r.Set[setConfig]; file != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			_, err = kconfig.ParseBytes(data)
		}
		if err != nil {
			return nil, &kernels.SpecError{Problem: "read the configuration " + file, Err: err, WayOut: "give config a .config file"}
		}
		base = string(data)
	}
	if err := build.Tools(ctx, w.cc); err != nil {
		return nil, err
	}
	compiler, err := build.Compiler(ctx, w.cc)
	if err != nil {
		return nil, err
	}
	how := []string{buildFormat, base, kernels.MinimalConfig(), w.cc, compiler, os.Getenv("KCFLAGS")}
	k, err := kernels.Unpack(ctx, opts, append([]string{"tree", s.content}, how...), func(ctx context.Context, dir string) ([]kernels.Package, error) {
		if opts.Cached {
			return nil, kernels.ErrNotCached
		}
		unlock, err := w.lock(ctx)
		if err != nil {
			return nil, err
		}
		defer unlock()
		source, err := s.checkout(ctx, w.dir)
		if err != nil {
			return nil, err
		}
		return nil, w.build(ctx, source, base, cache.Key(append(how, source)...)[:16], dir)
	})
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (tree:%s)", k.Version, s.label)
	return k, nil
}

// work is the folder of the cache in which a tree is checked out and compiled,
// one build at a time.
type work struct {
	dir   string
	label string
	held  *os.File // the lock
	cc    string   // the compiler that was asked for, or ""
	opts  kernels.Options
}

// asSpec makes what is wrong with a request a *kernels.SpecError.
func asSpec(err error) error {
	if _, ok := err.(*kernels.SpecError); !ok && fault.Of(err) == fault.Request {
		return &kernels.SpecError{Err: err}
	}
	return err
}

// lock waits for the folder. The lock is flock(2)'s, on a file that make inherits:
// where we are killed, it is free when the last compiler has ended.
func (w *work) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, err
	}
	if w.held, err = os.OpenFile(filepath.Join(w.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	for said := false; ; said = true {
		err := unix.Flock(int(w.held.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = w.held.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			w.held.Close()
			return nil, fmt.Errorf("lock %s: %w", w.held.Name(), err)
		}
		if !said {
			w.opts.Logf("wait for another build in %s", w.dir)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			w.held.Close()
			return nil, fmt.Errorf("wait for another build in %s: %w", w.dir, context.Cause(ctx))
		}
	}
}

// progressEvery is how often a build says how far it is.
const progressEvery = 20 * time.Second

// build compiles into the objects of that name, and lays the kernel into dir.
func (w *work) build(ctx context.Context, source, base, objects, dir string) error {
	b := &build.Build{
		Source: source, Objects: filepath.Join(w.dir, "objects-"+objects), CC: w.cc, Base: base, Fragment: kernels.MinimalConfig(),
		Log: filepath.Join(w.dir, "objects-"+objects+".log"), Held: w.held,
	}
	began, said := time.Now(), time.Now()
	b.Progress = func(files int) {
		if time.Since(said) > progressEvery {
			said = time.Now()
			w.opts.Logf("build %s: %d files in %.0f s", w.label, files, time.Since(began).Seconds())
		}
	}
	w.opts.Logf("build %s; make writes into %s", w.label, b.Log)
	unmet, err := b.Configure(ctx)
	if err != nil {
		return doesNotBuild(err, source, b)
	}
	for _, u := range unmet {
		w.opts.Logf("build %s: its Kconfig does not take %s", w.label, u)
	}
	config, err := os.ReadFile(filepath.Join(b.Objects, ".config"))
	if err != nil {
		return err
	}
	c, err := kconfig.ParseBytes(config)
	if err != nil {
		return err
	}
	targets := []string{"vmlinux"}
	if c.Enabled("MODULES") {
		targets = append(targets, "modules")
	}
	if err := b.Compile(ctx, targets...); err != nil {
		return doesNotBuild(err, source, b)
	}
	if c.Enabled("MODULES") {
		if err := b.Install(ctx, dir); err != nil {
			return err
		}
	}
	if err := b.Image(ctx, filepath.Join(dir, kernels.FileVmlinux)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, kernels.FileConfig), config, 0o644); err != nil {
		return err
	}
	w.opts.Logf("built %s in %.0f s", w.label, time.Since(began).Seconds())
	return nil
}

// doesNotBuild makes of a tree that does not build the user's to mend.
func doesNotBuild(err error, source string, b *build.Build) error {
	e, ok := err.(*build.Error)
	if errors.Is(err, build.ErrFull) {
		return errors.Join(err, os.RemoveAll(b.Objects)) // half of a build is what fills it
	}
	if !ok {
		return err
	}
	wayOut := "mend the tree, or give another revision"
	if strings.Contains(e.First, "The source tree is not clean") {
		wayOut = "run make mrproper in it, which removes what was built inside"
	} else if newer := b.NewerCompiler(source); newer != "" {
		wayOut = newer
	}
	return &kernels.SpecError{Problem: "it does not build", Err: e, WayOut: wayOut}
}
