package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// State is the result of a check. Each except Passed and Skipped has an exit code of
// its own; of several checks, the last one in this order decides the exit code.
type State int

const (
	Passed    State = iota
	Skipped         // skipped: the kernel or the machine does not have what it needs
	NotJudged       // it could not be judged: an infrastructure failure, or it was not compared
	Failed          // a behaviour was not as expected, or is a finding
	Stopped         // the run was interrupted before everything was observed
)

// Suites of checks that are not scenarios.
const (
	findingsSuite = "findings" // findings that belong to no single cell
	runSuite      = "run"      // whether the run was completed
)

// Check is what a pipeline counts as one test of a kernel: a scenario, whose attempts
// are one check, so that it has the same name with and without --repeat; findings that
// belong to no single cell; or an interruption of the run.
type Check struct {
	Suite string
	// Name is the scenario's id. For findings it is their kind and subject:
	// "lost-change/dax_fault_hwpoison".
	Name  string
	State State
	// Why is the machine-readable reason why it is not Passed: the kind of the first
	// finding, "infra", "uncompared", "skipped" or "interrupted".
	Why string
	// Reasons are texts for the user. They may contain a guest's text.
	Reasons []string
	// Scenario and Cells, one for each attempt, are set if the check is a scenario.
	Scenario results.Scenario
	Cells    []*observe.Cell
}

// Seconds returns how long the check's guests took.
func (c Check) Seconds() float64 {
	var ms float64
	for _, cell := range c.Cells {
		ms += cell.Millis
	}
	return ms / 1000
}

// Column is a kernel and its checks.
type Column struct {
	Kernel results.Kernel
	Checks []Check
}

// Suite is the checks of a column that belong together.
type Suite struct {
	Name   string
	Checks []Check
}

// Suites returns the column's suites, in the order of its checks.
func (c Column) Suites() []Suite {
	var out []Suite
	at := map[string]int{}
	for _, check := range c.Checks {
		i, ok := at[check.Suite]
		if !ok {
			i = len(out)
			at[check.Suite], out = i, append(out, Suite{Name: check.Suite})
		}
		out[i].Checks = append(out[i].Checks, check)
	}
	return out
}

// Columns returns the checks of each kernel. They contain everything that decides the
// run's exit code.
func Columns(run results.Run) []Column {
	c := collector{
		run: run, cells: map[place][]*observe.Cell{}, findings: map[place][]conclusion.Finding{},
		uncompared: map[place][]string{}, at: map[string]int{},
	}
	for _, k := range run.Kernels {
		c.column(k.Name).Kernel = k
	}
	for i := range run.Cells {
		cell := &run.Cells[i]
		at := place{cell.Kernel, cell.Scenario}
		c.cells[at] = append(c.cells[at], cell)
	}
	var loose []conclusion.Finding
	for _, f := range run.Findings {
		at := place{owner(run, f), f.Scenario}
		if ofCell(f) && len(c.cells[at]) > 0 {
			c.findings[at] = append(c.findings[at], f)
		} else {
			loose = append(loose, f)
		}
	}
	for _, u := range run.Uncompared {
		at := place{u.KernelB, u.Scenario}
		c.uncompared[at] = append(c.uncompared[at], "not compared with "+u.KernelA+": "+u.Why)
	}
	c.scenarios()
	c.loose(loose)
	for _, u := range run.Uncompared {
		if at := (place{u.KernelB, u.Scenario}); len(c.cells[at]) == 0 { // of another tool's record
			col := c.column(u.KernelB)
			col.Checks = append(col.Checks, Check{
				Suite:   findingsSuite,
				Name:    "uncompared/" + u.Scenario,
				State:   NotJudged,
				Why:     "uncompared",
				Reasons: c.uncompared[at],
			})
		}
	}
	if run.Interrupted {
		c.interrupted()
	}
	return c.columns
}

// ofCell reports whether a finding belongs to one cell. A difference belongs to two.
func ofCell(f conclusion.Finding) bool {
	switch f.Kind {
	case conclusion.UnexpectedObservation, conclusion.Splat, conclusion.NotRepeatable:
		return true
	}
	return false
}

// owner returns the kernel under which a finding is reported: the last one that it
// names, which is the one that lost a change, or that differs.
func owner(run results.Run, f conclusion.Finding) string {
	switch {
	case len(f.Kernels) > 0:
		return f.Kernels[len(f.Kernels)-1]
	case len(run.Kernels) > 0:
		return run.Kernels[len(run.Kernels)-1].Name
	}
	return ""
}

// place is the position of a cell.
type place struct{ kernel, scenario string }

type collector struct {
	run      results.Run
	cells    map[place][]*observe.Cell
	findings map[place][]conclusion.Finding
	// uncompared are the reasons why cells were not compared.
	uncompared map[place][]string
	columns    []Column
	at         map[string]int // of columns, by the kernel's name
}

// column returns the column of a kernel. One that the run does not list gets a new one,
// so that nothing of another tool's record is lost.
func (c *collector) column(kernel string) *Column {
	i, ok := c.at[kernel]
	if !ok {
		i = len(c.columns)
		c.at[kernel], c.columns = i, append(c.columns, Column{Kernel: results.Kernel{Name: kernel}})
	}
	return &c.columns[i]
}

// scenarios adds a check for each observed scenario: those of the plan, in its order,
// then any others.
func (c *collector) scenarios() {
	order := slices.Clone(c.run.Scenarios)
	known := map[string]bool{}
	for _, s := range order {
		known[s.ID] = true
	}
	for _, cell := range c.run.Cells {
		c.column(cell.Kernel)
		if !known[cell.Scenario] {
			known[cell.Scenario] = true
			order = append(order, results.Scenario{ID: cell.Scenario})
		}
	}
	for i := range c.columns {
		col := &c.columns[i]
		for _, s := range order {
			at := place{col.Kernel.Name, s.ID}
			if cells := c.cells[at]; len(cells) > 0 {
				col.Checks = append(col.Checks, newCheck(s, cells, c.findings[at], c.uncompared[at]))
			}
		}
	}
}

func newCheck(s results.Scenario, cells []*observe.Cell, findings []conclusion.Finding, uncompared []string) Check {
	out := Check{Suite: s.Suite, Name: s.ID, Scenario: s, Cells: cells}
	if out.Suite == "" {
		out.Suite, _, _ = strings.Cut(s.ID, "/")
	}
	messages := map[observe.Verdict][]string{}
	for _, cell := range cells {
		if !slices.Contains(messages[cell.Verdict], cell.Message) {
			messages[cell.Verdict] = append(messages[cell.Verdict], cell.Message)
		}
	}
	switch {
	case len(findings) > 0:
		out.State, out.Why = Failed, string(findings[0].Kind)
		for _, f := range findings {
			out.Reasons = append(out.Reasons, f.Message)
		}
	case messages[observe.Unexpected] != nil:
		out.State, out.Why, out.Reasons = Failed, string(conclusion.UnexpectedObservation), messages[observe.Unexpected]
	case messages[observe.Infra] != nil:
		out.State, out.Why, out.Reasons = NotJudged, string(observe.Infra), messages[observe.Infra]
	case len(uncompared) > 0:
		out.State, out.Why, out.Reasons = NotJudged, "uncompared", uncompared
	case messages[observe.Skipped] != nil && messages[observe.Expected] == nil:
		out.State, out.Why, out.Reasons = Skipped, string(observe.Skipped), messages[observe.Skipped]
	}
	return out
}

// loose adds the findings that belong to no single cell; those with the same subject are
// one check.
func (c *collector) loose(findings []conclusion.Finding) {
	for _, f := range findings {
		name := strings.ReplaceAll(string(f.Kind), "_", "-")
		if f.Change != "" {
			name += "/" + f.Change
		}
		if f.Scenario != "" {
			name += "/" + f.Scenario
		}
		col := c.column(owner(c.run, f))
		i := slices.IndexFunc(col.Checks, func(k Check) bool { return k.Suite == findingsSuite && k.Name == name })
		if i < 0 {
			i = len(col.Checks)
			col.Checks = append(col.Checks, Check{Suite: findingsSuite, Name: name, State: Failed, Why: string(f.Kind)})
		}
		col.Checks[i].Reasons = append(col.Checks[i].Reasons, f.Message)
	}
}

// interrupted adds a check to each kernel with unobserved scenarios in the plan, or to
// the last kernel if there is none.
func (c *collector) interrupted() {
	if len(c.columns) == 0 {
		c.column("")
	}
	planned := c.planned()
	reported := false
	for i := range c.columns {
		col := &c.columns[i]
		var missing []string
		for _, id := range planned[col.Kernel.Name] {
			if len(c.cells[place{col.Kernel.Name, id}]) == 0 {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 && (reported || i < len(c.columns)-1) {
			continue
		}
		reported = true
		reason := "the run was interrupted"
		if len(missing) > 0 {
			reason += fmt.Sprintf(" before %d of %s could be observed: %s",
				len(missing), english.Plural(len(planned[col.Kernel.Name]), "scenario", ""), strings.Join(missing, ", "))
		}
		col.Checks = append(col.Checks, Check{
			Suite: runSuite, Name: "whole", State: Stopped, Why: "interrupted", Reasons: []string{reason},
		})
	}
}

// planned returns the scenarios that the run, or its shard, was to observe on each
// kernel. A plan is ordered by kernel, then by scenario.
func (c *collector) planned() map[string][]string {
	out := map[string][]string{}
	n := len(c.run.Scenarios)
	from, to := c.run.Shard.Cut(len(c.run.Kernels) * n)
	for i := from; i < to; i++ {
		kernel := c.run.Kernels[i/n].Name
		out[kernel] = append(out[kernel], c.run.Scenarios[i%n].ID)
	}
	return out
}
