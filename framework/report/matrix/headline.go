package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
)

// Headline is what a report states first.
type Headline struct {
	// Sentence is the verdict: how many cells are as expected, and how many scenarios
	// differ between kernels.
	Sentence string
	// Changes are the changes that explain differences, each with its number of
	// scenarios: "dax_fault_hwpoison (1ea7ca1b0901, v6.5): 7 scenarios".
	Changes []string
	// Example is one difference, as user space observed it; empty if there is none.
	Example string
	// Scenario is the id of the example's scenario.
	Scenario string
}

// NewHeadline returns the headline of a run. Its example is an explained difference if
// there is one, preferably in a scenario marked Lead.
func NewHeadline(run results.Run) Headline {
	rows := Of(run)
	d := newDiffering(rows)
	h := Headline{Sentence: sentence(run, d), Changes: d.listed(run)}
	h.Scenario, h.Example = example(run, rows)
	return h
}

func sentence(run results.Run, d differing) string {
	s := run.Summary
	judged := len(run.Cells) - s.Skipped
	switch {
	case len(run.Cells) == 0 && run.Interrupted:
		return "Interrupted before anything was observed."
	case len(run.Cells) == 0:
		return "Nothing was observed."
	}
	parts := []string{fmt.Sprintf("%d of %d as expected", s.Expected, judged)}
	if judged == 0 {
		parts[0] = english.Plural(s.Skipped, "cell", "") + " skipped"
	}
	for _, p := range []struct {
		n    int
		text string
	}{
		{s.Unexpected, fmt.Sprintf("%d unexpected", s.Unexpected)},
		{s.Infra, english.Plural(s.Infra, "infrastructure failure", "")},
		{len(run.Uncompared), fmt.Sprintf("%d not compared", len(run.Uncompared))},
		{len(run.Findings), english.Plural(len(run.Findings), "finding", "")},
	} {
		if p.n > 0 {
			parts = append(parts, p.text)
		}
	}
	out := strings.Join(parts, ", ")
	if text := d.String(); text != "" {
		out += "; " + text
	}
	if run.Interrupted {
		out = "Interrupted: " + out
	}
	return out + "."
}

// differing counts the scenarios that differ between kernels.
type differing struct {
	compared, explained, unexplained, lost int
	// changes are those that explain a difference, causes those that explain all
	// differences of a scenario; each once.
	changes, causes []string
	scenarios       map[string]int // by change
}

func newDiffering(rows []Row) differing {
	d := differing{scenarios: map[string]int{}}
	for _, r := range rows {
		if r.compared() {
			d.compared++
		}
		if len(r.Differences) == 0 {
			continue
		}
		by, unexplained := r.Why()
		switch {
		case r.Lost():
			d.lost++
			continue
		case unexplained:
			d.unexplained++
		default:
			d.explained++
			d.causes = appendNew(d.causes, by...)
		}
		d.changes = appendNew(d.changes, by...)
		for _, id := range by {
			d.scenarios[id]++
		}
	}
	return d
}

func appendNew(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// listed returns the changes with their numbers of scenarios.
func (d differing) listed(run results.Run) []string {
	var out []string
	for _, id := range d.changes {
		out = append(out, run.Known().Named(id)+": "+english.Plural(d.scenarios[id], "scenario", ""))
	}
	return out
}

// String describes how many scenarios differ; it is empty if none was compared.
func (d differing) String() string {
	n := d.explained + d.unexplained + d.lost
	switch {
	case d.compared == 0:
		return ""
	case n == 0:
		return "no difference between kernels in " + english.Plural(d.compared, "scenario", "")
	}
	verb, all := "differ", "all "
	if n == 1 {
		verb, all = "differs", ""
	}
	out := fmt.Sprintf("%d of %s %s between kernels", n, english.Plural(d.compared, "scenario", ""), verb)
	by := "explained by " + d.counted()
	if d.explained == n {
		return out + ", " + all + by
	}
	var parts []string
	if d.lost > 0 {
		parts = append(parts, fmt.Sprintf("%d with a lost change", d.lost))
	}
	if d.unexplained > 0 {
		parts = append(parts, fmt.Sprintf("%d unexplained", d.unexplained))
	}
	if d.explained > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", d.explained, by))
	}
	return out + ": " + strings.Join(parts, ", ")
}

// counted counts the causes: changes, and symbols of a kernel's configuration.
func (d differing) counted() string {
	changes, symbols := 0, 0
	for _, id := range d.causes {
		if strings.HasPrefix(id, "CONFIG_") {
			symbols++
		} else {
			changes++
		}
	}
	var parts []string
	if changes > 0 {
		parts = append(parts, english.Plural(changes, "known change", ""))
	}
	if symbols > 0 {
		parts = append(parts, english.Plural(symbols, "configuration symbol", ""))
	}
	return english.WordSeries(parts, "and")
}

// example picks a difference and describes it.
func example(run results.Run, rows []Row) (scenario, text string) {
	best, rank := -1, 0
	var pick conclusion.Difference
	for i, r := range rows {
		for _, d := range r.Differences {
			if d.Step == conclusion.WholeCell || d.Field == conclusion.FieldAction || d.Field == conclusion.FieldSteps {
				continue
			}
			at := 1
			if d.ExplainedBy != "" {
				at += 4
			}
			if r.Scenario.Lead {
				at += 2
			}
			if strings.HasPrefix(d.Field, "signals") {
				at++
			}
			if at > rank {
				best, rank, pick = i, at, d
			}
		}
	}
	if best < 0 {
		return "", ""
	}
	saw := map[string]string{}
	for _, c := range rows[best].Cells {
		if c != nil && pick.Step < len(c.Steps) {
			saw[c.Kernel] = c.Steps[pick.Step].Outcome.String()
		}
	}
	label := map[string]string{}
	for i, l := range labels(run.Kernels) {
		label[run.Kernels[i].Name] = l
	}
	return pick.Scenario, fmt.Sprintf("%s: %s on %s, %s on %s.",
		pick.Action, saw[pick.KernelA], label[pick.KernelA], saw[pick.KernelB], label[pick.KernelB])
}
