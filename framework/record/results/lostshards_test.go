package results_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// parts returns the runs of a plan of 2 kernels × 2 scenarios × attempts, one per shard.
func parts(of, attempts int) (out []results.Run) {
	kernels, scenarios := []string{"old", "new"}, []string{"a/b", "a/c"}
	for i := 1; i <= of; i++ {
		s := results.Shard{i, of}
		r := run(fmt.Sprint("r", i))
		r.Shard = s
		from, to := s.Cut(len(kernels) * len(scenarios))
		for at := from; at < to; at++ {
			for n := min(attempts, 1); n <= attempts; n++ {
				c := cell(scenarios[at%2], kernels[at/2], "EIO")
				c.Attempt = n
				r.Cells = append(r.Cells, c)
			}
		}
		judge.Run(&r)
		out = append(out, r)
	}
	return out
}

// A lost shard is an infrastructure failure that names it; a complete plan equals a single
// run.
func TestMergeOfShards(t *testing.T) {
	killed := func(r results.Run, keep int) results.Run {
		r.Cells = r.Cells[:keep]
		r.Finished = time.Time{}
		return r
	}
	stopped := func(r results.Run, keep int) results.Run {
		r.Cells, r.Interrupted = r.Cells[:keep], true
		return r
	}
	const none = "not in any of the merged runs"
	missing := func(s string) string { return none + ": shard " + s + " is missing; run it, and merge again" }
	unfinished := func(s, dir string) string {
		return none + ": shard " + s + " in " + dir + " was not finished; finish it with --resume, and merge again"
	}
	for name, c := range map[string]struct {
		runs []results.Run
		want []string // the cells that are lost, with DIR1 for the first run's folder
		code int
	}{
		"all":              {parts(4, 0), nil, errkind.ExitExpected},
		"in another order": {[]results.Run{parts(2, 0)[1], parts(2, 0)[0]}, nil, errkind.ExitExpected},
		"attempts":         {parts(2, 2), nil, errkind.ExitExpected},
		"one of four is missing": {slices.Delete(parts(4, 0), 2, 3),
			[]string{"a/b on new, attempt 0: " + missing("3/4")}, errkind.ExitInfra},
		"one of two is missing": {parts(2, 0)[:1],
			[]string{"a/b on new, attempt 0: " + missing("2/2"), "a/c on new, attempt 0: " + missing("2/2")}, errkind.ExitInfra},
		"one was killed": {[]results.Run{killed(parts(2, 0)[0], 1), parts(2, 0)[1]},
			[]string{"a/c on old, attempt 0: " + unfinished("1/2", "DIR1")}, errkind.ExitInfra},
		"one was killed, and is whole": {[]results.Run{killed(parts(2, 0)[0], 2), parts(2, 0)[1]}, nil, errkind.ExitExpected},
		"one was killed in its second attempt": {[]results.Run{killed(parts(2, 2)[0], 3), parts(2, 2)[1]},
			[]string{"a/c on old, attempt 2: " + unfinished("1/2", "DIR1")}, errkind.ExitInfra},
		"one was stopped": {[]results.Run{stopped(parts(2, 0)[0], 1), parts(2, 0)[1]},
			[]string{"a/c on old, attempt 0: " + unfinished("1/2", "DIR1")}, errkind.ExitInterrupted},
		"one was stopped, and run again": {[]results.Run{stopped(parts(2, 0)[0], 1), parts(2, 0)[0], parts(2, 0)[1]}, nil, errkind.ExitExpected},
		"no shards":                      {[]results.Run{run("r", cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO"), cell("a/b", "new", "EIO"))}, []string{"a/c on new, attempt 0: " + none + "; run the shard that should have it again"}, errkind.ExitInfra},
		"of two plans":                   {[]results.Run{parts(4, 0)[0], parts(2, 0)[1]}, []string{"a/c on old, attempt 0: " + none + "; run the shard that should have it again"}, errkind.ExitInfra},
	} {
		t.Run(name, func(t *testing.T) {
			var from []*results.Folder
			for _, r := range c.runs {
				from = append(from, folder(t, r))
			}
			_, got, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, from...)
			if err != nil {
				t.Fatal(err)
			}
			var order, lost []string
			for _, cell := range got.Cells {
				order = append(order, fmt.Sprintf("%s %s %d", cell.Scenario, map[string]string{"old": "1", "new": "2"}[cell.Kernel], cell.Attempt))
				if cell.Verdict == observe.Infra {
					lost = append(lost, fmt.Sprintf("%s on %s, attempt %d: %s", cell.Scenario, cell.Kernel, cell.Attempt, cell.Message))
				}
			}
			if !slices.IsSorted(order) {
				t.Errorf("the cells are not in a record's order: %q", order)
			}
			for i, w := range c.want {
				if i >= len(lost) || strings.ReplaceAll(w, "DIR1", from[0].Dir()) != lost[i] {
					t.Errorf("got the lost shards %q, want %q", lost, c.want)
				}
			}
			if len(lost) != len(c.want) || got.Summary.ExitCode != c.code || got.Finished.IsZero() {
				t.Errorf("got the lost shards %q, exit code %d, finished %v; want %q, %d, finished",
					lost, got.Summary.ExitCode, got.Finished, c.want, c.code)
			}
		})
	}
}

// A shard that was killed before its run started leaves a folder without a run.
func TestMergeOfAFolderWithoutARun(t *testing.T) {
	empty, err := results.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shards := parts(2, 0)
	_, got, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, folder(t, shards[0]), empty)
	if err != nil || got.Summary.Infra != 2 || got.Summary.ExitCode != errkind.ExitInfra {
		t.Errorf("got error %v, %+v; want 2 infrastructure failures and their exit code", err, got.Summary)
	}
	var none *results.NoRunError
	for name, from := range map[string][]*results.Folder{
		"beside a run that is no shard": {folder(t, run("r1", cell("a/b", "old", "EIO"))), empty},
		"alone":                         {empty},
	} {
		if _, _, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, from...); !errors.As(err, &none) || errkind.Of(err) != errkind.Request {
			t.Errorf("%s: got %v, want a *NoRunError that is a request error", name, err)
		}
	}
}
