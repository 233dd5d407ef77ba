package bisect

import (
	"context"
	"encoding/json"
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
	var err error
	if b.tree, err = git.Open(ctx, b.Tree); err != nil {
		return err
	}
	req := Request{Tree: b.tree.Root, Settings: b.Settings, Accel: b.Accel}
	for _, e := range []struct {
		rev string
		end *End
	}{{b.Old, &req.Old}, {b.New, &req.New}} {
		if *e.end, err = b.end(ctx, e.rev); err != nil {
			return err
		}
	}
	for _, rev := range b.Skip {
		commit, err := b.tree.Commit(ctx, rev)
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
	if req.Inputs, err = b.lab.Inputs(ctx, b.Settings); err != nil {
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
		b.Say("the earlier results in %s were moved to %s", b.folder.Dir(), earlier)
	}
	return b.save()
}

func (b *bisection) end(ctx context.Context, rev string) (End, error) {
	commit, err := b.tree.Commit(ctx, rev)
	if err != nil {
		return End{}, err
	}
	subject, err := b.tree.Subject(ctx, commit)
	return End{rev, commit, subject}, err
}

// checkEnds returns an error if nothing can be bisected between the two ends.
func (b *bisection) checkEnds(ctx context.Context, r Request) error {
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
	spec := "tree:" + b.rec.Request.Tree + "@" + commit
	for _, s := range append(slices.Clone(b.rec.Request.Settings), edits...) {
		name, value, _ := strings.Cut(s, "=")
		spec = source.Set(spec, name, value)
	}
	return spec
}
