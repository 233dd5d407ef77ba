package backport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/report/matrix"
)

// cells lists cells that depend on a change, grouped by what they show.
func (m *mailText) cells(title string, list []backport.Cell) {
	var order []string
	scenarios := map[string][]string{}
	for _, c := range list {
		shown := m.shown(c)
		if scenarios[shown] == nil {
			order = append(order, shown)
		}
		scenarios[shown] = append(scenarios[shown], c.Scenario)
	}
	if len(order) == 0 {
		return
	}
	m.line("")
	m.line(title)
	for _, shown := range order {
		m.fill("  ", "  ", shown)
		m.fill("    ", "    ", strings.Join(scenarios[shown], " "))
	}
}

// shown returns what a cell showed on base and patched, with equal steps counted.
func (m *mailText) shown(c backport.Cell) string {
	var parts []string
	for i := 0; i < len(c.Pairs); {
		p, n := c.Pairs[i], 0
		for ; i < len(c.Pairs) && c.Pairs[i] == p; i++ {
			n++
		}
		text := p.From + " -> " + p.To
		switch {
		case c.Why == backport.NotReference:
			text = p.From + " (the reference: " + p.To + ")"
		case p.From == p.To:
			text = p.From
		}
		if p.Want != "" {
			text += " (expected: " + p.Want + ")"
		}
		if n > 1 {
			text += fmt.Sprintf(" (%d steps)", n)
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, "; ")
	if m.v.Change == "" {
		text = c.Change + ": " + text
	}
	if c.Why != "" {
		text = string(c.Why) + ": " + text
	}
	return text
}

// mostFields is the maximum number of unexplained fields that a mail lists per scenario;
// report.html lists all.
const mostFields = 6

// moved lists the differences between two kernels, with both payloads.
func (m *mailText) moved(title string, list []backport.Moved, kernels [2]string) {
	if len(list) == 0 {
		return
	}
	m.line("")
	m.line(title)
	for _, d := range list {
		name := d.Scenario
		if name == "" {
			name = "during boot"
		}
		m.fill("  ", "  ", name)
		for i, text := range []string{d.A, d.B} {
			m.fill(fmt.Sprintf("    %-10s ", kernels[i]+":"), strings.Repeat(" ", 15), text)
		}
		m.fields(d.Fields)
	}
}

// fields lists the fields that differ in a scenario: unexplained ones with their values,
// the others counted by explanation.
func (m *mailText) fields(list []conclusion.Difference) {
	var unexplained []conclusion.Difference
	var order []string
	by := map[string]int{}
	for _, f := range list {
		if f.ExplainedBy == "" {
			unexplained = append(unexplained, f)
			continue
		}
		why := f.ExplainedBy
		if f.Lost {
			why = "the loss of " + f.ExplainedBy
		}
		if by[why]++; by[why] == 1 {
			order = append(order, why)
		}
	}
	for _, f := range unexplained[:min(len(unexplained), mostFields)] {
		m.fill("    - ", "      ", f.String()+" (unexplained)")
	}
	if more := len(unexplained) - mostFields; more > 0 {
		m.fill("    - ", "      ", english.Plural(more, "more unexplained field", "")+": see report.html")
	}
	for _, why := range order {
		differ := "1 field differs"
		if by[why] > 1 {
			differ = fmt.Sprintf("%d fields differ", by[why])
		}
		m.fill("    - ", "      ", differ+", explained by "+why)
	}
}

// against lists the differences between the patched kernel and the reference, and their
// explanations.
func (m *mailText) against() {
	a := m.v.Against
	if a == nil {
		return
	}
	m.line("")
	m.line("Compared with the reference:")
	if m.v.Change != "" {
		text := fmt.Sprintf("The reference %s.", a.State)
		if a.Alike > 0 {
			text += fmt.Sprintf(
				" In %s both show the change, without unexplained differences.",
				english.Plural(a.Alike, "cell", ""),
			)
		}
		m.fill("  ", "  ", text)
	}
	if len(a.Moved) == 0 {
		m.line("  Nothing differs.")
	}
	// Explained cells are grouped by their explanation; the rest is listed with payloads.
	var order []string
	explained := map[string][]string{}
	var rest []backport.Moved
	for _, d := range a.Moved {
		if d.Unexplained {
			rest = append(rest, d)
			continue
		}
		by := english.WordSeries(d.By, "and")
		if explained[by] == nil {
			order = append(order, by)
		}
		explained[by] = append(explained[by], d.Scenario)
	}
	for _, by := range order {
		differ := "1 cell differs"
		if n := len(explained[by]); n > 1 {
			differ = fmt.Sprintf("%d cells differ", n)
		}
		m.fill("  ", "  ", differ+", explained by "+by+":")
		m.fill("    ", "    ", strings.Join(explained[by], " "))
	}
	m.moved(fmt.Sprintf("Unexplained differences from the reference (%s):",
		english.Plural(len(rest), "cell", "")), rest, [2]string{Patched, Reference})
	var theirs []backport.Unjudged
	for _, u := range a.Unjudged {
		if u.Kernel == Reference {
			theirs = append(theirs, u)
		}
	}
	m.unjudged("Not compared with the reference:", theirs)
}

// unjudged lists cells, grouped by reason.
func (m *mailText) unjudged(title string, list []backport.Unjudged) {
	type key struct{ kernel, why string }
	var order []key
	scenarios := map[key][]string{}
	for _, u := range list {
		k := key{u.Kernel, u.Why}
		if scenarios[k] == nil {
			order = append(order, k)
		}
		scenarios[k] = append(scenarios[k], u.Scenario)
	}
	if len(order) == 0 {
		return
	}
	m.line("")
	m.line(title)
	for _, k := range order {
		m.fill("  ", "  ", k.kernel+": "+k.why)
		m.fill("    ", "    ", strings.Join(scenarios[k], " "))
	}
}

// consoleLines is how many lines of the end of a console a mail contains.
const consoleLines = 20

// boot writes why a kernel does not boot.
func (m *mailText) boot() {
	b := m.v.Boot
	if b == nil {
		return
	}
	m.line("")
	m.fill("  ", "  ", b.Why)
	if b.Console == "" {
		return
	}
	lines := strings.Split(strings.TrimSpace(b.Console), "\n")
	m.line("End of its console:")
	for _, l := range lines[max(0, len(lines)-consoleLines):] {
		m.line(strings.TrimRight("  "+matrix.Printable(l), " "))
	}
}

// counts writes the totals.
func (m *mailText) counts() {
	if m.v.Boot != nil {
		return
	}
	v := m.v
	parts := []string{fmt.Sprintf("%s on both kernels", english.Plural(v.Compared, "scenario", ""))}
	for _, c := range []struct {
		n    int
		word string
	}{
		{len(v.Flipped), "flipped"}, {len(v.Missing), "missing"}, {v.Already, "already there"},
		{len(v.Moved), "also changed"}, {v.Same, "unchanged"}, {len(v.Unjudged), "not judged"},
	} {
		if c.n > 0 || slices.Contains([]string{"flipped", "unchanged"}, c.word) {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	m.line("")
	m.fill("", "", "Counts: "+strings.Join(parts, ", ")+".")
}
