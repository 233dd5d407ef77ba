package bisect

import (
	"context"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run"
)

// report writes the observations as a run, so that cells can be examined: the commits
// are its kernels, the old end first. Its summary of changes and findings is about those
// kernels, and is not the bisection's answer.
func (b *bisection) report(ctx context.Context) error {
	rec := results.Run{
		Schema: results.Schema, ID: results.NewID(b.rec.Started), Started: b.rec.Started, Finished: b.rec.Finished,
		Tool: b.rec.Tool, Host: b.Host, Accel: b.rec.Request.Accel, Command: b.rec.Command,
	}
	steps, err := b.inOrder(ctx)
	if err != nil {
		return err
	}
	differ := map[string]bool{}
	for _, d := range b.rec.Differ {
		differ[d.Scenario] = true
	}
	for _, i := range b.Picked {
		if differ[i.ID] {
			rec.Scenarios = append(rec.Scenarios, run.Row(i))
		}
	}
	for _, s := range steps {
		rec.Kernels = append(rec.Kernels, s.Column)
		for _, i := range rec.Scenarios {
			if c, ok := b.cells[s.Kernel][i.ID]; ok {
				c.Attempt = 0
				rec.Cells = append(rec.Cells, c)
			}
		}
	}
	judge.Run(&rec)
	b.Installation.Sign(&rec)
	if err := b.folder.PutRun(rec); err != nil {
		return err
	}
	return report.Write(rec, b.folder)
}

// inOrder returns the observed steps, ancestors before descendants, then the checks.
func (b *bisection) inOrder(ctx context.Context) ([]Step, error) {
	req := b.rec.Request
	list, err := b.tree.Output(
		ctx,
		"rev-list",
		"--topo-order",
		"--reverse",
		req.New.Commit,
		req.Old.Commit,
		"^"+req.Old.Commit+"^@",
	)
	if err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i, c := range strings.Fields(string(list)) {
		place[c] = i
	}
	at := func(s Step) int {
		switch {
		case s.Check:
			return len(place) + 1
		case s.Commit == req.Old.Commit:
			return -1
		}
		return place[s.Commit]
	}
	steps := slices.DeleteFunc(slices.Clone(b.rec.Steps), func(s Step) bool { return s.State != Observed })
	slices.SortStableFunc(steps, func(x, y Step) int { return at(x) - at(y) })
	return steps, nil
}
