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
	"sync"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/git"
)

// history is a repository whose files determine what the kernel of a commit does:
// shows/SCENARIO is the scenario's result; "builds" and "boots", if not empty, are errors.
type history struct {
	t    *testing.T
	root string
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{t, filepath.Join(t.TempDir(), "linux")}
	if err := os.MkdirAll(h.root, 0o755); err != nil {
		t.Fatal(err)
	}
	h.git("init", "-q", "-b", "main")
	return h
}

func (h *history) git(args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.root, "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "gc.auto=0"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files (alternating names and contents) and commits them.
func (h *history) commit(subject string, files ...string) string {
	h.t.Helper()
	files = append(files, "log/"+strings.ReplaceAll(subject, " ", "-"), subject) // no commit is empty, and no two conflict
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(h.root, files[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(files[i+1]), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	h.git("add", "-A")
	h.git("commit", "-qm", subject)
	return h.git("rev-parse", "HEAD")
}

// state returns the state of the user's repository, which a bisection must not change.
func (h *history) state() string {
	index, err := os.ReadFile(filepath.Join(h.root, ".git/index"))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.git("for-each-ref") + h.git("worktree", "list") + h.git("--no-optional-locks", "status", "--porcelain") + h.git("reflog") + string(index)
}

// lab follows the files of a commit.
type lab struct {
	t      *testing.T
	tree   *git.Tree
	repo   *git.Repo
	mu     sync.Mutex     // the next kernel is built while one is observed
	built  map[string]int // by the hash of the tree that was built
	trees  map[string]string
	files  map[string]string
	before func(doing, spec string) error
	// broken counts the infrastructure failures still to come, by commit.
	broken   map[string]int
	flaky    string // a scenario with another result each time
	times    int
	observed []string
	spare    bool
	skipped  string
	inputs   map[string]string
}

func (l *lab) Inputs(context.Context, bisect.Request) (map[string]string, error) {
	return l.inputs, nil
}

func newLab(h *history) *lab {
	h.t.Helper()
	tree, err := git.Open(h.t.Context(), h.root)
	if err != nil {
		h.t.Fatal(err)
	}
	repo, err := tree.Borrow(h.t.Context(), filepath.Join(h.t.TempDir(), "git"))
	if err != nil {
		h.t.Fatal(err)
	}
	return &lab{t: h.t, tree: tree, repo: repo, built: map[string]int{}, trees: map[string]string{}, files: map[string]string{}, broken: map[string]int{}, before: func(string, string) error { return nil }}
}

// of is the tree that a spec names.
func (l *lab) of(spec string) (string, error) {
	if tree, known := l.trees[spec]; known {
		return tree, nil
	}
	tree, err := l.find(spec)
	if err == nil {
		l.trees[spec] = tree
	}
	return tree, err
}

func (l *lab) find(spec string) (string, error) {
	spec, edit, _ := strings.Cut(spec, "?")
	commit := spec[strings.LastIndexByte(spec, '@')+1:]
	var edits []git.Edit
	if how, what, ok := strings.Cut(edit, "="); ok {
		edits = append(edits, git.Edit{Commit: what, Revert: how == "revert"})
	}
	ctx := context.Background() // a scripted kernel takes no time
	tree, err := l.repo.Run(ctx, nil, "rev-parse", commit+"^{tree}")
	if err != nil {
		return "", err
	}
	applied, err := l.repo.Apply(ctx, tree, edits)
	var apply *git.ApplyError
	if errors.As(err, &apply) {
		return "", &bisect.SourceError{State: bisect.DoesNotApply, Err: apply}
	}
	return applied.Tree, err
}

func (l *lab) file(tree, name string) string {
	if _, known := l.files[tree+name]; !known {
		text, err := l.repo.Output(context.Background(), nil, nil, "cat-file", "blob", tree+":"+name)
		if err != nil {
			text = nil
		}
		l.files[tree+name] = string(text)
	}
	return l.files[tree+name]
}

func (l *lab) Built(_ context.Context, spec string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	tree, err := l.of(spec)
	return err == nil && l.built[tree] > 0
}

func (l *lab) Build(ctx context.Context, spec string) error {
	if err := l.before("build", spec); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tree, err := l.of(spec)
	if err != nil || l.built[tree] > 0 {
		return err
	}
	if why := l.file(tree, "builds"); why != "" {
		return &bisect.SourceError{State: bisect.DoesNotBuild, Err: errors.New(why)}
	}
	l.built[tree]++
	return ctx.Err()
}

func (l *lab) Spare(int) bool { return l.spare }

func (l *lab) Observe(ctx context.Context, w bisect.Wanted) (column results.Kernel, cells []observe.Cell, err error) {
	name, spec, scenarios, times := w.Name, w.Spec, w.Scenarios, w.Times
	if err := l.before("observe", spec); err != nil {
		return column, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tree, err := l.of(spec)
	if err != nil {
		return column, nil, err
	}
	if l.built[tree] == 0 {
		l.t.Errorf("%s is observed and was not built", spec)
	}
	if why := l.file(tree, "boots"); why != "" {
		return column, nil, &bisect.SourceError{State: bisect.DoesNotBoot, Console: "the end", Err: errors.New(why)}
	}
	commit, _, _ := strings.Cut(spec[strings.LastIndexByte(spec, '@')+1:], "?")
	l.observed = append(l.observed, name)
	for _, id := range scenarios {
		for n := range times {
			c := observe.Cell{Scenario: id, Kernel: name, Accel: "tcg", Verdict: observe.Expected}
			if times > 1 {
				c.Attempt = n + 1
			}
			note := l.file(tree, "shows/"+strings.ReplaceAll(id, "/", "."))
			if also := l.file(tree, "also"); also != "" { // another reason to show it
				note = also
			}
			if id == l.flaky {
				l.times++
				note = fmt.Sprint(l.times)
			}
			c.Steps = []observe.Step{{Actor: "victim", Action: "load", Outcome: observe.Outcome{Note: note}, Expected: &observe.Expectation{After: "x", Side: observe.Both, Met: true}}}
			if id == l.skipped || note == "skipped" {
				c.Verdict, c.Message, c.Steps = observe.Skipped, "lacks CONFIG_X", nil
			}
			if l.broken[commit] > 0 {
				l.broken[commit]--
				c.Verdict, c.Message, c.Steps = observe.Infra, "QEMU ended", nil
			}
			cells = append(cells, c)
		}
	}
	return results.Kernel{Name: name, Spec: spec, Release: "6.1.0", Arch: "amd64", Digest: tree, Accel: "tcg"}, cells, ctx.Err()
}

// options returns the options to bisect the history for scenarios, in a new folder.
func (h *history) options(oldEnd, newEnd string, scenarios ...string) bisect.Options {
	o := bisect.Options{Tree: h.root, Old: oldEnd, New: newEnd, Accel: "auto", Out: filepath.Join(h.t.TempDir(), "out"), Log: func(string, ...any) {}}
	for _, id := range scenarios {
		o.Picked = append(o.Picked, scenario.Info{ID: id, Suite: "dax", Doc: "shows something"})
	}
	return o
}

// found returns the answer of a scenario.
func found(t *testing.T, r *bisect.Record, id string) bisect.Answer {
	t.Helper()
	for _, a := range r.Answers {
		if slices.Contains(a.Scenarios, id) {
			return a
		}
	}
	t.Fatalf("no answer for %s in %+v", id, r.Answers)
	return bisect.Answer{}
}
