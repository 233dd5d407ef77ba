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

// Term is what a commit is found to be in a bisection, in git bisect's words.
type Term string

const (
	Old  Term = "old"
	New  Term = "new"
	Skip Term = "skip" // nobody can tell
)

// Bisection is git's own (git-bisect(1)), with the terms old and new. Its refs and
// its log are in a Repo; no checkout has a part in it.
type Bisection struct{ repo *Repo }

// Bisecting is where a bisection stands: at a commit to try, at the first new
// commit, or where git can't get on.
type Bisecting struct {
	// Try is the commit that git wants to know of next; "" where it has ended.
	Try string
	// Equals are all commits that divide what is left as well as Try does, itself
	// among them. Of a merge base, which git wants to know of first where the old
	// end is no ancestor of the new one, there is no equal.
	Equals    []string
	MergeBase bool
	// Left counts the commits that are left after Try, whatever it shows; Steps is
	// roughly how many more will have to be tried.
	Left, Steps int

	// First is the first new commit.
	First string
	// Possible are the commits one of which is the first new one, where nobody can
	// tell of those that are left.
	Possible []string

	left map[string]bool // the commits that are left
}

// Divides says whether it helps to know of a commit: it is one of those that are left.
func (b Bisecting) Divides(commit string) bool { return commit == b.Try || b.left[commit] }

// MergeBaseError says that the last common ancestor of the two ends shows the new
// side already, so that what lies between is the way from new to old.
type MergeBaseError struct{ Base, Old string }

func (e *MergeBaseError) Error() string {
	return fmt.Sprintf("%.12s, where the two ends part, shows the new side already: what is looked for lies between it and %.12s, "+
		"and goes the other way; bisect from there: --old %.12s --new %.12s", e.Base, e.Old, e.Base, e.Old)
}

// ErrKind implements errkind.Kinder.
func (e *MergeBaseError) ErrKind() errkind.Kind { return errkind.Request }

// Bisect begins a bisection of the tree's history between two commits, by their
// hashes, in a folder that is not there yet.
func (t *Tree) Bisect(ctx context.Context, dir, oldEnd, newEnd string) (*Bisection, Bisecting, error) {
	repo, err := t.Borrow(ctx, dir)
	if err != nil {
		return nil, Bisecting{}, err
	}
	b := &Bisection{repo}
	// git bisect wants a HEAD to come back to.
	if _, err := repo.Run(ctx, nil, "update-ref", "--no-deref", "HEAD", newEnd); err != nil {
		return nil, Bisecting{}, err
	}
	at, err := b.run(ctx, "start", "--no-checkout", "--term-old="+string(Old), "--term-new="+string(New), newEnd, oldEnd)
	return b, at, err
}

// Mark says of a commit what it is.
func (b *Bisection) Mark(ctx context.Context, commit string, as Term) (Bisecting, error) {
	return b.run(ctx, string(as), commit)
}

// Log is what git bisect replay takes, to repeat the bisection in a checkout.
func (b *Bisection) Log(ctx context.Context) (string, error) {
	out, err := b.repo.Output(ctx, nil, nil, "bisect", "log")
	return string(out), err
}

// git bisect's exit codes beside 0 (bisect.h of git): only skipped commits are left, and
// the merge base is new.
const (
	onlySkippedLeft = 2
	mergeBaseIsNew  = 3
)

func (b *Bisection) run(ctx context.Context, args ...string) (Bisecting, error) {
	said, err := b.repo.Output(ctx, nil, nil, append([]string{"bisect"}, args...)...)
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
	return b.next(ctx, string(said))
}

var (
	reFirst    = regexp.MustCompile(`(?m)^# first ` + string(New) + ` commit: \[([0-9a-f]+)\]`)
	rePossible = regexp.MustCompile(`(?m)^# possible first ` + string(New) + ` commit: \[([0-9a-f]+)\]`)
	reLeft     = regexp.MustCompile(`Bisecting: (\d+) revisions? left to test after this \(roughly (\d+) steps?\)`)
	reDistance = regexp.MustCompile(`^([0-9a-f]+) \((.*)dist=(\d+)\)$`)
)

// ending reads in git's log how a bisection ended, if it did.
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

// next is what git wants to know of, and what would do as well.
func (b *Bisection) next(ctx context.Context, said string) (Bisecting, error) {
	head, err := os.ReadFile(filepath.Join(b.repo.dir, "BISECT_HEAD"))
	if err != nil {
		return Bisecting{}, fmt.Errorf("read what git bisect wants to try: %w", err)
	}
	at := Bisecting{Try: strings.TrimSpace(string(head)), MergeBase: strings.Contains(said, "a merge base must be tested")}
	at.Equals = []string{at.Try}
	if m := reLeft.FindStringSubmatch(said); m != nil {
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
	list, err := b.repo.Output(ctx, nil, nil, append([]string{"rev-list", "--bisect-all", "refs/bisect/" + string(New), "--not"}, strings.Fields(string(olds))...)...)
	if err != nil {
		return Bisecting{}, err
	}
	at.left, at.Equals = divide(string(list), at.Try)
	return at, nil
}

// divide reads rev-list's commits with how far each lies from the ends (git-rev-list(1),
// --bisect-all): those that were not skipped, and which lie as far as a commit
// does, that one first.
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

// IsAncestor says whether a commit is another's ancestor, or the same.
func (t *Tree) IsAncestor(ctx context.Context, ancestor, commit string) (bool, error) {
	_, err := t.Output(ctx, "merge-base", "--is-ancestor", ancestor, commit)
	if answered(err, 1) {
		return false, nil
	}
	return err == nil, err
}

// Related says whether two commits have an ancestor in common.
func (t *Tree) Related(ctx context.Context, a, b string) (bool, error) {
	_, err := t.Output(ctx, "merge-base", a, b)
	if answered(err, 1) {
		return false, nil
	}
	return err == nil, err
}

// Subject is a commit's subject line.
func (t *Tree) Subject(ctx context.Context, commit string) (string, error) {
	return t.Run(ctx, "log", "--max-count=1", "--no-patch", "--format=%s", commit)
}

// Parents are the hashes of a commit's parents.
func (t *Tree) Parents(ctx context.Context, commit string) ([]string, error) {
	out, err := t.Output(ctx, "rev-parse", commit+"^@")
	return strings.Fields(string(out)), err
}
