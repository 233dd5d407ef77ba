package judge

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Declare holds steps against what changes say that steps show (change.Show), as
// a scenario does with those that it follows: which side of the change an outcome
// is, and whether the cell is as expected then. What the scenario itself asked is
// kept. Cells that were declared by another list before are first made what they
// were. The cells given are not changed.
func Declare(cells []observe.Cell, known change.List) []observe.Cell {
	out := slices.Clone(cells)
	for i, c := range out {
		if Comparable(c) {
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

// asked are steps with what their scenario asked of them, and whether that is
// something other than what they have.
func asked(steps []observe.Step) (out []observe.Step, other bool) {
	out = slices.Clone(steps)
	for i, s := range out {
		if s.Expected != nil && s.Expected.Declared {
			out[i].Expected, other = s.Expected.Instead, true
		}
	}
	return out, other
}

// declare puts a change's sides into the steps that it takes, and says whether
// there is one. A step that another change was declared for stays that one's.
func declare(steps []observe.Step, id string, s change.Show) (took bool) {
	for _, i := range shown(steps, s) {
		was, side := steps[i].Expected, sideOf(steps[i].Outcome, s)
		switch {
		case was != nil && was.Declared:
			continue
		case side == observe.Neither && was != nil && was.Change != "" && was.Met:
			continue // it tells of another change, which differs from both sides of this one
		}
		steps[i].Expected = &observe.Expectation{
			Change: id, Before: s.Before, After: s.After, Side: side, Met: side != observe.Neither, Declared: true, Instead: was,
		}
		took = true
	}
	return took
}

// shown are the indexes of the steps that a Show is about. Where it names none and
// no step shows a side of it, that is the last of which the scenario asks something.
func shown(steps []observe.Step, s change.Show) (at []int) {
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

func sideOf(o observe.Outcome, s change.Show) observe.Side {
	switch short, long := o.String(), o.Located(); {
	case s.Before == short || s.Before == long:
		return observe.Before
	case s.After == short || s.After == long:
		return observe.After
	}
	return observe.Neither
}
