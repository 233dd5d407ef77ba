package judge

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Declare compares steps with the outcomes that changes declare for them
// (change.StepEffect), as a scenario does for the changes that it depends on: which side of
// the change an outcome is on, and whether the cell is then as expected. The
// scenario's own expectation is kept. Declarations of an earlier list are undone
// first. The given cells are not modified.
func Declare(cells []observe.Cell, known change.List) []observe.Cell {
	out := slices.Clone(cells)
	for i, c := range out {
		if c.Comparable() {
			out[i] = declared(c, known)
		}
	}
	return out
}

func declared(c observe.Cell, known change.List) observe.Cell {
	was := len(unmet(c.Steps))
	steps, other := asked(c.Steps)
	for _, k := range known {
		for _, s := range k.Steps {
			if change.Matches(s.Scenarios, c.Scenario) && declare(steps, k.ID, s) {
				other = true
			}
		}
	}
	if !other {
		return c
	}
	c.Steps = steps
	switch now := unmet(steps); {
	case len(now) > 0:
		c.Verdict, c.Message = observe.Unexpected, strings.Join(now, "; ")
	case was > 0 && !c.Panicked: // else something other than a step was unexpected
		c.Verdict, c.Message = observe.Expected, ""
	}
	return c
}

// asked returns steps with their scenario's own expectations, and whether any step
// had another one.
func asked(steps []observe.Step) (out []observe.Step, other bool) {
	out = slices.Clone(steps)
	for i, s := range out {
		if s.Expected != nil && s.Expected.Declared {
			out[i].Expected, other = s.Expected.Instead, true
		}
	}
	return out, other
}

// declare sets a change's sides as the expectation of the steps that it matches, and
// reports whether it matched one. A step declared by another change keeps that one.
func declare(steps []observe.Step, id string, s change.StepEffect) (took bool) {
	for _, i := range shown(steps, s) {
		was, side := steps[i].Expected, sideOf(steps[i].Outcome, s)
		switch {
		case was != nil && was.Declared:
			continue
		case side == observe.Neither && was != nil && was.Change != "" && was.Met:
			continue // the step shows another change, and neither side of this one
		}
		steps[i].Expected = &observe.Expectation{
			Change: id, Before: s.Before, After: s.After, Side: side, Met: side != observe.Neither, Declared: true, Instead: was,
		}
		took = true
	}
	return took
}

// shown returns the indexes of the steps that a Show is about. If it names none and no
// step shows a side of it, that is the last step with an expectation.
func shown(steps []observe.Step, s change.StepEffect) (at []int) {
	if s.Step > len(steps) {
		return nil
	}
	if s.Step > 0 {
		return []int{s.Step - 1}
	}
	last := len(steps) - 1
	for i, step := range steps {
		if sideOf(step.Outcome, s) != observe.Neither {
			at = append(at, i)
		}
		if step.Expected != nil {
			last = i
		}
	}
	if len(at) == 0 && last >= 0 {
		at = []int{last}
	}
	return at
}

func sideOf(o observe.Outcome, s change.StepEffect) observe.Side {
	switch short, long := o.String(), o.Located(); {
	case s.Before == short || s.Before == long:
		return observe.Before
	case s.After == short || s.After == long:
		return observe.After
	}
	return observe.Neither
}
