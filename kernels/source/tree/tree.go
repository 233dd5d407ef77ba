// Package tree compiles kernels from a source tree: tree:PATH[@REV]. From a git tree
// it takes a committed revision, in a checkout of its own; the user's checkout, index
// and refs are only read.
package tree

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// Parameters: a configuration to start from instead of tinyconfig, the compiler, whether
// to build uncommitted changes as they stand, and edits to apply to the revision first:
// patch files, commits, and reverts of commits, each a comma-separated list.
const (
	setConfig = "config"
	setCC     = "cc"
	setDirty  = "dirty"
	setPatch  = "patch"
	setPick   = "pick"
	setRevert = "revert"
)

// Source returns the source for tree:PATH[@REV].
func Source() kernels.Source {
	return kernels.Source{
		Scheme:    "tree",
		Exclusive: true,
		Usage:     []string{"tree:PATH[@REV]"},
		About:     "built from a tree; parameters: config, cc, dirty, patch, pick, revert",
		Params:    []string{setConfig, setCC, setDirty, setPatch, setPick, setRevert},
		Check:     check,
		Resolve:   resolve,
	}
}

// edit is one edit to apply, and its name in labels.
type edit struct {
	git.Edit
	label string
}

// edits returns the edits in the order in which they are applied: patches, commits,
// reverts.
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

// short abbreviates a commit's hash for people; it returns other revisions unchanged.
func short(rev string) string {
	if reHash.MatchString(rev) {
		return rev[:12]
	}
	return rev
}

func check(r kernels.Request) error {
	path, rev, at := cut(r.Arg)
	if path == "" {
		return &kernels.SpecError{Problem: "no folder given", Hint: "write tree:PATH or tree:PATH@REV"}
	}
	if at && rev == "" {
		return &kernels.SpecError{Problem: "no revision after the @", Hint: "write tree:PATH@REV, such as tree:../linux@v6.1"}
	}
	switch d := r.Set[setDirty]; {
	case d != "" && d != "yes":
		return &kernels.SpecError{
			Problem: fmt.Sprintf("invalid value %q of dirty", d),
			Hint:    "write dirty=yes, or leave it out",
		}
	case d != "" && at:
		return &kernels.SpecError{
			Problem: "dirty=yes applies to the working tree, not to @REV",
			Hint:    "leave out one of them",
		}
	}
	for _, name := range []string{setPatch, setPick, setRevert} {
		if r.Set[name] != "" && r.Set[setDirty] != "" {
			return &kernels.SpecError{Problem: name + " and dirty can't be combined",
				Hint: "use tree:PATH@HEAD with " + name + ", or make the change in the working tree"}
		}
	}
	return nil
}

// cut splits off the revision after the last @, unless a directory with the whole name
// exists.
func cut(arg string) (path, rev string, at bool) {
	i := strings.LastIndexByte(arg, '@')
	if info, err := os.Stat(arg); i < 0 || err == nil && info.IsDir() {
		return arg, "", false
	}
	return arg[:i], arg[i+1:], true
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	path, rev, _ := cut(r.Arg)
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(root); err != nil {
		return nil, &kernels.SpecError{Problem: "cannot read the tree", Err: err, Hint: "give a folder that can be read"}
	}
	w := &work{key: cache.Key(root)[:16], cc: r.Set[setCC], opts: opts}
	todo, err := edits(r.Set)
	if err != nil {
		return nil, err
	}
	defer func() { w.repo.Close() }()
	s, err := w.look(ctx, root, rev, r.Set[setDirty] != "", todo)
	if err != nil {
		return nil, asSpec(err)
	}
	in, err := inputsOf(ctx, r.Set)
	if err != nil {
		return nil, err
	}
	how := in.key()
	k, err := kernels.Unpack(
		ctx,
		opts,
		append([]string{"tree", s.content}, how...),
		func(ctx context.Context, dir string) ([]kernels.Package, error) {
			if opts.Cached {
				return nil, &kernels.NotBuiltError{
					What: s.label + ", " + configured(r.Set[setConfig]) + ", compiled by " + in.compiler,
				}
			}
			p, err := w.take(ctx, s, cache.Key(how...)[:16])
			if err != nil {
				return nil, err
			}
			defer p.Close()
			if err = build.Full(w.build(ctx, s, p, in.base, in.fragment, dir)); errors.Is(err, build.ErrFull) {
				err = errors.Join(err, p.giveBack())
			}
			return nil, err
		},
	)
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (tree:%s)", k.Version, s.label)
	k.Unmet = kernels.Unmet(k.Config)
	return k, nil
}

// configuration returns the user's configuration, and the symbols to set on top of it.
// Without a file both are for tinyconfig.
func configuration(file string) (base, fragment string, err error) {
	if file == "" {
		return "", kernels.MinimalConfig(), nil
	}
	data, err := os.ReadFile(file)
	if err == nil {
		var c *kconfig.Config
		c, err = kconfig.ParseBytes(data)
		fragment = kernels.MinimalConfigFor(c)
	}
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) { // the message has the path
			err = path.Err
		}
		return "", "", &kernels.SpecError{Problem: "cannot read the configuration " + file, Err: err,
			Hint: "give a complete .config file"}
	}
	return string(data), fragment, nil
}

// configured describes the configuration of a build.
func configured(file string) string {
	if file == "" {
		return "with tinyconfig and what guests and scenarios need"
	}
	return "with " + file + " and what guests and scenarios need"
}

// work is a request for a kernel of a tree.
type work struct {
	key  string // of the tree's path: the name of its directories in the cache
	cc   string // the requested compiler, or ""
	opts kernels.Options
	repo *cache.Work // has the repository that borrows the tree's objects; nil if not needed
}

// borrow creates or opens the repository that borrows a tree's objects. Its directory is
// held, shared with other users, against pruning.
func (w *work) borrow(ctx context.Context, user *git.Tree) (repo *git.Repo, err error) {
	if w.repo, err = w.opts.Cache.Work(ctx, workKind, w.key, true, nil); err != nil {
		return nil, err
	}
	return user.Borrow(ctx, filepath.Join(w.repo.Path, "git"))
}

// asSpec converts an error of a request to a *kernels.SpecError.
func asSpec(err error) error {
	if _, ok := err.(*kernels.SpecError); !ok && errkind.Of(err) == errkind.Request {
		return &kernels.SpecError{Err: err}
	}
	return err
}

// fewDropped is the maximum number of dropped symbols to list.
const fewDropped = 8

// checker matches symbols of the kernel's debugging checks: they are listed first.
var checker = regexp.MustCompile(`^CONFIG_(?:K\w*SAN|UBSAN|DEBUG|PROVE|LOCKDEP)`)

// ofCompiler matches symbols that Kconfig detects and that can't be set.
var ofCompiler = regexp.MustCompile(`^(?:CC|GCC|CLANG|AS|LD|TOOLS|RUSTC|PAHOLE|HAVE|ARCH)_`)

// dropped returns the symbols that the user's configuration sets and that are not set in
// the result, except those that the fragment sets.
func dropped(given *kconfig.Config, fragment string, got *kconfig.Config) (lost []string) {
	decided, err := kconfig.ParseBytes([]byte(fragment))
	if err != nil {
		return nil
	}
	for _, u := range kconfig.Compare(given, got) {
		if u.Got == "n" && (u.Asked == "y" || u.Asked == "m") && decided.Get(u.Symbol) == "" &&
			!ofCompiler.MatchString(u.Symbol) {
			lost = append(lost, "CONFIG_"+u.Symbol)
		}
	}
	slices.SortStableFunc(lost, func(a, b string) int {
		rank := func(s string) int { return map[bool]int{true: 0, false: 1}[checker.MatchString(s)] }
		return cmp.Compare(rank(a), rank(b))
	})
	return lost
}

// progressEvery is the interval between progress messages of a build.
const progressEvery = 20 * time.Second

// build compiles a snapshot in a place, and puts the kernel into dir.
func (w *work) build(ctx context.Context, s *snapshot, p *place, base, fragment, dir string) error {
	began, reported, compiled := time.Now(), time.Now(), 0
	w.opts.Logf("build %s; make's log is %s", s.label, p.log())
	var given *kconfig.Config
	if base != "" {
		var err error
		if given, err = kconfig.ParseBytes([]byte(base)); err != nil {
			return err
		}
		for _, f := range kernels.Foreign(given) {
			w.opts.Logf(
				"build %s without %s, which refers to another machine's files or changes the guest's behaviour",
				s.label,
				f,
			)
		}
	}
	source, err := s.checkout(ctx, p)
	if err != nil {
		return err
	}
	b := &build.Build{
		Source:   source,
		Objects:  p.objects,
		CC:       w.cc,
		Base:     base,
		Fragment: fragment,
		Log:      p.log(),
		Held:     p.Lock,
	}
	if b.Deciding, err = s.decides(ctx); err != nil {
		return err
	}
	b.Progress = func(files, of int) {
		compiled = files
		if time.Since(reported) > progressEvery {
			reported = time.Now()
			total := ""
			if of > 0 {
				total = fmt.Sprintf("of about %d ", of)
			}
			w.opts.Logf("build %s: %d %sfiles in %.0f s", s.label, files, total, time.Since(began).Seconds())
		}
	}
	if err := b.Configure(ctx); err != nil {
		return doesNotBuild(ctx, err, b)
	}
	config, err := os.ReadFile(filepath.Join(b.Objects, ".config"))
	if err != nil {
		return err
	}
	c, err := kconfig.ParseBytes(config)
	if err != nil {
		return err
	}
	if lost := dropped(given, fragment, c); len(lost) > 0 {
		w.opts.Logf(
			"build %s without %s of its configuration: this tree does not have them, or their dependencies are not set; %s",
			s.label,
			english.Plural(len(lost), "symbol", ""),
			strings.Join(lost[:min(len(lost), fewDropped)], ", "),
		)
	}
	image, targets := func() error { return b.Image(ctx, filepath.Join(dir, kernels.FileVmlinux)) }, []string{"vmlinux"}
	if kernels.NotByPVH(c) {
		image, targets = func() error { return b.BzImage(filepath.Join(dir, kernels.FileVmlinuz)) }, []string{"bzImage"}
	}
	modules := c.Enabled("MODULES")
	if modules {
		targets = append(targets, "modules")
	}
	if err := b.Compile(ctx, targets...); err != nil {
		return doesNotBuild(ctx, err, b)
	}
	if modules {
		if err := b.Install(ctx, dir); err != nil {
			return err
		}
	}
	if err := image(); err != nil {
		return err
	}
	if err := s.still(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, kernels.FileConfig), config, 0o644); err != nil {
		return err
	}
	w.opts.Logf(
		"built %s in %.0f s, %s compiled",
		s.label,
		time.Since(began).Seconds(),
		english.Plural(compiled, "file", ""),
	)
	return nil
}

// doesNotBuild converts the error for a tree that does not build to a *kernels.SpecError.
func doesNotBuild(ctx context.Context, err error, b *build.Build) error {
	e, ok := err.(*build.Error)
	if !ok {
		return err
	}
	wayOut := "fix the tree, or give another revision"
	if e.Advice != "" {
		wayOut = e.Advice
	} else if newer := b.NewerCompiler(ctx); newer != "" {
		wayOut = newer
	}
	return &kernels.SpecError{Problem: "it does not build", Err: e, Hint: wayOut}
}
