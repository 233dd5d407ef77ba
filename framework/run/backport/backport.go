// Package backport observes a kernel with patches, the same kernel without them, and
// optionally one that has the change from upstream, and writes the verdict as a mail. It
// builds the kernels from a tree, or takes two built ones. It starts the run;
// package framework/analysis/backport reaches the verdict.
package backport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
)

// The columns of a backport's run.
const (
	Base      = "base"
	Patched   = "patched"
	Reference = "reference"
)

// Options select what is backported to what. Options.Kernels of the run is not used.
type Options struct {
	run.Options
	Tree string // the top folder of a git checkout; "" with Patched
	Base string // a revision of Tree; with Patched the spec of a kernel
	// Patched is the spec of a kernel that is Base with the patches, or "". Nothing is
	// built then, and Patches, Commits and Settings are empty.
	Patched string
	// Patches are files with mails or diffs, Commits are revisions to cherry-pick; at least
	// one of the two is empty.
	Patches, Commits []string
	// Change is the id of the change that is backported; "" lists all differences.
	Change string
	// Reference is the spec of a kernel that has the change from upstream, or "".
	Reference string
	// Explore is how long generated programs run on base and patched; 0 for not at all.
	Explore time.Duration
	// Settings are those of both builds, as "name=value": see package tree.
	Settings []string
}

// Result is the result of a backport. An interrupted run has no verdict.
type Result struct {
	Run     *results.Run
	Folder  *results.Folder
	Verdict backport.Verdict
	// Mail is the verdict as text, in lines of at most 75 characters if no word is longer;
	// it is also in the folder (results.MailFile).
	Mail string
}

// Do builds and observes the kernels, and reaches the verdict. With an error there is
// none; patches that do not apply or do not build are errors of the request.
func Do(ctx context.Context, opt Options) (*Result, error) {
	if err := opt.check(ctx); err != nil {
		return nil, err
	}
	about := &about{base: opt.Base, patched: opt.Patched}
	if opt.Patched == "" {
		var err error
		if about, err = opt.look(ctx); err != nil {
			return nil, err
		}
	}
	opt.Options.Kernels, opt.All = opt.kernels(about), true
	r := &Result{}
	var err error
	if r.Run, r.Folder, err = run.Do(ctx, opt.Options); err != nil {
		return nil, whose(err)
	}
	if r.Run.Interrupted {
		if err := os.Remove(r.Folder.Path(results.MailFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return r, nil
	}
	q := backport.Question{Base: Base, Patched: Patched, Change: opt.Change}
	if opt.Reference != "" {
		q.Reference = Reference
	}
	r.Verdict = backport.Of(r.Run, q)
	if opt.Explore > 0 && r.Verdict.Boot == nil {
		e, err := opt.explore(ctx, r)
		if err != nil {
			return nil, err
		}
		r.Verdict = r.Verdict.Explore(e)
	}
	if opt.Patched != "" {
		if err := about.compare(ctx, r.Run, opt.Cache); err != nil {
			return nil, err
		}
	}
	r.Mail = mail(r.Run, r.Verdict, about)
	return r, r.Folder.Put(results.MailFile, []byte(r.Mail))
}

// check checks the request before anything is built.
func (o Options) check(ctx context.Context) error {
	switch {
	case o.Patched != "" && (o.Tree != "" || len(o.Patches)+len(o.Commits)+len(o.Settings) > 0):
		return errkind.Requestf("--patched names a built kernel, so nothing is built; " +
			"omit --tree, --patch, --commit, --config and --cc")
	case o.Patched != "":
		if err := source.All().Check(o.Patched); err != nil {
			return err
		}
		if err := source.All().Check(o.Base); err != nil {
			return err
		}
	case o.Tree == "":
		return errkind.Requestf(
			"neither --tree nor --patched is given; give --tree DIR and the patches, or a built kernel with --patched SPEC",
		)
	case len(o.Patches) > 0 && len(o.Commits) > 0:
		return errkind.Requestf("--patch and --commit are both given; use one of them")
	case len(o.Patches) == 0 && len(o.Commits) == 0:
		return errkind.Requestf("nothing to apply to %s; give --patch FILE or --commit REV", o.Base)
	}
	for _, f := range o.Patches {
		if strings.Contains(f, ",") {
			return errkind.Requestf("patch %s: the name contains a comma, which separates files; rename it", f)
		}
	}
	if o.Reference != "" {
		if err := source.All().Check(o.Reference); err != nil {
			return err
		}
	}
	if o.Change == "" {
		return nil
	}
	c, err := change.All().With(o.Options.Changes).ByID(o.Change)
	if err != nil {
		end := ";"
		if strings.HasSuffix(err.Error(), "?") {
			end = ""
		}
		return errkind.Requestf("%w%s to declare a change of your own, use --changes FILE", err, end)
	}
	_, picked, err := run.Pick(ctx, o.Selection)
	if err != nil {
		return err
	}
	for _, s := range picked {
		if c.Covers(s.ID) {
			return nil
		}
	}
	return errkind.Requestf("none of the selected scenarios depends on %s; select others, or omit --scenario and --label",
		o.Change)
}

// look reads the tree and the patches, and checks that they apply before the base is
// built, because that is faster.
func (o Options) look(ctx context.Context) (*about, error) {
	user, err := git.Open(ctx, o.Tree)
	if err != nil {
		return nil, err
	}
	a := &about{tree: o.Tree, base: o.Base}
	if a.commit, err = user.Commit(ctx, o.Base); err != nil {
		return nil, err
	}
	// The description is optional.
	a.describe, _ = user.Run(ctx, "describe", "--tags", "--abbrev=12", a.commit)
	var edits []git.Edit
	for _, f := range o.Patches {
		edits = append(edits, git.Edit{File: f})
	}
	for _, c := range o.Commits {
		hash, err := user.Commit(ctx, c)
		if err != nil {
			return nil, err
		}
		a.picked = append(a.picked, hash)
		edits = append(edits, git.Edit{Commit: hash})
	}
	dir, err := os.MkdirTemp("", "faultline-backport-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	repo, err := user.Borrow(ctx, dir)
	if err != nil {
		return nil, err
	}
	before, err := repo.Run(ctx, nil, "rev-parse", a.commit+"^{tree}")
	if err != nil {
		return nil, err
	}
	applied, err := repo.Apply(ctx, before, edits)
	a.patches, a.notes = applied.Patches, applied.Notes
	var failed *git.ApplyError
	switch {
	case errors.As(err, &failed) && failed.Present:
		return nil, fmt.Errorf("nothing to apply to %s (%.12s): %w; give another base, or other patches",
			o.Base, a.commit, err)
	case errors.As(err, &failed):
		return nil, fmt.Errorf("the backport does not apply to %s (%.12s): %w; "+
			"rebase it onto that revision, or give its prerequisites first", o.Base, a.commit, err)
	case err != nil:
		return nil, err
	case before == applied.Tree:
		return nil, errkind.Requestf("%s on %s (%.12s) cancel each other out; give other patches",
			strings.Join(names(a.patches), ", "), o.Base, a.commit)
	}
	cc := ""
	for _, s := range o.Settings {
		name, value, _ := strings.Cut(s, "=")
		switch name {
		case "config":
			a.config = value
		case "cc":
			cc = value
		}
	}
	a.compiler, err = build.Compiler(ctx, cc)
	if flags := os.Getenv("KCFLAGS"); flags != "" {
		a.compiler += ", KCFLAGS=" + flags
	}
	return a, err
}

// names returns the names of the patches.
func names(patches []git.Patch) (out []string) {
	for _, p := range patches {
		out = append(out, p.String())
	}
	return out
}

// kernels returns the run's columns.
func (o Options) kernels(a *about) []matrix.Entry {
	base, patched := o.Base, o.Patched
	if patched == "" {
		base, patched = o.built(a)
	}
	entries := []matrix.Entry{{Name: Base, Spec: base}, {Name: Patched, Spec: patched}}
	if o.Reference != "" {
		entries = append(entries, matrix.Entry{Name: Reference, Spec: o.Reference})
	}
	return entries
}

// built returns the specs of the kernels that are built from the tree.
func (o Options) built(a *about) (base, patched string) {
	rev := o.Base
	if strings.ContainsAny(rev, "@?&%") { // these have a meaning in a spec
		rev = a.commit
	}
	base = "tree:" + o.Tree + "@" + rev
	for _, s := range o.Settings {
		name, value, _ := strings.Cut(s, "=")
		base = source.Set(base, name, value)
	}
	patched = source.Set(base, "patch", strings.Join(o.Patches, ","))
	if len(o.Commits) > 0 {
		patched = source.Set(base, "pick", strings.Join(a.picked, ","))
	}
	return base, patched
}

// whose adds to an error which of the kernels does not build.
func whose(err error) error {
	var k *run.KernelError
	if !errors.As(err, &k) || !errors.As(err, new(*build.Error)) {
		return err
	}
	who := map[string]string{Base: "the base", Patched: "the backport"}[k.Entry.Name]
	if who == "" {
		who = "the reference"
	}
	return fmt.Errorf("%s does not build: %w", who, err)
}
