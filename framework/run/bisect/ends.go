package bisect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
)

// endTimes is how often the ends are observed: a result that varies would mislead the
// bisection.
const endTimes = 2

// observeEnds observes and compares the two ends.
func (b *bisection) observeEnds(ctx context.Context) error {
	req := b.rec.Request
	middle, err := b.middle(ctx)
	if err != nil {
		return err
	}
	for _, e := range []struct {
		end   End
		side  git.Term
		ahead string
	}{{req.Old, git.Old, b.spec(req.New.Commit)}, {req.New, git.New, middle}} {
		b.Log("the %s end, %s", e.side, e.end.title())
		s, err := b.try(
			ctx,
			attempt{commit: e.end.Commit, kernel: req.name(e.end.Commit), subject: e.end.Subject, spec: b.spec(e.end.Commit),
				scenarios: req.Scenarios, times: endTimes, end: true, ahead: e.ahead},
		)
		if err != nil {
			return err
		}
		if s.State != Observed {
			b.rec.Steps = slices.DeleteFunc(b.rec.Steps, func(o Step) bool { return o.Kernel == s.Kernel })
			return errors.Join(
				errkind.Requestf("the %s end, %s, %v: %s; give %s", e.side, e.end, s.State, s.Why, req.another(e.side)),
				b.save(),
			)
		}
	}
	if b.rec.Differ == nil {
		b.differ()
	}
	if len(b.rec.Differ) == 0 {
		return errors.Join(b.nothing(), b.save())
	}
	for i := range b.rec.Steps[:2] {
		b.show(&b.rec.Steps[i])
	}
	for _, d := range b.rec.Differ {
		b.Log("%s: %s / %s", d.Scenario, d.Old, d.New)
	}
	return b.save()
}

// middle returns the spec of the first commit that will be tried if the ends differ.
func (b *bisection) middle(ctx context.Context) (string, error) {
	g, err := b.newGroup(ctx, nil, nil)
	if err != nil || g.at.Try == "" {
		return "", err
	}
	return b.spec(g.at.Try), nil
}

// differ compares the ends.
func (b *bisection) differ() {
	req := b.rec.Request
	oldEnd, newEnd := req.name(req.Old.Commit), req.name(req.New.Commit)
	b.rec.Same, b.rec.Aside = 0, nil // set in a resumed bisection that found no difference
	aside := func(id, format string, args ...any) {
		b.rec.Aside = append(b.rec.Aside, Aside{id, fmt.Sprintf(format, args...)})
	}
	for _, i := range b.Picked {
		x, inOld := b.cells[oldEnd][i.ID]
		y, inNew := b.cells[newEnd][i.ID]
		switch {
		case !inOld || !inNew:
			aside(i.ID, "not observed on both ends")
		case !x.Comparable():
			aside(i.ID, "on the old end: %s", x.Message)
		case !y.Comparable():
			aside(i.ID, "on the new end: %s", y.Message)
		case b.unstable[i.ID] != "":
			aside(i.ID, "results vary on %s", b.unstable[i.ID])
		case x.Accel != y.Accel:
			aside(i.ID, "ran with %s on the old end and %s on the new end", x.Accel, y.Accel)
		case len(judge.Differ(x, y)) == 0:
			b.rec.Same++
		default:
			h := observe.Headlines([]observe.Cell{x, y})
			if h[0] == h[1] { // they differ in a witness
				d := judge.Differ(x, y)[0]
				h[0], h[1] = h[0]+" ("+d.Field+": "+d.A+")", h[1]+" ("+d.Field+": "+d.B+")"
			}
			b.rec.Differ = append(b.rec.Differ, Differing{i.ID, h[0], h[1]})
		}
	}
}

// nothing returns the error of ends that do not differ.
func (b *bisection) nothing() error {
	req := b.rec.Request
	if b.rec.Same == 0 {
		a := b.rec.Aside[0]
		return errkind.Requestf("none of %d scenarios can be compared between %s and %s (%s: %s); "+
			"select others with --scenario", len(b.rec.Aside), req.Old, req.New, a.Scenario, a.Why)
	}
	others := ""
	if n := len(b.rec.Aside); n > 0 {
		others = fmt.Sprintf(" (%d more could not be compared, such as %s: %s)",
			n, b.rec.Aside[0].Scenario, b.rec.Aside[0].Why)
	}
	return errkind.Requestf("nothing to bisect: %s and %s show the same in %d of the selected scenarios%s; "+
		"select others with --scenario, or give other ends",
		req.Old, req.New, b.rec.Same, others)
}
