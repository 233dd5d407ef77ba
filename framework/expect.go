package framework

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Expectation is a Gomega matcher on an *Observation. DependOn and BeOutcome return one.
type Expectation struct {
	change        *change.Change
	before, after Pattern
	partOf        *change.Change
	part          Pattern
	without       []older

	wanted string // of the last Match
}

// older is the outcome on a kernel without a change that the expected outcomes
// presuppose.
type older struct {
	change change.Change
	Pattern
}

// Side is the outcome on one side of a change, for DependOn.
type Side struct {
	after bool
	Pattern
}

// Before is the outcome on a kernel without the change.
func Before(p Pattern) Side { return Side{Pattern: p} }

// After is the outcome on a kernel with the change.
func After(p Pattern) Side { return Side{after: true, Pattern: p} }

// DependOn expects the outcome of either side of a change, and records which side the
// outcome shows. Package judge concludes from all cells whether a kernel has the change;
// a kernel that shows both sides is a finding. The scenario lists the change in its trait
// Changes too, because a matcher is only evaluated when the scenario runs.
func DependOn(c change.Change, before, after Side) *Expectation {
	if before.after || !after.after {
		panic("DependOn takes Before(…) and then After(…)")
	}
	return &Expectation{change: &c, before: before.Pattern, after: after.Pattern}
}

// BeOutcome expects the same outcome on all kernels.
func BeOutcome(p Pattern) *Expectation { return &Expectation{after: p} }

// PartOf names the outcome on a kernel that has only a part of change c, such as an
// errno that must not reach user space. That outcome is unexpected, and the change is
// reported as incomplete.
func (e *Expectation) PartOf(c change.Change, p Pattern) *Expectation {
	e.partOf, e.part = &c, p
	return e
}

// IfMissing names the outcome on a kernel without another change, c, on which the
// expected outcomes depend. That outcome meets the expectation, shows that c is missing,
// and shows nothing about the change of DependOn.
func (e *Expectation) IfMissing(c change.Change, p Pattern) *Expectation {
	e.without = append(e.without, older{c, p})
	return e
}

// Match compares the outcome with the expectation and records which side it shows. An
// outcome of neither side fails the scenario, but only at its end, so that later
// assertions are recorded too.
func (e *Expectation) Match(actual any) (bool, error) {
	seen, ok := actual.(*Observation)
	if !ok {
		return false, fmt.Errorf("an expectation takes an observation (*framework.Observation), not %T", actual)
	}
	holds := func(p Pattern) bool {
		p = p.made()
		return p.match != nil && p.match(seen.Outcome, seen.at)
	}
	rec := &observe.Expectation{After: e.after.words(seen.at)}
	before, after := holds(e.before), holds(e.after)
	if lacking := slices.IndexFunc(
		e.without,
		func(w older) bool { return holds(w.Pattern) },
	); lacking >= 0 && !before &&
		!after {
		w := e.without[lacking]
		*rec = observe.Expectation{
			Change: w.change.ID,
			Before: w.words(seen.at),
			After:  rec.After,
			Side:   observe.Before,
			Met:    true,
		}
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
		if lacks := seen.rec.Kernel.Lacks(e.change.NeedsConfig...); len(lacks) > 0 {
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

// FailureMessage names the kernel, its outcome and the expected one.
func (e *Expectation) FailureMessage(actual any) string {
	return fmt.Sprintf("%s\n    saw:      %v\n    expected: %s", actual.(*Observation).rec.Kernel.Name, actual, e.wanted)
}

// NegatedFailureMessage completes Gomega's matcher; expectations are not negated.
func (e *Expectation) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("%v\n    was not expected", actual)
}
