package bisect

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels/source"
)

// begin checks the request, and creates or resumes the record.
func (b *bisection) begin(ctx context.Context) error {
	if err := b.Options.check(); err != nil {
		return err
	}
	req := Request{Settings: b.Settings, Accel: b.Accel}
	var err error
	if b.list != "" {
		if err := b.ofKernels(ctx, &req); err != nil {
			return err
		}
	} else if b.tree, err = git.Open(ctx, b.Tree); err != nil {
		return err
	} else {
		req.Tree = b.tree.Root
	}
	for _, e := range []struct {
		rev string
		end *End
	}{{b.Old, &req.Old}, {b.New, &req.New}} {
		if *e.end, err = b.end(ctx, e.rev); err != nil {
			return err
		}
	}
	for _, rev := range b.Skip {
		commit, err := b.commit(ctx, req, rev)
		if err != nil {
			return err
		}
		b.skip[commit] = true
	}
	if err := b.checkEnds(ctx, req); err != nil {
		return err
	}
	for _, i := range b.Picked {
		req.Scenarios = append(req.Scenarios, i.ID)
	}
	if req.Inputs, err = b.lab.Inputs(ctx, req); err != nil {
		return err
	}
	b.rec = Record{Schema: Schema, Tool: b.Tool, Command: b.Command, Started: time.Now(), Request: req}
	if b.Resume {
		return b.takeOver()
	}
	if b.folder, err = results.Begin(b.Out); err != nil {
		return err
	}
	if earlier := b.folder.Earlier(); earlier != "" {
		b.Log("the earlier results in %s were moved to %s", b.folder.Dir(), earlier)
	}
	return b.save()
}

// check checks that the request is of a tree or of a list.
func (o Options) check() error {
	switch {
	case len(o.Kernels) == 0 && (o.Tree == "" || o.Old == "" || o.New == ""):
		for _, f := range []struct{ flag, value string }{{"--tree", o.Tree}, {"--old", o.Old}, {"--new", o.New}} {
			if f.value != "" {
				continue
			}
			return errkind.Requestf(
				"%s is missing; give --tree, --old and --new, or a list of built kernels with --kernels",
				f.flag,
			)
		}
	case len(o.Kernels) > 0 && (o.Tree != "" || o.Old != "" || o.New != "" || len(o.Settings) > 0):
		return errkind.Requestf("--kernels is a list of built kernels, so nothing is built; " +
			"omit --tree, --old, --new, --config and --cc")
	case len(o.Kernels) == 1:
		return errkind.Requestf("--kernels has only %s; list two kernels or more, the oldest first", o.Kernels[0])
	}
	return nil
}

// ofKernels makes a list of built kernels a history.
func (b *bisection) ofKernels(ctx context.Context, req *Request) error {
	for _, spec := range b.Kernels {
		if err := source.All().Check(spec); err != nil {
			return err
		}
	}
	tree, commits, err := git.Linear(ctx, b.list, b.Kernels)
	if err != nil {
		return err
	}
	b.tree = tree
	for i, spec := range b.Kernels {
		req.Kernels = append(req.Kernels, Build{Name: fmt.Sprintf("%d %s", i+1, last(spec)), Commit: commits[i], Spec: spec})
	}
	b.Old, b.New = commits[0], commits[len(commits)-1]
	return nil
}

// last returns the last part of a spec's path.
func last(spec string) string {
	spec, _, _ = strings.Cut(spec, "?")
	spec, _, _ = strings.Cut(spec, "#")
	if i := strings.LastIndexByte(strings.TrimRight(spec, "/"), '/'); i >= 0 {
		return strings.TrimRight(spec, "/")[i+1:]
	}
	return spec
}

// commit returns the commit of a revision, or that of a spec in a list.
func (b *bisection) commit(ctx context.Context, req Request, rev string) (string, error) {
	if len(req.Kernels) == 0 {
		return b.tree.Commit(ctx, rev)
	}
	i := slices.IndexFunc(req.Kernels, func(k Build) bool { return k.Spec == rev })
	if i < 0 {
		return "", errkind.Requestf("--skip %s: the list does not have this kernel; give a spec of the list", rev)
	}
	return req.Kernels[i].Commit, nil
}

func (b *bisection) end(ctx context.Context, rev string) (End, error) {
	commit, err := b.tree.Commit(ctx, rev)
	if err != nil {
		return End{}, err
	}
	subject, err := b.tree.Subject(ctx, commit)
	if b.list != "" {
		rev = subject
	}
	return End{rev, commit, subject}, err
}

// checkEnds returns an error if nothing can be bisected between the two ends.
func (b *bisection) checkEnds(ctx context.Context, r Request) error {
	if len(r.Kernels) > 0 {
		return nil
	}
	if r.Old.Commit == r.New.Commit {
		return errkind.Requestf("--old %s and --new %s are the same commit, %s; give two different ones",
			r.Old.Rev, r.New.Rev, short(r.Old.Commit))
	}
	swapped, err := b.tree.IsAncestor(ctx, r.New.Commit, r.Old.Commit)
	if err != nil {
		return err
	}
	if swapped {
		return errkind.Requestf(
			"--new %s is older than --old %s; swap them: --old %s --new %s",
			r.New.Rev,
			r.Old.Rev,
			r.New.Rev,
			r.Old.Rev,
		)
	}
	related, err := b.tree.Related(ctx, r.Old.Commit, r.New.Commit)
	if err != nil || related {
		return err
	}
	hint := "give two of the same history"
	switch {
	case b.tree.Shallow():
		hint = "the clone is shallow; fetch the rest: git fetch --unshallow"
	case b.tree.Stitched(ctx):
		hint = "replacement objects and grafts (git replace) are not followed; " + hint
	}
	return errkind.Requestf("--old %s and --new %s have no commit in common; %s", r.Old.Rev, r.New.Rev, hint)
}

// takeOver continues the bisection in the folder.
func (b *bisection) takeOver() error {
	dir := b.Out
	if dir == "" {
		dir = results.Latest
	}
	old, err := load(dir)
	if err != nil {
		return err
	}
	if err := old.same(b.rec); err != nil {
		return err
	}
	if b.folder, err = results.At(dir); err != nil {
		return err
	}
	if err := b.folder.Hold(); err != nil {
		return err
	}
	if err := b.folder.CheckLinks(); err != nil {
		return err
	}
	b.rec = *old
	b.rec.Answers, b.rec.Finished = nil, time.Time{}
	cells, _, err := b.folder.Cells()
	if err != nil {
		return err
	}
	for _, c := range cells {
		b.keep(c)
	}
	return os.RemoveAll(b.folder.Path(gitDir)) // left by a killed process
}

// keep stores an observation of a scenario on a kernel, and whether it differs from an
// earlier one.
func (b *bisection) keep(c observe.Cell) {
	of := b.cells[c.Kernel]
	if of == nil {
		of = map[string]observe.Cell{}
		b.cells[c.Kernel] = of
	}
	first, there := of[c.Scenario]
	switch {
	case !there || c.Comparable() && !first.Comparable():
		of[c.Scenario] = c
	case c.Comparable() && first.Comparable() && len(judge.Differ(first, c)) > 0:
		b.unstable[c.Scenario] = c.Kernel
	}
}

func (b *bisection) save() error {
	data, err := json.MarshalIndent(b.rec, "", "  ")
	if err != nil {
		return err
	}
	return b.folder.PutSynced(File, append(sanitize.JSON(data), '\n'))
}

// spec returns the spec of a commit's kernel, with edits that are applied first.
func (b *bisection) spec(commit string, edits ...string) string {
	if k := b.rec.Request.kernel(commit); k != nil {
		return k.Spec
	}
	spec := "tree:" + b.rec.Request.Tree + "@" + commit
	for _, s := range append(slices.Clone(b.rec.Request.Settings), edits...) {
		name, value, _ := strings.Cut(s, "=")
		spec = source.Set(spec, name, value)
	}
	return spec
}
