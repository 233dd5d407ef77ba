package bisect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
)

const read, write = "dax/ext4/shared-read", "dax/ext4/shared-write"

// line returns a linear history of n commits, "0" to n-1; at has the files of some.
func line(t *testing.T, n int, at map[int][]string) (*history, []string) {
	t.Helper()
	h := newHistory(t)
	var all []string
	for i := range n {
		files := at[i]
		if i == 0 {
			files = append([]string{"shows/dax.ext4.shared-read", "old", "shows/dax.ext4.shared-write", "old"}, files...)
		}
		all = append(all, h.commit(fmt.Sprint(i), files...))
	}
	return h, all
}

// turns makes the scenarios show the new side.
func turns(more ...string) []string {
	return append([]string{"shows/dax.ext4.shared-read", "new", "shows/dax.ext4.shared-write", "new"}, more...)
}

func do(t *testing.T, opt bisect.Options, l *lab) *bisect.Record {
	t.Helper()
	r, _, err := bisect.Do(t.Context(), opt, l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestALine(t *testing.T) {
	t.Parallel()
	h, all := line(t, 16, map[int][]string{9: turns()})
	h.git("tag", "v1", all[0])
	before := h.state()
	l := newLab(h)
	opt := h.options("v1", "main", read)
	r := do(t, opt, l)
	a := found(t, r, read)
	if a.First != all[9] || a.Subject != "9" || r.ExitCode() != 0 {
		t.Errorf("got %+v, exit code %d; want %s, exit code 0", a, r.ExitCode(), all[9])
	}
	if len(r.Steps) != 2+4+1 { // the ends, 14 between them, and the check
		t.Errorf("got %d steps, want 7: %+v", len(r.Steps), r.Steps)
	}
	if d := r.Differ; len(d) != 1 || d[0].Old != "old" || d[0].New != "new" {
		t.Errorf("got %+v, want one, from old to new", d)
	}
	if c := a.Check; c == nil || c.Verdict != bisect.Confirmed || !strings.Contains(c.How, "reverted on main") {
		t.Errorf("got %+v, want it confirmed, reverted on main", c)
	}
	if after := h.state(); after != before {
		t.Errorf("the user's repository changed from\n%s\nto\n%s", before, after)
	}
	if _, err := os.Stat(filepath.Join(opt.Out, ".bisect-git")); err == nil {
		t.Error("the refs were left behind")
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"is the first new commit", "old → new", "confirmed", all[9][:12]} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	// The results are a run, and git accepts the log.
	f, err := results.Open(opt.Out)
	if err != nil {
		t.Fatal(err)
	}
	run, err := f.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if k := run.Kernels; len(k) != 7 || k[0].Name != all[0][:12] || k[5].Name != all[15][:12] || k[6].Name != all[15][:12]+"-"+all[9][:12] {
		t.Errorf("got the kernels %+v, want both ends, those tried and the check", k)
	}
	h.git("bisect", "replay", filepath.Join(opt.Out, a.Log))
	if head := h.git("rev-parse", "refs/bisect/new"); head != all[9] {
		t.Errorf("replayed: got %s, want %s", head, all[9])
	}
}

func TestEachScenarioItsOwnCommit(t *testing.T) {
	t.Parallel()
	h, all := line(t, 20, map[int][]string{4: {"shows/dax.ext4.shared-read", "new"}, 15: {"shows/dax.ext4.shared-write", "new"}})
	l := newLab(h)
	r := do(t, h.options(all[0], all[19], read, write), l)
	if a := found(t, r, read); a.First != all[4] || len(a.Scenarios) != 1 || a.Check.Verdict != bisect.Confirmed {
		t.Errorf("got %+v, want %s, of one scenario, confirmed", a, all[4])
	}
	if a := found(t, r, write); a.First != all[15] || a.Check.Verdict != bisect.Confirmed {
		t.Errorf("got %+v, want %s, confirmed", a, all[15])
	}
	if r.Answers[0].Log == r.Answers[1].Log {
		t.Error("both answers have one log")
	}
	slices.Sort(l.observed)
	if n := len(slices.Compact(slices.Clone(l.observed))); n != len(l.observed) {
		t.Errorf("got %q observed, want each commit once", l.observed)
	}
	if len(l.observed) > 2+2*5+2 {
		t.Errorf("got %d observations, want at most 14, as the scenarios share them", len(l.observed))
	}
}

func TestCommitsThatTellNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at       map[int][]string
		first    int
		possible []int
	}{
		"does not build":         {map[int][]string{7: {"builds", "x.c:1: error"}, 8: {"builds", ""}, 11: turns()}, 11, nil},
		"does not boot":          {map[int][]string{7: {"boots", "panic"}, 8: {"boots", ""}, 4: turns()}, 4, nil},
		"a third thing":          {map[int][]string{6: {"shows/dax.ext4.shared-read", "third"}, 9: {"shows/dax.ext4.shared-read", "old"}, 12: turns()}, 12, nil},
		"skipped":                {map[int][]string{7: {"shows/dax.ext4.shared-read", "skipped"}, 8: {"shows/dax.ext4.shared-read", "old"}, 12: turns()}, 12, nil},
		"the first does nothing": {map[int][]string{8: turns("builds", "error"), 10: {"builds", ""}}, -1, []int{8, 9, 10}},
		"all between":            {map[int][]string{1: {"boots", "no"}, 8: turns(), 15: {"boots", ""}}, -1, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	} {
		t.Run(name, func(t *testing.T) {
			h, all := line(t, 16, c.at)
			r := do(t, h.options(all[0], all[15], read), newLab(h))
			a := found(t, r, read)
			if c.first >= 0 {
				if a.First != all[c.first] || r.ExitCode() != 0 {
					t.Errorf("got %+v, want %s", a, all[c.first])
				}
				return
			}
			var want []string
			for _, i := range c.possible {
				want = append(want, all[i])
			}
			got := slices.Sorted(slices.Values(a.Possible))
			slices.Sort(want)
			if a.First != "" || !slices.Equal(got, want) || a.Check != nil || r.ExitCode() != errkind.ExitInfra {
				t.Errorf("got %d possible commits, want %d: %+v", len(got), len(want), a)
			}
			var b strings.Builder
			if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "cannot be judged") {
				t.Errorf("got error %v, want cannot be judged:\n%s", err, b.String())
			}
		})
	}
}

// A side branch that contains the change, and starts before or after the old end.
func TestMerges(t *testing.T) {
	t.Parallel()
	h, all := line(t, 4, nil)
	h.git("checkout", "-qb", "side", all[1])
	h.commit("side 1")
	change := h.commit("side 2", turns()...)
	h.commit("side 3")
	h.git("checkout", "-q", "main")
	for i := range 4 {
		h.commit(fmt.Sprint("main ", i))
	}
	h.git("merge", "-q", "-X", "ours", "-m", "Merge side", "side")
	for i := range 4 {
		h.commit(fmt.Sprint("after ", i))
	}
	for _, oldEnd := range []string{all[0], all[3]} {
		r := do(t, h.options(oldEnd, "main", read), newLab(h))
		if a := found(t, r, read); a.First != change || a.Check.Verdict != bisect.Confirmed {
			t.Errorf("from %s: got %+v, want %s, confirmed", oldEnd, a, change)
		}
	}
	// The old end is on the side branch, so the merge base is tried first.
	early := h.git("rev-parse", change+"^")
	h.git("checkout", "-qb", "other", all[2])
	h.commit("other", "other", "1")
	newEnd := h.commit("turns", turns()...)
	r := do(t, h.options(early, newEnd, read), newLab(h))
	if a := found(t, r, read); a.First != newEnd || r.Steps[2].Commit != all[1] {
		t.Errorf("got %+v, steps %+v; want %s, with %s as the third step", a, r.Steps, newEnd, all[1])
	}
	// The merge base shows the new side: the change is in the other direction.
	h.git("checkout", "-qb", "back", change)
	oldEnd := h.commit("back", "shows/dax.ext4.shared-read", "old")
	newEnd = h.git("rev-parse", "side")
	r = do(t, h.options(oldEnd, newEnd, read), newLab(h))
	a := found(t, r, read)
	if a.First != "" || !strings.Contains(a.Error, "in the opposite direction") || !strings.Contains(a.Error, "--old "+change[:12]+" --new "+oldEnd[:12]) || r.ExitCode() != errkind.ExitInfra {
		t.Errorf("got %+v, exit code %d; want an error with both ends in the opposite direction", a, r.ExitCode())
	}
	if _, err := exec.Command("git", "-C", h.root, "merge-base", "--is-ancestor", change, oldEnd).Output(); err != nil {
		t.Fatal(err)
	}
}

// The merge itself is the change, so it cannot be reverted.
func TestAMergeIsTheFirst(t *testing.T) {
	t.Parallel()
	h, all := line(t, 3, nil)
	h.git("checkout", "-qb", "side", all[1])
	h.commit("side", "side", "1")
	h.git("checkout", "-q", "main")
	h.git("merge", "-q", "--no-commit", "-X", "ours", "side")
	merge := h.commit("Merge and turn", turns()...)
	h.commit("after")
	r := do(t, h.options(all[0], "main", read), newLab(h))
	if a := found(t, r, read); a.First != merge || a.Check.Verdict != bisect.NotPossible || !strings.Contains(a.Check.Why, "2 parents") {
		t.Errorf("got %+v, check %+v; want %s, whose 2 parents make a check impossible", a, a.Check, merge)
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at      map[int][]string
		verdict bisect.Verdict
		words   string
	}{
		"reverted": {map[int][]string{8: turns()}, bisect.Confirmed, "reverted on"},
		// A later commit touches the same code.
		"applied to the old end": {map[int][]string{8: turns("code", "a"), 12: {"code", "b"}}, bisect.Confirmed, "applied to"},
		"neither":                {map[int][]string{4: {"code", "x"}, 8: turns("code", "a"), 12: {"code", "b"}}, bisect.NotPossible, "does not apply"},
		"contradicted":           {map[int][]string{8: turns(), 12: {"also", "new"}}, bisect.Contradicted, "not the old side"},
	} {
		t.Run(name, func(t *testing.T) {
			h, all := line(t, 16, c.at)
			r := do(t, h.options(all[0], all[15], read), newLab(h))
			a := found(t, r, read)
			if code := r.ExitCode(); (code == 1) != (c.verdict == bisect.Contradicted) {
				t.Errorf("got exit code %d, want 1 exactly if contradicted, of %s", code, c.verdict)
			}
			if a.First != all[8] || a.Check.Verdict != c.verdict || !strings.Contains(a.Check.How+a.Check.Why, c.words) {
				t.Errorf("got %+v, check %+v; want %s, %s, %q", a, a.Check, all[8], c.verdict, c.words)
			}
		})
	}
}

func TestTheRequest(t *testing.T) {
	t.Parallel()
	h, all := line(t, 6, map[int][]string{3: turns()})
	h.git("checkout", "-q", "--orphan", "alone")
	h.commit("alone")
	for name, c := range map[string]struct{ oldEnd, newEnd, words string }{
		"swapped":      {all[5], all[0], "swap them: --old " + all[0] + " --new " + all[5]},
		"the same":     {all[5], "main", "are the same commit"},
		"unknown":      {"v9", all[5], `no revision "v9"`},
		"unrelated":    {all[0], "alone", "no commit in common; give two of the same history"},
		"no different": {all[0], all[2], "show the same in 1 of the selected scenarios"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := bisect.Do(t.Context(), h.options(c.oldEnd, c.newEnd, read), newLab(h))
			if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v, want a request error with %q", err, c.words)
			}
		})
	}
	h.git("replace", "--graft", "alone", all[5])
	_, _, err := bisect.Do(t.Context(), h.options(all[0], "alone", read), newLab(h))
	if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "grafts (git replace) are not followed; give two of the same history") {
		t.Errorf("got %v, want a request error about grafts", err)
	}
	h.git("replace", "-d", h.git("rev-parse", "alone"))
	shallow := &history{t, filepath.Join(t.TempDir(), "shallow")}
	h.git("clone", "-q", "--depth=2", "--branch=main", "file://"+h.root, shallow.root)
	_, _, err = bisect.Do(t.Context(), shallow.options(all[0], "main", read), newLab(h))
	if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("got %v, want a request error with git fetch --unshallow", err)
	}
	opt := h.options(all[0], all[5], read)
	opt.Tree = t.TempDir()
	if _, _, err := bisect.Do(t.Context(), opt, newLab(h)); !errors.As(err, new(*git.NoTreeError)) {
		t.Errorf("got %v, want a *git.NoTreeError", err)
	}
}

// The console of a kernel that does not boot cannot control a terminal, nor in the file.
func TestBisectFileIsInert(t *testing.T) {
	t.Parallel()
	h, all := line(t, 8, map[int][]string{3: {"boots", "panic \u009b2J \u202e \x1b[2J"}, 4: {"boots", ""}, 5: turns()})
	opt := h.options(all[0], all[7], read)
	do(t, opt, newLab(h))
	data, err := os.ReadFile(filepath.Join(opt.Out, bisect.File))
	if err != nil || !strings.Contains(string(data), `panic \u009b2J \u202e \u001b[2J`) || strings.ContainsAny(string(data), "\x1b\u009b\u202e") {
		t.Errorf("got error %v, want the panic escaped: %s", err, data)
	}
}

func TestEndsThatCannotBeBisected(t *testing.T) {
	t.Parallel()
	h, all := line(t, 6, map[int][]string{3: turns(), 4: {"boots", "panics"}, 5: {"boots", "", "builds", "x.c:1: error: y"}})
	for i, words := range map[int]string{4: "does not boot: panics", 5: "does not build: x.c:1: error: y"} {
		_, _, err := bisect.Do(t.Context(), h.options(all[0], all[i], read), newLab(h))
		if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "give another --new") {
			t.Errorf("got %v, want a request error with %q", err, words)
		}
	}
	l := newLab(h)
	l.flaky = write
	r := do(t, h.options(all[0], all[3], read, write), l)
	if len(r.Differ) != 1 || len(r.Aside) != 1 || !strings.Contains(r.Aside[0].Why, "results vary on") || found(t, r, read).First != all[3] {
		t.Errorf("got %+v, aside %+v; want one of each, and %s", r.Differ, r.Aside, all[3])
	}
	l = newLab(h)
	l.skipped = read
	_, _, err := bisect.Do(t.Context(), h.options(all[0], all[3], read), l)
	if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "lacks CONFIG_X") {
		t.Errorf("got %v, want a request error with lacks CONFIG_X", err)
	}
}

func TestInfraErrors(t *testing.T) {
	t.Parallel()
	h, all := line(t, 16, map[int][]string{9: turns()})
	opt := h.options(all[0], all[15], read)
	l := newLab(h)
	l.broken[all[7]] = 1
	if a := found(t, do(t, opt, l), read); a.First != all[9] {
		t.Errorf("once: got %+v, want %s", a, all[9])
	}
	opt = h.options(all[0], all[15], read)
	l = newLab(h)
	l.broken[all[7]] = 4
	_, _, err := bisect.Do(t.Context(), opt, l)
	if errkind.Of(err) != errkind.Infra || !errors.As(err, new(*bisect.InfraError)) || !strings.Contains(err.Error(), "--skip "+all[7][:12]) {
		t.Fatalf("got %v, want an *InfraError with --skip %s", err, all[7][:12])
	}
	opt.Resume = true
	if _, _, err = bisect.Do(t.Context(), opt, l); !errors.As(err, new(*bisect.InfraError)) {
		t.Fatalf("resumed too early: got %v, want an *InfraError", err)
	}
	l.broken[all[7]] = 4
	skip := opt
	skip.Skip = []string{all[7]}
	l.observed = nil
	r := do(t, skip, l)
	if found(t, r, read).First != all[9] || slices.Contains(l.observed, all[0][:12]) || slices.Contains(l.observed, all[7][:12]) {
		t.Errorf("got %+v, observed %q; want %s, and neither %s nor %s observed", r.Answers, l.observed, all[9], all[0][:12], all[7][:12])
	}
	other := opt
	other.New = all[14]
	if _, _, err = bisect.Do(t.Context(), other, l); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "the new end") {
		t.Errorf("another bisection: got %v, want a request error about the new end", err)
	}
	opt.Out = t.TempDir()
	if _, _, err = bisect.Do(t.Context(), opt, l); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "nothing to resume") {
		t.Errorf("got %v, want a request error with nothing to resume", err)
	}
}

// A bisection that is stopped at any point resumes, repeats no finished step, and gives
// the same result.
func TestResumedFromEverywhere(t *testing.T) {
	t.Parallel()
	at := map[int][]string{3: {"shows/dax.ext4.shared-read", "new"}, 4: {"builds", "no"}, 5: {"builds", "", "boots", "no"}, 6: {"boots", ""}, 7: {"shows/dax.ext4.shared-write", "new"}}
	h, all := line(t, 9, at)
	last := all[8]
	calls := 0
	l := newLab(h)
	l.before = func(string, string) error { calls++; return nil }
	whole := do(t, h.options(all[0], last, read, write), l)
	every := 1
	if testing.Short() {
		every = 5
	}
	for stop := 0; stop < calls; stop += every {
		opt, l := h.options(all[0], last, read, write), newLab(h)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		l.before = func(doing, spec string) error {
			if n++; n == stop+1 {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		if _, _, err := bisect.Do(ctx, opt, l); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: got %v, want context.Canceled", stop, err)
		}
		cancel()
		finished := slices.Clone(l.observed)
		l.observed, l.before = nil, func(string, string) error { return nil }
		opt.Resume = true
		r := do(t, opt, l)
		for _, id := range []string{read, write} {
			if x, y := found(t, whole, id), found(t, r, id); x.First != y.First || x.Check.Verdict != y.Check.Verdict {
				t.Errorf("stopped at %d: got %+v, want %+v", stop, y, x)
			}
		}
		for _, k := range l.observed {
			if slices.Contains(finished, k) {
				t.Errorf("stopped at %d: %s was observed again", stop, k)
			}
		}
	}
}

// Of two commits that halve equally well, the one that is already built is tried.
func TestWhatIsBuiltFirst(t *testing.T) {
	t.Parallel()
	h, all := line(t, 16, map[int][]string{12: turns()})
	for _, first := range []string{all[7], all[8]} { // 7 and 8 halve 1 to 15 the same
		l := newLab(h)
		if err := l.Build(t.Context(), "tree:x@"+first); err != nil {
			t.Fatal(err)
		}
		r := do(t, h.options(all[0], all[15], read), l)
		if found(t, r, read).First != all[12] || r.Steps[2].Commit != first {
			t.Errorf("got %s tried, want %s, which is built", r.Steps[2].Commit, first)
		}
	}
}

// While the ends are observed, free cores build the next kernel.
func TestBuildsAhead(t *testing.T) {
	t.Parallel()
	h, all := line(t, 16, map[int][]string{12: turns()})
	l := newLab(h)
	l.spare = true
	var order []string
	l.before = func(doing, spec string) error {
		if doing == "build" {
			order = append(order, spec[strings.LastIndexByte(spec, '@')+1:])
		}
		return nil
	}
	do(t, h.options(all[0], all[15], read), l)
	if len(order) < 4 || order[0] != all[0] || order[1] != all[15] || order[2] != all[15] || order[3] != all[7] {
		t.Errorf("got the builds %q, want first %q", order, []string{all[0], all[15], all[15], all[7]})
	}
	for tree, n := range l.built {
		if n > 1 {
			t.Errorf("%s was built %d times", tree, n)
		}
	}
}

// A list of built kernels is bisected like commits; what is unavailable is skipped, and
// nothing is edited to check the answer.
func TestKernels(t *testing.T) {
	t.Parallel()
	h, all := line(t, 16, map[int][]string{9: turns()})
	l := newLab(h)
	opt := h.options("", "", read)
	l.before = func(_, spec string) error {
		if strings.HasSuffix(spec, all[8]) || strings.HasSuffix(spec, all[12]) {
			return &bisect.SourceError{State: bisect.Unavailable, Err: errors.New("no such build")}
		}
		return nil
	}
	opt.Tree, opt.Old, opt.New = "", "", ""
	for _, c := range all {
		opt.Kernels = append(opt.Kernels, "dir:builds/k@"+c)
	}
	r := do(t, opt, l)
	a := found(t, r, read)
	if a.First != "" || len(a.Possible) != 2 || r.ExitCode() != 3 || a.Check != nil || a.Log != "" {
		t.Errorf("with unavailable kernels: got %+v, exit code %d; want 2 possible ones, no check, exit code 3", a, r.ExitCode())
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		read + ": the first new kernel is one of 2;", "\n  " + opt.Kernels[8] + "\n  " + opt.Kernels[9] + "\n",
		"Tried kernels:\n  dir:builds/k@" + all[0], "is unavailable: no such build",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}

	opt.Kernels, opt.Out = slices.Delete(opt.Kernels, 8, 9), t.TempDir()+"/out"
	r = do(t, opt, l)
	a = found(t, r, read)
	if a.Subject != opt.Kernels[8] || r.ExitCode() != 0 || len(r.Steps) > 7 {
		t.Errorf("got %+v, exit code %d, %d steps; want %s, exit code 0, at most 7 steps", a, r.ExitCode(), len(r.Steps), opt.Kernels[8])
	}
	b.Reset()
	if err := r.Write(&b); err != nil || !strings.Contains(b.String(), read+": "+opt.Kernels[8]+" is the first new kernel\n") {
		t.Errorf("got error %v, want %s as the first new kernel:\n%s", err, opt.Kernels[8], b.String())
	}

	// The same list resumes; another does not.
	opt.Resume = true
	do(t, opt, l)
	opt.Kernels = opt.Kernels[:12]
	if _, _, err := bisect.Do(t.Context(), opt, l); err == nil || !strings.Contains(err.Error(), "started with the kernels 15, this is 12") {
		t.Errorf("got %v, want that it started with 15 kernels, and this is 12", err)
	}

	for want, change := range map[string]func(o *bisect.Options){
		"--tree is missing; give --tree":               func(o *bisect.Options) { o.Kernels = nil },
		"--kernels is a list of built kernels":         func(o *bisect.Options) { o.Tree = h.root },
		"list two kernels or more":                     func(o *bisect.Options) { o.Kernels = o.Kernels[:1] },
		"unknown scheme":                               func(o *bisect.Options) { o.Kernels = []string{"dir:a", "none:b"} },
		"the list does not have this kernel":           func(o *bisect.Options) { o.Skip = []string{"dir:other"} },
		"give a list with another last kernel":         func(o *bisect.Options) { o.Kernels = append(o.Kernels, "dir:builds/k@"+all[12]) },
		"show the same in 1 of the selected scenarios": func(o *bisect.Options) { o.Kernels = o.Kernels[:5] },
	} {
		o := opt
		o.Resume, o.Out, o.Kernels = false, t.TempDir()+"/out", slices.Clone(opt.Kernels)
		change(&o)
		if _, _, err := bisect.Do(t.Context(), o, l); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
