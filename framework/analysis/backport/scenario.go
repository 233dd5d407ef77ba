package backport

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// scenario takes up what a scenario showed on base and patched. accepted are the
// changes that may have moved it.
func (c *conclusion) scenario(s results.Scenario, accepted []string, diffs []judge.Difference) {
	base, patched, comparable := c.pair(s, c.Base, c.Patched, &c.Unjudged)
	if !comparable {
		return
	}
	c.Compared++
	if len(diffs) == 0 {
		c.Same++
	}
	told := map[int]bool{} // the steps of which is said elsewhere how they differ
	follows := false       // and what else differs follows from one of them
	for _, id := range accepted {
		cell, steps, hidden := held(base, patched, id)
		for _, step := range steps {
			told[step] = true
		}
		switch {
		case hidden != "":
			c.Unjudged = append(c.Unjudged, Unjudged{Scenario: s.ID, Kernel: c.Patched, Why: "nobody sees " + id + " without CONFIG_" + hidden})
		case cell.Why != "":
			c.Missing = append(c.Missing, cell)
			follows = follows || cell.Why == ElseThere || cell.Why == PartThere
		case len(cell.Pairs) > 0:
			c.Flipped = append(c.Flipped, cell)
		case shows(patched, id):
			c.Already++
		}
	}
	var rest []judge.Difference
	for _, d := range diffs {
		splat := d.Field == judge.WitnessPrefix+observe.WitnessSplats || d.Field == judge.WitnessPrefix+observe.WitnessTaint
		switch {
		case slices.Contains(accepted, d.ExplainedBy) && !d.Lost:
		case told[d.Step], follows && !splat && d.ExplainedBy == "":
		default:
			rest = append(rest, d)
		}
	}
	if len(rest) > 0 {
		c.Moved = append(c.Moved, moved(base, patched, rest))
	}
}

// pair are the cells of a scenario on two kernels. Where they can't be compared,
// and something is lost by that, it is noted which, and why.
func (c *conclusion) pair(s results.Scenario, a, b string, into *[]Unjudged) (x, y observe.Cell, comparable bool) {
	x, okX := judge.Pick(c.run.Cells, a, s.ID)
	y, okY := judge.Pick(c.run.Cells, b, s.ID)
	cells := []observe.Cell{x, y}
	comparable = okX && okY && judge.Comparable(x) && judge.Comparable(y)
	switch {
	case s.NotDoable != "":
		return x, y, false // on no kernel
	case comparable && x.Accel != y.Accel:
		*into = append(*into, Unjudged{Scenario: s.ID, Kernel: b, Why: "it ran with " + y.Accel + ", the other with " + x.Accel, Rig: true})
		return x, y, false
	case comparable:
		return x, y, true
	}
	// What neither kernel can do is no loss, unless the change is seen there.
	impossible := x.Verdict == observe.Skipped && y.Verdict == observe.Skipped
	if impossible && !c.under(s) {
		return x, y, false
	}
	for i, name := range []string{a, b} {
		switch cell := cells[i]; {
		case !([]bool{okX, okY}[i]):
			*into = append(*into, Unjudged{Scenario: s.ID, Kernel: name, Why: "it was not observed", Rig: true})
		case !judge.Comparable(cell):
			*into = append(*into, Unjudged{Scenario: s.ID, Kernel: name, Why: cell.Message, Rig: cell.Verdict == observe.Infra, Console: cell.ConsoleTail})
		}
	}
	return x, y, false
}

// under says whether a scenario tells of the change in question.
func (c *conclusion) under(s results.Scenario) bool {
	k, err := c.known.ByID(c.Change)
	return err == nil && k.Tells(s.ID) || c.Change != "" && slices.Contains(s.Changes, c.Change)
}

// silent is a step that tells nothing of a change.
const silent observe.Side = ""

// sideOf is what a cell's step shows of a change.
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

// shows says whether a cell has a step that shows the change.
func shows(c observe.Cell, id string) bool {
	for i := range c.Steps {
		if sideOf(c, i, id) == observe.After {
			return true
		}
	}
	return false
}

// held holds the steps of two cells that tell of a change against each other: what
// flipped, or else what is missing. told are the steps in which more differs by
// that than the change predicts. hidden is the symbol without which one of the
// kernels can't show the change.
func held(base, patched observe.Cell, id string) (cell Cell, told []int, hidden string) {
	cell = Cell{Scenario: patched.Scenario, Change: id}
	var flipped, wanting []Pair
	found := map[Missing]bool{}
	for i := range max(len(base.Steps), len(patched.Steps)) {
		for _, c := range []observe.Cell{base, patched} {
			if i < len(c.Steps) && c.Steps[i].Expected != nil && c.Steps[i].Expected.Change == id && c.Steps[i].Expected.Hidden != "" {
				return cell, nil, c.Steps[i].Expected.Hidden
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
			told = append(told, i)
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
	return cell, told, ""
}

// missing is what a step lacks that showed one side of a change on the base, and
// another on the patched kernel; "" where it is as it should be.
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

// words are what a step showed on two kernels, with addresses and bytes where only these
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

// expect adds to what a step showed on the patched kernel what it should have shown
// there. Where the two differ in no more than an address, or in what was returned or
// read, that is shown.
func (p *Pair) expect(base, patched observe.Cell, step int) {
	for _, c := range []observe.Cell{patched, base} { // the patched one may not have come so far
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

// moved gathers differences between two cells.
func moved(a, b observe.Cell, diffs []judge.Difference) Moved {
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
