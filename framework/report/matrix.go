package report

import (
	"slices"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

// row is a scenario of the matrix.
type row struct {
	scenario results.Scenario
	cells    []*observe.Cell // one a kernel, nil where there is none
	attempts []int           // how many there are of each
	diffs    []judge.Difference
	repeats  []judge.Difference
}

// matrix arranges a run's cells: rows in the order of the plan, those that it
// doesn't name behind them, without scenarios that no kernel has a cell of.
func matrix(run results.Run) []row {
	byID := map[string]results.Scenario{}
	var order []string
	for _, s := range run.Scenarios {
		byID[s.ID] = s
		order = append(order, s.ID)
	}
	byScenario := map[string][]observe.Cell{}
	var rest []string
	for _, c := range run.Cells {
		if _, ok := byID[c.Scenario]; !ok && byScenario[c.Scenario] == nil {
			rest = append(rest, c.Scenario)
			byID[c.Scenario] = results.Scenario{ID: c.Scenario}
		}
		byScenario[c.Scenario] = append(byScenario[c.Scenario], c)
	}
	slices.Sort(rest)
	var rows []row
	for _, id := range append(order, rest...) {
		if len(byScenario[id]) == 0 {
			continue
		}
		r := row{scenario: byID[id]}
		for _, k := range run.Kernels {
			c, ok := judge.Pick(byScenario[id], k.Name, id)
			if !ok {
				r.cells, r.attempts = append(r.cells, nil), append(r.attempts, 0)
				continue
			}
			n := 0
			for _, o := range byScenario[id] {
				if o.Kernel == k.Name {
					n++
				}
			}
			r.cells, r.attempts = append(r.cells, &c), append(r.attempts, n)
		}
		r.diffs = ofScenario(run.Differences, id)
		r.repeats = ofScenario(run.Repeats, id)
		rows = append(rows, r)
	}
	return rows
}

func ofScenario(diffs []judge.Difference, id string) []judge.Difference {
	var out []judge.Difference
	for _, d := range diffs {
		if d.Scenario == id {
			out = append(out, d)
		}
	}
	return out
}

// why lists the changes that explain the row's differences, and says whether
// there is a difference that none explains.
func (r row) why() (changes []string, unexplained bool) {
	for _, d := range r.diffs {
		switch {
		case d.ExplainedBy == "":
			unexplained = true
		case !slices.Contains(changes, d.ExplainedBy):
			changes = append(changes, d.ExplainedBy)
		}
	}
	return changes, unexplained
}

// lost says whether a difference of the row is a lost change.
func (r row) lost() bool {
	return slices.ContainsFunc(r.diffs, func(d judge.Difference) bool { return d.Lost })
}

// texts are what the row's cells show, beside each other; "" where there is none.
func (r row) texts() []string {
	var cells []observe.Cell
	for _, c := range r.cells {
		if c == nil {
			cells = append(cells, observe.Cell{})
		} else {
			cells = append(cells, *c)
		}
	}
	texts := observe.Headlines(cells)
	for i, c := range cells {
		if r.mixed() && judge.Comparable(c) {
			texts[i] += " [" + c.Accel + "]"
		}
	}
	return texts
}

// mixed says whether the row's cells ran with different accelerators.
func (r row) mixed() bool {
	seen := ""
	for _, c := range r.cells {
		if c == nil || c.Accel == "" {
			continue
		}
		if seen != "" && c.Accel != seen {
			return true
		}
		seen = c.Accel
	}
	return false
}

// compared says whether at least two kernels observed the scenario in a way
// that can be compared.
func (r row) compared() bool {
	seen := map[string]int{}
	for _, c := range r.cells {
		if c != nil && judge.Comparable(*c) {
			if seen[c.Accel]++; seen[c.Accel] > 1 {
				return true
			}
		}
	}
	return false
}

// notable says whether there is anything to look at in the row.
func (r row) notable() bool {
	if len(r.diffs) > 0 || len(r.repeats) > 0 {
		return true
	}
	return slices.ContainsFunc(r.cells, func(c *observe.Cell) bool {
		return c != nil && (c.Verdict == observe.Unexpected || c.Verdict == observe.Rig)
	})
}
