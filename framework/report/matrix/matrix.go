package matrix

import (
	"slices"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Row is a scenario, with its cells and the differences between them.
type Row struct {
	Scenario    results.Scenario
	Cells       []*observe.Cell // one for each kernel, nil if there is none
	Attempts    []int           // the number of attempts at each
	Differences []conclusion.Difference
	Repeats     []conclusion.Difference
	Uncompared  []conclusion.Uncompared
}

// Of arranges a run's cells in rows: those of the plan, in its order, then any others.
// Scenarios without a cell are left out.
func Of(run results.Run) []Row {
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
	differences, repeats := map[string][]conclusion.Difference{}, map[string][]conclusion.Difference{}
	uncompared := map[string][]conclusion.Uncompared{}
	for _, d := range run.Differences {
		differences[d.Scenario] = append(differences[d.Scenario], d)
	}
	for _, d := range run.Repeats {
		repeats[d.Scenario] = append(repeats[d.Scenario], d)
	}
	for _, u := range run.Uncompared {
		uncompared[u.Scenario] = append(uncompared[u.Scenario], u)
	}
	var rows []Row
	for _, id := range append(order, rest...) {
		if len(byScenario[id]) == 0 {
			continue
		}
		r := Row{Scenario: byID[id]}
		for _, k := range run.Kernels {
			c, ok := observe.Pick(byScenario[id], k.Name, id)
			if !ok {
				r.Cells, r.Attempts = append(r.Cells, nil), append(r.Attempts, 0)
				continue
			}
			n := 0
			for _, o := range byScenario[id] {
				if o.Kernel == k.Name {
					n++
				}
			}
			r.Cells, r.Attempts = append(r.Cells, &c), append(r.Attempts, n)
		}
		r.Differences, r.Repeats, r.Uncompared = differences[id], repeats[id], uncompared[id]
		rows = append(rows, r)
	}
	return rows
}

// Why returns the changes that explain the row's differences, and whether there is an
// unexplained one.
func (r Row) Why() (changes []string, unexplained bool) {
	for _, d := range r.Differences {
		switch {
		case d.ExplainedBy == "":
			unexplained = true
		case !slices.Contains(changes, d.ExplainedBy):
			changes = append(changes, d.ExplainedBy)
		}
	}
	return changes, unexplained
}

// Lost reports whether a difference of the row is a lost change.
func (r Row) Lost() bool {
	return slices.ContainsFunc(r.Differences, func(d conclusion.Difference) bool { return d.Lost })
}

// Texts returns the texts of the row's cells; "" if there is no cell.
func (r Row) Texts() []string {
	var cells []observe.Cell
	for _, c := range r.Cells {
		if c == nil {
			cells = append(cells, observe.Cell{})
		} else {
			cells = append(cells, *c)
		}
	}
	texts := observe.Headlines(cells)
	for i, c := range cells {
		if r.mixed() && c.Comparable() {
			texts[i] += " [" + c.Accel + "]"
		}
	}
	return texts
}

// mixed reports whether the row's cells ran with different accelerators.
func (r Row) mixed() bool {
	seen := ""
	for _, c := range r.Cells {
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

// compared reports whether at least two kernels observed the scenario with the same
// accelerator.
func (r Row) compared() bool {
	seen := map[string]int{}
	for _, c := range r.Cells {
		if c != nil && c.Comparable() {
			if seen[c.Accel]++; seen[c.Accel] > 1 {
				return true
			}
		}
	}
	return false
}

// Notable reports whether the row needs a look.
func (r Row) Notable() bool {
	if len(r.Differences)+len(r.Repeats)+len(r.Uncompared) > 0 {
		return true
	}
	return slices.ContainsFunc(r.Cells, func(c *observe.Cell) bool {
		return c != nil && (c.Verdict == observe.Unexpected || c.Verdict == observe.Infra)
	})
}
