package html

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// addRow adds a scenario with its cells.
func (s *store) addRow(run results.Run, r matrix.Row, diffs []difference) {
	ids, _ := r.Why()
	row := dataRow{
		ID: sanitize.Line(r.Scenario.ID), Doc: s.text(r.Scenario.Doc), Needs: s.text(strings.Join(r.Scenario.Needs, ", ")),
		Changes: ids, Notable: r.Notable(), Cells: make([]*place, len(r.Cells)),
	}
	beside := r.Reference()
	for i, c := range r.Cells {
		if c == nil {
			continue
		}
		p := place{
			Cell: s.cell(*c), Beside: beside[i], Repeat: s.text(matrix.Repeat(run, *c)),
			Log: s.text(strings.Join(c.KernelLog, "\n")), Tail: s.text(c.ConsoleTail),
		}
		facts := fmt.Sprintf("%s, %.0f ms", c.Accel, c.Millis)
		if c.ObservedBy != "" {
			facts += ", observed by the earlier run " + c.ObservedBy
		}
		if n := r.Attempts[i]; n > 1 {
			facts += fmt.Sprintf(", attempt %d of %d", c.Attempt, n)
		}
		p.Facts = s.text(facts)
		row.Cells[i] = &p
	}
	for _, d := range diffs {
		row.Differences = append(row.Differences, dataDiffers{
			From:  d.from,
			On:    d.on,
			Where: s.text(d.Where),
			Field: s.text(d.Field),
			A:     s.text(d.A),
			B:     s.text(d.B),
			By:    d.By,
			Why:   d.Why,
		})
	}
	for _, f := range run.Findings {
		if f.Scenario != r.Scenario.ID {
			continue
		}
		on := columnsOf(run, f.Kernels)
		row.Findings = append(
			row.Findings,
			dataFinding{On: on, Kind: s.text(matrix.FindingWords(f.Kind)), Message: s.text(f.Message)},
		)
	}
	s.Rows = append(s.Rows, row)
}

// columnsOf returns the indexes of kernels in a run.
func columnsOf(run results.Run, names []string) []int {
	out := []int{}
	for i, k := range run.Kernels {
		if slices.Contains(names, k.Name) {
			out = append(out, i)
		}
	}
	return out
}

func (s *store) cell(c observe.Cell) int {
	out := dataCell{Verdict: string(c.Verdict), State: s.text(c.Verdict.Text()), Message: s.text(c.Message)}
	moments := timeline(c.Steps)
	for i, step := range c.Steps {
		out.Steps = append(out.Steps, s.step(step, moments[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Witnesses)) {
		out.Witnesses = append(out.Witnesses, [2]int{s.text(name), s.text(c.Witnesses[name])})
	}
	for _, l := range c.Ignored {
		out.LeftOut = append(
			out.LeftOut,
			s.text(fmt.Sprintf("left out of %s: %s, because %s", l.Witness, l.Pattern, l.Reason)),
		)
	}
	return once(s, &s.Cells, out)
}

func (s *store) step(step observe.Step, m moment) int {
	o := step.Outcome
	out := dataStep{
		Actor: s.text(step.Actor), Action: s.text(step.Action), Outcome: s.text(o.Located()),
		Poisons: s.text(m.Poisons), Heals: s.text(m.Heals), Touches: s.text(m.Touches),
	}
	add := func(name, value string) {
		// Leave out what the outcome's text contains.
		if value != "" && !strings.Contains(o.String(), value) {
			out.Details = append(out.Details, [2]int{s.text(name), s.text(value)})
		}
	}
	if o.Ret != nil {
		add("returned", fmt.Sprint(*o.Ret))
	}
	add("errno", o.Errno)
	add("data", o.Data)
	add("digest", o.Digest)
	add("note", o.Note)
	add("stuck", step.Stuck)
	for _, sig := range o.Signals {
		out.Payloads = append(out.Payloads, s.payload(sig))
	}
	if e := step.Expected; e != nil {
		how, wanted := expectation(*e)
		out.How, out.Wanted, out.Unmet = s.text(how), s.text(wanted), !e.Met
	}
	return once(s, &s.Steps, out)
}

// expectation describes how a step compares with its expectation, and the other possible
// outcome; or the expected one, if the step did not meet it.
func expectation(e observe.Expectation) (how, wanted string) {
	switch {
	case !e.Met && e.Side == observe.Partly:
		return "not as expected: shows a part of " + e.PartOf, e.Wanted()
	case !e.Met:
		return "not as expected", e.Wanted()
	case e.Change == "":
		return "as expected of every kernel", ""
	case e.Hidden != "":
		return "as expected: " + e.Change + " cannot be seen without CONFIG_" + e.Hidden, ""
	case e.Side == observe.Before:
		return "as without " + e.Change, "with it: " + e.After
	case e.Side == observe.After:
		return "as with " + e.Change, "without it: " + e.Before
	case e.Side == observe.Partly:
		return "shows a part of " + e.PartOf, e.Wanted()
	}
	return "as expected", ""
}
