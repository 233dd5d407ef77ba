package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// Term is the state of a commit in a bisection, as git bisect's terms.
type Term string

const (
	Old  Term = "old"
	New  Term = "new"
	Skip Term = "skip" // can't be tested
)

// Bisection is a git-bisect(1) session with the terms old and new. Its refs and its log
// are in a Repo; it needs no checkout.
type Bisection struct{ repo *Repo }

// Bisecting is the state of a bisection: a commit to try, the first new commit, or
// only skipped commits left.
type Bisecting struct {
	// Try is the commit to test next; "" if the bisection has ended.
	Try string
	// Equals are all commits that bisect the remaining ones as well as Try, including
	// Try. It is empty for a merge base, which git tests first if the old end is not an
	// ancestor of the new one.
	Equals    []string
	MergeBase bool
	// Left is the number of commits that remain after Try, either way; Steps is roughly
	// the number of commits still to test.
	Left, Steps int

	// First is the first new commit.
	First string
	// Possible are the candidates for the first new commit if only skipped commits are
	// left.
	Possible []string

	left map[string]bool // the remaining commits
}

// Divides reports whether testing a commit helps: it is one of the remaining ones.
func (b Bisecting) Divides(commit string) bool { return commit == b.Try || b.left[commit] }

// MergeBaseError reports that the merge base of the two ends already has the new
// behaviour, so that the change between it and the old end goes from new to old.
type MergeBaseError struct{ Base, Old string }

func (e *MergeBaseError) Error() string {
	return fmt.Sprintf(
		"%.12s, the merge base of the two ends, already has the new behaviour: the change lies between it and %.12s, "+
			"in the opposite direction; bisect it with --old %.12s --new %.12s",
		e.Base,
		e.Old,
		e.Base,
		e.Old,
	)
}

// ErrKind implements errkind.Kinder.
func (e *MergeBaseError) ErrKind() errkind.Kind { return errkind.Request }

// Bisect starts a bisection between two commits, given by their hashes, in a folder that
// must not exist yet.
func (t *Tree) Bisect(ctx context.Context, dir, oldEnd, newEnd string) (*Bisection, Bisecting, error) {
	repo, err := t.Borrow(ctx, dir)
	if err != nil {
		return nil, Bisecting{}, err
	}
	b := &Bisection{repo}
	// git bisect needs a HEAD to return to.
	if _, err := repo.Run(ctx, nil, "update-ref", "--no-deref", "HEAD", newEnd); err != nil {
		return nil, Bisecting{}, err
	}
	at, err := b.run(ctx, "start", "--no-checkout", "--term-old="+string(Old), "--term-new="+string(New), newEnd, oldEnd)
	return b, at, err
}

// Mark marks a commit and returns the new state.
func (b *Bisection) Mark(ctx context.Context, commit string, as Term) (Bisecting, error) {
	return b.run(ctx, string(as), commit)
}

// Log returns the input for git bisect replay, which repeats the bisection in a checkout.
func (b *Bisection) Log(ctx context.Context) (string, error) {
	out, err := b.repo.Output(ctx, nil, nil, "bisect", "log")
	return string(out), err
}

// Exit codes of git bisect other than 0 (git's bisect.h): only skipped commits are left,
// and the merge base is new.
const (
	onlySkippedLeft = 2
	mergeBaseIsNew  = 3
)

func (b *Bisection) run(ctx context.Context, args ...string) (Bisecting, error) {
	printed, err := b.repo.Output(ctx, nil, nil, append([]string{"bisect"}, args...)...)
	var failed *execx.RunError
	if err != nil && !errors.As(err, &failed) {
		return Bisecting{}, err
	}
	switch code := exitCode(failed); code {
	case 0, onlySkippedLeft:
	case mergeBaseIsNew:
		old, _ := b.repo.Run(ctx, nil, "for-each-ref", "--count=1", "--format=%(objectname)", "refs/bisect/old-*")
		return Bisecting{}, &MergeBaseError{Base: args[len(args)-1], Old: old}
	default:
		return Bisecting{}, fmt.Errorf("bisect: %w", err)
	}
	log, err := b.Log(ctx)
	if err != nil {
		return Bisecting{}, err
	}
	if at, ended := ending(log); ended {
		return at, nil
	}
	return b.next(ctx, string(printed))
}

var (
	reFirst    = regexp.MustCompile(`(?m)^# first ` + string(New) + ` commit: \[([0-9a-f]+)\]`)
	rePossible = regexp.MustCompile(`(?m)^# possible first ` + string(New) + ` commit: \[([0-9a-f]+)\]`)
	reLeft     = regexp.MustCompile(`Bisecting: (\d+) revisions? left to test after this \(roughly (\d+) steps?\)`)
	reDistance = regexp.MustCompile(`^([0-9a-f]+) \((.*)dist=(\d+)\)$`)
)

// ending reads the end of a bisection from git's log, and reports whether it ended.
func ending(log string) (Bisecting, bool) {
	if m := reFirst.FindStringSubmatch(log); m != nil {
		return Bisecting{First: m[1]}, true
	}
	var at Bisecting
	for _, m := range rePossible.FindAllStringSubmatch(log, -1) {
		at.Possible = append(at.Possible, m[1])
	}
	return at, len(at.Possible) > 0
}

// next returns the commit that git proposes, and its equals. printed is git's output.
func (b *Bisection) next(ctx context.Context, printed string) (Bisecting, error) {
	head, err := os.ReadFile(filepath.Join(b.repo.dir, "BISECT_HEAD"))
	if err != nil {
		return Bisecting{}, fmt.Errorf("read the next commit of git bisect: %w", err)
	}
	at := Bisecting{
		Try:       strings.TrimSpace(string(head)),
		MergeBase: strings.Contains(printed, "a merge base must be tested"),
	}
	at.Equals = []string{at.Try}
	if m := reLeft.FindStringSubmatch(printed); m != nil {
		at.Left, _ = strconv.Atoi(m[1])
		at.Steps, _ = strconv.Atoi(m[2])
	}
	if at.MergeBase {
		return at, nil
	}
	olds, err := b.repo.Output(ctx, nil, nil, "for-each-ref", "--format=%(refname)", "refs/bisect/"+string(Old)+"-*")
	if err != nil {
		return Bisecting{}, err
	}
	list, err := b.repo.Output(
		ctx,
		nil,
		nil,
		append(
			[]string{"rev-list", "--bisect-all", "refs/bisect/" + string(New), "--not"},
			strings.Fields(string(olds))...)...)
	if err != nil {
		return Bisecting{}, err
	}
	at.left, at.Equals = divide(string(list), at.Try)
	return at, nil
}

// divide reads the output of git rev-list --bisect-all, which lists commits with their
// distance from the ends. It returns the commits that were not skipped, and those with
// the same distance as the given commit, that one first.
func divide(list, commit string) (left map[string]bool, equals []string) {
	distance := map[string]string{}
	left, equals = map[string]bool{}, []string{commit}
	var order []string
	for line := range strings.Lines(list) {
		m := reDistance.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || m[3] == "0" || strings.Contains(m[2], "refs/bisect/"+string(Skip)+"-") {
			continue // 0: the new end itself
		}
		left[m[1]], distance[m[1]] = true, m[3]
		order = append(order, m[1])
	}
	for _, c := range order {
		if c != commit && distance[c] == distance[commit] {
			equals = append(equals, c)
		}
	}
	return left, equals
}

// IsAncestor reports whether a commit is an ancestor of another, or the same.
func (t *Tree) IsAncestor(ctx context.Context, ancestor, commit string) (bool, error) {
	_, err := t.Output(ctx, "merge-base", "--is-ancestor", ancestor, commit)
	if answered(err, 1) {
		return false, nil
	}
	return err == nil, err
}

// Related reports whether two commits have a common ancestor.
func (t *Tree) Related(ctx context.Context, a, b string) (bool, error) {
	_, err := t.Output(ctx, "merge-base", a, b)
	if answered(err, 1) {
		return false, nil
	}
	return err == nil, err
}

// Subject returns the subject line of a commit.
func (t *Tree) Subject(ctx context.Context, commit string) (string, error) {
	return t.Run(ctx, "log", "--max-count=1", "--no-patch", "--format=%s", commit)
}

// Parents returns the hashes of a commit's parents.
func (t *Tree) Parents(ctx context.Context, commit string) ([]string, error) {
	out, err := t.Output(ctx, "rev-parse", commit+"^@")
	return strings.Fields(string(out)), err
}
