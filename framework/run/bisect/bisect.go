package bisect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/internal/git"
)

// Options select what to bisect: the commits of a tree, or a list of built kernels.
type Options struct {
	Tree     string          // the top folder of a git checkout
	Old, New string          // revisions
	Kernels  []string        // specs of built kernels, the oldest first; Tree, Old and New are "" then
	Settings []string        // of the kernels' spec, as "name=value": see package tree
	Picked   []scenario.Info // the scenarios to observe
	Skip     []string        // revisions or specs to skip
	Accel    string
	// Out is the folder, "" for one in results/; Resume continues from its contents.
	Out    string
	Resume bool

	Tool results.Tool
	Host results.Host
	// Installation signs the results, for repro.
	Installation results.Installation
	Command      []string
	// Log logs what takes time, and what each step showed.
	Log func(format string, args ...any)
}

// bisection is a bisection in progress.
type bisection struct {
	Options
	lab    Lab
	tree   *git.Tree
	list   string // the folder of the repository with a commit for each of Kernels, or ""
	folder *results.Folder
	rec    Record
	skip   map[string]bool                    // by commit
	cells  map[string]map[string]observe.Cell // what was observed, by kernel and scenario
	// unstable are the scenarios whose results vary, with the kernel.
	unstable map[string]string
	groups   []*group
	repos    int // of groups, so far
}

// Do bisects. After an error that is not the request's, the record contains the results
// so far, and Resume continues from it.
func Do(ctx context.Context, opt Options, lab Lab) (*Record, *results.Folder, error) {
	b := &bisection{
		Options:  opt,
		lab:      lab,
		skip:     map[string]bool{},
		cells:    map[string]map[string]observe.Cell{},
		unstable: map[string]string{},
	}
	defer func() { b.folder.Close() }()
	if len(opt.Kernels) > 0 {
		dir, err := os.MkdirTemp("", "faultline-bisect-")
		if err != nil {
			return nil, nil, err
		}
		defer os.RemoveAll(dir)
		b.list = dir
	}
	if err := b.begin(ctx); err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(b.folder.Path(gitDir))
	for _, part := range []func(context.Context) error{b.observeEnds, b.search, b.answer, b.checkAnswers} {
		if err := part(ctx); err != nil {
			return &b.rec, b.folder, err
		}
	}
	b.rec.Finished = time.Now()
	return &b.rec, b.folder, errors.Join(b.save(), b.report(ctx))
}

// search tries commits until each group has its answer.
func (b *bisection) search(ctx context.Context) error {
	var all []string
	for _, d := range b.rec.Differ {
		all = append(all, d.Scenario)
	}
	g, err := b.newGroup(ctx, all, nil)
	if err != nil {
		return err
	}
	b.groups = []*group{g}
	for _, s := range b.rec.Steps { // of a bisection that was resumed
		if s.Check || b.isEnd(s.Commit) {
			continue
		}
		if err := b.apply(ctx, s); err != nil {
			return err
		}
	}
	for {
		i := slices.IndexFunc(b.groups, (*group).open)
		if i < 0 {
			return nil
		}
		g := b.groups[i]
		commit := b.choose(ctx, g)
		subject, err := b.tree.Subject(ctx, commit)
		if err != nil {
			return err
		}
		left := fmt.Sprintf("%d left after this, about %s", g.at.Left, english.Plural(g.at.Steps, "more step", ""))
		switch {
		case g.at.MergeBase:
			left = "the merge base of the two ends"
		case g.at.Left == 0:
			left = "the last one"
		}
		b.Log("try %s (%s)", b.rec.Request.title(commit, subject), left)
		s, err := b.try(
			ctx,
			attempt{
				commit:    commit,
				kernel:    b.rec.Request.name(commit),
				subject:   subject,
				spec:      b.spec(commit),
				scenarios: all,
				ahead:     b.next(commit),
			},
		)
		if err != nil {
			return err
		}
		if err := b.apply(ctx, s); err != nil {
			return err
		}
	}
}

func (b *bisection) isEnd(commit string) bool {
	return commit == b.rec.Request.Old.Commit || commit == b.rec.Request.New.Commit
}

// mostEquals bounds how many commits are checked for a kernel that is already built.
const mostEquals = 8

// choose returns the commit to try next: among those that halve the rest equally well,
// one that is already built, else git's choice.
func (b *bisection) choose(ctx context.Context, g *group) string {
	if equals := g.at.Equals; len(equals) > 1 {
		for _, c := range equals[:min(len(equals), mostEquals)] {
			if b.lab.Built(ctx, b.spec(c)) {
				return c
			}
		}
	}
	return g.at.Try
}

// next returns the spec that will be tried after a commit regardless of its result, as
// another group needs it; "" if it depends on the result. Guessing would cost more than
// it saves: a wrong build modifies the objects that the right build starts from.
func (b *bisection) next(commit string) string {
	for _, g := range b.groups {
		if g.open() && !g.asks(commit) {
			return b.spec(g.at.Try)
		}
	}
	return ""
}

// answer records what each group found.
func (b *bisection) answer(ctx context.Context) error {
	b.rec.Answers = nil
	slices.SortStableFunc(b.groups, func(x, y *group) int { return len(y.scenarios) - len(x.scenarios) })
	for i, g := range b.groups {
		a := Answer{Scenarios: slices.Sorted(slices.Values(g.scenarios)), First: g.at.First, Possible: g.at.Possible}
		var err error
		if g.failed != nil {
			a.First, a.Possible, a.Error = "", nil, g.failed.Error()
		}
		if a.First != "" {
			if a.Subject, err = b.tree.Subject(ctx, a.First); err != nil {
				return err
			}
		}
		if len(b.Kernels) > 0 {
			place := func(commit string) int {
				return slices.IndexFunc(b.rec.Request.Kernels, func(k Build) bool { return k.Commit == commit })
			}
			slices.SortFunc(a.Possible, func(x, y string) int { return place(x) - place(y) })
			// Git's log has hashes that mean nothing to the user.
			b.rec.Answers = append(b.rec.Answers, a)
			continue
		}
		log, err := g.git.Log(ctx)
		if err != nil {
			return err
		}
		a.Log = "bisect.log"
		if len(b.groups) > 1 {
			a.Log = fmt.Sprintf("bisect-%d.log", i+1)
		}
		if err := b.folder.Put(a.Log, []byte(log)); err != nil {
			return err
		}
		b.rec.Answers = append(b.rec.Answers, a)
	}
	return b.save()
}
