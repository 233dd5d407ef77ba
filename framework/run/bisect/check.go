package bisect

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/internal/git"
)

// checkAnswers checks each answer: the new end with the commit reverted must show the old
// side. If that kernel cannot be observed, the old end with the commit applied must show
// the new side. Kernels of a list cannot be edited.
func (b *bisection) checkAnswers(ctx context.Context) error {
	if len(b.Kernels) > 0 {
		return nil
	}
	for i := range b.rec.Answers {
		a := &b.rec.Answers[i]
		if a.First == "" {
			continue
		}
		if err := b.check(ctx, a); err != nil {
			return err
		}
		if err := b.save(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bisection) check(ctx context.Context, a *Answer) error {
	parents, err := b.tree.Parents(ctx, a.First)
	if err != nil {
		return err
	}
	if len(parents) != 1 {
		a.Check = &Check{How: "reverted", Verdict: NotPossible, Why: fmt.Sprintf("it has %d parents", len(parents))}
		return nil
	}
	req := b.rec.Request
	var not []string
	for _, t := range []struct {
		how, mark, edit string
		on              End
		want            git.Term
	}{
		{"reverted on " + req.New.String(), "-", "revert=" + a.First, req.New, git.Old},
		{"applied to " + req.Old.String(), "+", "pick=" + a.First, req.Old, git.New},
	} {
		b.Log("check: %s %s", short(a.First), t.how)
		s, err := b.try(
			ctx,
			attempt{
				commit:    t.on.Commit,
				kernel:    short(t.on.Commit) + t.mark + short(a.First),
				subject:   t.on.Subject + " " + t.mark + " " + a.Subject,
				spec:      b.spec(t.on.Commit, t.edit),
				scenarios: a.Scenarios,
				check:     true,
			},
		)
		if err != nil {
			return err
		}
		a.Check = &Check{How: t.how, Kernel: s.Kernel}
		if s.State != Observed {
			not = append(not, fmt.Sprintf("%s: %v: %s", t.how, s.State, s.Why))
			continue
		}
		a.Check.Verdict, a.Check.Why = conclude(a.Scenarios, s, t.want)
		return nil
	}
	a.Check.How, a.Check.Verdict, a.Check.Why = "reverted or applied", NotPossible, not[0]+"; "+not[1]
	return nil
}

// conclude compares the result of a check with the side that it must show.
func conclude(scenarios []string, s Step, want git.Term) (Verdict, string) {
	for _, id := range scenarios {
		if shown := s.Shown[id]; shown.Side != want {
			return Contradicted, fmt.Sprintf("%s shows %s, not the %s side", id, shown.Text, want)
		}
	}
	return Confirmed, ""
}
