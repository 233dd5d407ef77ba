package backport

import (
	"slices"

	"github.com/faultline/faultline/framework/record/conclusion"
)

// reference compares the patched kernel with one that has the change.
func (c *assessment) reference() {
	ref := &Against{}
	c.Against = ref
	j := c.judge(c.Patched, c.Reference)
	if c.Change != "" {
		ref.State = "does not show whether it has " + c.Change
		for _, s := range j.States[c.Reference] {
			if s.ID == c.Change {
				ref.State, ref.Has = s.String(), s.Verdict == conclusion.Has
			}
		}
	}
	for _, s := range c.run.Scenarios {
		patched, reference, comparable := c.pair(s, c.Patched, c.Reference, &ref.Unjudged)
		if !comparable {
			continue
		}
		diffs := of(j.Differences, s.ID)
		both := c.Change != "" && shows(patched, c.Change) && shows(reference, c.Change)
		unexplained := slices.ContainsFunc(diffs, func(d conclusion.Difference) bool { return d.ExplainedBy == "" })
		switch {
		case both && !unexplained:
			ref.Alike++
		case both && !slices.ContainsFunc(c.Missing, func(m Cell) bool { return m.Scenario == s.ID }):
			c.unlike(moved(patched, reference, diffs))
		}
		if len(diffs) > 0 {
			ref.Moved = append(ref.Moved, moved(patched, reference, diffs))
		}
	}
}

// unlike moves a cell from Flipped to Missing: it shows the change, but differs from the
// reference.
func (c *assessment) unlike(m Moved) {
	c.Flipped = slices.DeleteFunc(c.Flipped, func(f Cell) bool { return f.Scenario == m.Scenario })
	c.Missing = append(c.Missing, Cell{
		Scenario: m.Scenario, Change: c.Change, Pairs: []Pair{{From: m.A, To: m.B}}, Why: NotReference,
	})
}
