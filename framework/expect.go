package framework

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Expectation is a Gomega matcher on a *Seen; Follow and Be make it.
type Expectation struct {
	change        *change.Change
	before, after Pattern
	partOf        *change.Change
	part          Pattern
	without       []older

	wanted string // of the last Match
}

// older is what a kernel shows that lacks a change which must be there before the
// step can tell of another.
type older struct {
	change change.Change
	Pattern
}

// Side is one of the two halves of Follow.
type Side struct {
	after bool
	Pattern
}

// Before is what a kernel without the change shows.
func Before(p Pattern) Side { return Side{Pattern: p} }

// After is what a kernel with the change shows.
func After(p Pattern) Side { return Side{after: true, Pattern: p} }

// Follow expects one of the two sides of a change, and records which of them the
// outcome showed. What that makes of the kernel is judged when all is recorded.
func Follow(c change.Change, before, after Side) *Expectation {
	if before.after || !after.after {
		panic("Follow wants Before(…) and then After(…)")
	}
	return &Expectation{change: &c, before: before.Pattern, after: after.Pattern}
}

// Be expects the same outcome on every kernel.
func Be(p Pattern) *Expectation { return &Expectation{after: p} }

// PartOf says what a kernel shows that has a part of a change only, such as an
// errno that leaks. It is unexpected, and tells that the change is incomplete.
func (e *Expectation) PartOf(c change.Change, p Pattern) *Expectation {
	e.partOf, e.part = &c, p
	return e
}

// Without says what a kernel shows that lacks another change, one that must be
// there before the outcome tells what else is expected of it. Of a kernel that
// shows it the step tells nothing but that.
func (e *Expectation) Without(c change.Change, p Pattern) *Expectation {
	e.without = append(e.without, older{c, p})
	return e
}

// Match holds the outcome against the expectation and records which side it
// showed. It fails where no kernel should have shown that; in a scenario it does
// so at the end only, because what is asserted behind it is to be recorded too.
func (e *Expectation) Match(actual any) (bool, error) {
	seen, ok := actual.(*Seen)
	if !ok {
		return false, fmt.Errorf("an expectation takes what a step saw (*framework.Seen), not %T", actual)
	}
	holds := func(p Pattern) bool { return p.match != nil && p.match(seen.Outcome, seen.at) }
	rec := &observe.Expectation{After: e.after.words(seen.at)}
	before, after := holds(e.before), holds(e.after)
	if lacking := slices.IndexFunc(e.without, func(w older) bool { return holds(w.Pattern) }); lacking >= 0 && !before && !after {
		w := e.without[lacking]
		*rec = observe.Expectation{Change: w.change.ID, Before: w.words(seen.at), After: rec.After, Side: observe.Before, Met: true}
		if e.change != nil {
			rec.Masks, rec.After = e.change.ID, fmt.Sprintf("%s or %s", e.before.words(seen.at), rec.After)
		}
		seen.rec.Steps[seen.index].Expected = rec
		return true, nil
	}
	switch {
	case e.change == nil && after, before && after:
		rec.Side = observe.Both
	case before:
		rec.Side = observe.Before
	case after:
		rec.Side = observe.After
	case holds(e.part):
		rec.Side = observe.Partly
	default:
		rec.Side = observe.Neither
	}
	rec.Met = before || after
	if e.change != nil {
		rec.Change, rec.Before = e.change.ID, e.before.words(seen.at)
		if lacks := seen.rec.Kernel.Lacks(e.change.ShownWith...); len(lacks) > 0 {
			rec.Hidden, rec.Met = lacks[0], before
		}
	}
	if e.partOf != nil {
		rec.PartOf, rec.Part = e.partOf.ID, e.part.words(seen.at)
	}
	seen.rec.Steps[seen.index].Expected = rec
	e.wanted = rec.Wanted()
	if !rec.Met && seen.rec.AtEnd {
		seen.rec.Unmet = append(seen.rec.Unmet, e.FailureMessage(seen))
		return true, nil
	}
	return rec.Met, nil
}

// FailureMessage says what was wanted, of which kernel, and what came.
func (e *Expectation) FailureMessage(actual any) string {
	return fmt.Sprintf("%s\n    saw:      %v\n    expected: %s", actual.(*Seen).rec.Kernel.Name, actual, e.wanted)
}

// NegatedFailureMessage completes Gomega's matcher; expectations are not negated.
func (e *Expectation) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("%v\n    was not expected", actual)
}
