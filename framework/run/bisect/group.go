package bisect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/faultline/faultline/internal/git"
)

// group is a set of scenarios that showed the same side on each tried commit, and so
// share a bisection.
type group struct {
	scenarios []string
	git       *git.Bisection
	at        git.Bisecting
	marks     []mark
	failed    *git.MergeBaseError // set if git cannot bisect it
}

// mark is the verdict on a commit.
type mark struct {
	commit string
	as     git.Term
}

// gitDir is the folder of the groups' repositories, in the bisection's folder. Each
// process creates it again from the record.
const gitDir = ".bisect-git"

func (b *bisection) newGroup(ctx context.Context, scenarios []string, marks []mark) (*group, error) {
	b.repos++
	dir := filepath.Join(b.folder.Path(gitDir), fmt.Sprint(b.repos))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	g := &group{scenarios: scenarios}
	var err error
	if g.git, g.at, err = b.tree.Bisect(ctx, dir, b.rec.Request.Old.Commit, b.rec.Request.New.Commit); err != nil {
		return nil, err
	}
	for _, m := range marks {
		if err := g.mark(ctx, m); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// open reports whether there is a commit to try.
func (g *group) open() bool { return g.failed == nil && g.at.Try != "" }

// asks reports whether the verdict on a commit narrows the group's bisection.
func (g *group) asks(commit string) bool { return g.open() && g.at.Divides(commit) }

func (g *group) mark(ctx context.Context, m mark) error {
	g.marks = append(g.marks, m)
	at, err := g.git.Mark(ctx, m.commit, m.as)
	if errors.As(err, &g.failed) {
		return nil
	}
	g.at = at
	return err
}

// apply marks a commit in the groups that it narrows. A group whose scenarios showed
// different sides is split.
func (b *bisection) apply(ctx context.Context, s Step) error {
	for _, g := range slices.Clone(b.groups) {
		if !g.asks(s.Commit) {
			continue
		}
		sides := map[git.Term][]string{}
		for _, id := range g.scenarios {
			side := git.Skip
			if s.State == Observed {
				side = s.Shown[id].Side
			}
			sides[side] = append(sides[side], id)
		}
		before := slices.Clone(g.marks)
		first := true
		for _, side := range []git.Term{git.New, git.Old, git.Skip} {
			if len(sides[side]) == 0 {
				continue
			}
			part := g
			if !first {
				var err error
				if part, err = b.newGroup(ctx, nil, before); err != nil {
					return err
				}
				b.groups = append(b.groups, part)
			}
			part.scenarios, first = sides[side], false
			if err := part.mark(ctx, mark{s.Commit, side}); err != nil {
				return err
			}
		}
	}
	return nil
}
