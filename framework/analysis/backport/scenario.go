package backport

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// scenario adds a scenario's cells on base and patched. accepted are the changes that
// may explain its differences.
func (c *assessment) scenario(s results.Scenario, accepted []string, diffs []conclusion.Difference) {
	base, patched, comparable := c.pair(s, c.Base, c.Patched, &c.Unjudged)
	if !comparable {
		return
	}
	c.Compared++
	if len(diffs) == 0 {
		c.Same++
	}
	reported := map[int]bool{} // steps whose difference is already in Flipped or Missing
	follows := false           // other differences may follow from one of these
	for _, id := range accepted {
		cell, steps, hidden := pairs(base, patched, id)
		for _, step := range steps {
			reported[step] = true
		}
		switch {
		case hidden != "":
			c.Unjudged = append(c.Unjudged, Unjudged{
				Scenario: s.ID, Kernel: c.Patched, Why: id + " cannot be seen without CONFIG_" + hidden,
			})
		case cell.Why != "":
			c.Missing = append(c.Missing, cell)
			follows = follows || cell.Why == ElseThere || cell.Why == PartThere
		case len(cell.Pairs) > 0:
			c.Flipped = append(c.Flipped, cell)
		case shows(patched, id):
			c.Already++
		}
	}
	var rest []conclusion.Difference
	for _, d := range diffs {
		splat := d.Field == conclusion.WitnessPrefix+observe.WitnessSplats ||
			d.Field == conclusion.WitnessPrefix+observe.WitnessTaint
		switch {
		case slices.Contains(accepted, d.ExplainedBy) && !d.Lost:
		case reported[d.Step], follows && !splat && d.ExplainedBy == "":
		default:
			rest = append(rest, d)
		}
	}
	if len(rest) > 0 {
		c.Moved = append(c.Moved, moved(base, patched, rest))
	}
}

// pair returns the cells of a scenario on two kernels. If they cannot be compared and the
// verdict is weaker for it, the cell and the reason are added to into.
func (c *assessment) pair(s results.Scenario, a, b string, into *[]Unjudged) (x, y observe.Cell, comparable bool) {
	x, okX := observe.Pick(c.run.Cells, a, s.ID)
	y, okY := observe.Pick(c.run.Cells, b, s.ID)
	cells := []observe.Cell{x, y}
	comparable = okX && okY && x.Comparable() && y.Comparable()
	switch {
	case s.Skipped != "":
		return x, y, false // skipped on every kernel
	case comparable && x.Accel != y.Accel:
		why := "different accelerators: " + x.Accel + " on " + a + ", " + y.Accel + " on " + b
		*into = append(*into, Unjudged{Scenario: s.ID, Kernel: b, Why: why, Infra: true})
		return x, y, false
	case comparable:
		return x, y, true
	}
	// A scenario skipped on both kernels weakens the verdict only if it covers the change.
	impossible := x.Verdict == observe.Skipped && y.Verdict == observe.Skipped
	if impossible && !c.under(s) {
		return x, y, false
	}
	for i, name := range []string{a, b} {
		switch cell := cells[i]; {
		case !([]bool{okX, okY}[i]):
			*into = append(*into, Unjudged{Scenario: s.ID, Kernel: name, Why: "it was not observed", Infra: true})
		case !cell.Comparable():
			*into = append(*into, Unjudged{
				Scenario: s.ID, Kernel: name, Why: cell.Message, Infra: cell.Verdict == observe.Infra, Console: cell.ConsoleTail,
			})
		}
	}
	return x, y, false
}

// under reports whether a scenario covers the change in question.
func (c *assessment) under(s results.Scenario) bool {
	k, err := c.known.ByID(c.Change)
	return err == nil && k.Covers(s.ID) || c.Change != "" && slices.Contains(s.Changes, c.Change)
}

// silent is the side of a step that does not cover a change.
const silent observe.Side = ""

// sideOf returns the side of a change that a cell's step shows.
func sideOf(c observe.Cell, step int, id string) observe.Side {
	if step >= len(c.Steps) {
		return silent
	}
	switch e := c.Steps[step].Expected; {
	case e == nil:
		return silent
	case e.PartOf == id && e.Side == observe.Partly:
		return observe.Partly
	case e.Change != id || e.Side == observe.Both:
		return silent
	default:
		return e.Side
	}
}

// shows reports whether a cell has a step that shows the change.
func shows(c observe.Cell, id string) bool {
	for i := range c.Steps {
		if sideOf(c, i, id) == observe.After {
			return true
		}
	}
	return false
}

// pairs compares the steps of two cells that cover a change: what flipped, or what is
// missing. reported are the steps that differ in more than the change predicts. hidden
// is the symbol without which one of the kernels cannot show the change.
func pairs(base, patched observe.Cell, id string) (cell Cell, reported []int, hidden string) {
	cell = Cell{Scenario: patched.Scenario, Change: id}
	var flipped, wanting []Pair
	found := map[Missing]bool{}
	for i := range max(len(base.Steps), len(patched.Steps)) {
		for _, c := range []observe.Cell{base, patched} {
			if i >= len(c.Steps) || c.Steps[i].Expected == nil {
				continue
			}
			if e := c.Steps[i].Expected; e.Change == id && e.Hidden != "" {
				return cell, nil, e.Hidden
			}
		}
		b, p := sideOf(base, i, id), sideOf(patched, i, id)
		why := missing(b, p)
		switch {
		case why != "":
			found[why] = true
			p := words(base, patched, i)
			if why == ElseThere || why == PartThere {
				p.expect(base, patched, i)
			}
			wanting = append(wanting, p)
		case b == p: // nothing flipped
			continue
		default:
			flipped = append(flipped, words(base, patched, i))
		}
		if b != observe.Before || p != observe.After && p != observe.Before {
			reported = append(reported, i)
		}
	}
	cell.Pairs = append(wanting, flipped...)
	for _, why := range []Missing{NotThere, Lost, PartThere, ElseThere} {
		if found[why] {
			cell.Why = why
		}
	}
	if cell.Why == NotThere && len(flipped) > 0 {
		cell.Why = PartThere
	}
	return cell, reported, ""
}

// missing returns what is missing in a step, by the sides of the change that it showed on
// the base and on the patched kernel; "" if nothing is.
func missing(base, patched observe.Side) Missing {
	switch {
	case patched == observe.After, patched == silent && (base == silent || base == observe.Partly):
		return ""
	case patched == observe.Partly:
		return PartThere
	case patched == observe.Before && base == observe.After:
		return Lost
	case patched == observe.Before:
		return NotThere
	}
	return ElseThere
}

// words returns a step's outcomes on two kernels, with addresses and bytes if only these
// differ.
func words(a, b observe.Cell, step int) Pair {
	word := func(c observe.Cell, with func(observe.Outcome) string) string {
		if step >= len(c.Steps) {
			return "not done"
		}
		return with(c.Steps[step].Outcome)
	}
	short := Pair{From: word(a, observe.Outcome.String), To: word(b, observe.Outcome.String)}
	for _, with := range []func(observe.Outcome) string{observe.Outcome.Located, observe.Outcome.Detailed} {
		if long := (Pair{From: word(a, with), To: word(b, with)}); short.From == short.To && long.From != long.To {
			return long
		}
	}
	return short
}

// expect sets the outcome that a step should have had on the patched kernel. If the two
// differ only in an address, or in the value returned or read, To shows that too.
func (p *Pair) expect(base, patched observe.Cell, step int) {
	for _, c := range []observe.Cell{patched, base} { // patched may have fewer steps
		if step < len(c.Steps) && c.Steps[step].Expected != nil {
			p.Want = c.Steps[step].Expected.After
			break
		}
	}
	if step >= len(patched.Steps) {
		return
	}
	for _, with := range []func(observe.Outcome) string{observe.Outcome.Located, observe.Outcome.Detailed} {
		if strings.HasPrefix(p.Want, p.To) {
			p.To = with(patched.Steps[step].Outcome)
		}
	}
}

// moved collects the differences between two cells.
func moved(a, b observe.Cell, diffs []conclusion.Difference) Moved {
	texts := observe.Headlines([]observe.Cell{a, b})
	m := Moved{Scenario: a.Scenario, A: texts[0], B: texts[1], Fields: diffs}
	for _, d := range diffs {
		switch {
		case d.ExplainedBy == "":
			m.Unexplained = true
		case !slices.Contains(m.By, d.ExplainedBy):
			m.By = append(m.By, d.ExplainedBy)
		}
	}
	slices.SortFunc(m.By, strings.Compare)
	return m
}
