package backport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/report/matrix"
)

// cells lists cells that tell of a change, those that show the same together.
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

// shown is what a cell showed on base and patched, steps of the same kind once.
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

// mostFields is how many fields of a scenario that nothing explains a mail shows;
// report.html has them all.
const mostFields = 6

// moved lists what differs between two kernels with both payloads.
func (m *mailText) moved(title string, list []backport.Moved, kernels [2]string) {
	if len(list) == 0 {
		return
	}
	m.line("")
	m.line(title)
	for _, d := range list {
		name := d.Scenario
		if name == "" {
			name = "while it booted"
		}
		m.fill("  ", "  ", name)
		for i, text := range []string{d.A, d.B} {
			m.fill(fmt.Sprintf("    %-10s ", kernels[i]+":"), strings.Repeat(" ", 15), text)
		}
		m.fields(d.Fields)
	}
}

// fields lists what differs in a scenario: what nothing explains by its values, the
// rest by what explains it.
func (m *mailText) fields(list []judge.Difference) {
	var unexplained []judge.Difference
	var order []string
	by := map[string]int{}
	for _, f := range list {
		if f.ExplainedBy == "" {
			unexplained = append(unexplained, f)
			continue
		}
		why := "by " + f.ExplainedBy
		if f.Lost {
			why = "because " + f.ExplainedBy + " is gone"
		}
		if by[why]++; by[why] == 1 {
			order = append(order, why)
		}
	}
	for _, f := range unexplained[:min(len(unexplained), mostFields)] {
		m.fill("    - ", "      ", f.String()+" (nothing says why)")
	}
	if more := len(unexplained) - mostFields; more > 0 {
		m.fill("    - ", "      ", fmt.Sprintf("%s more that nothing explains: see report.html", matrix.Count(more, "field")))
	}
	for _, why := range order {
		differ := "1 field differs "
		if by[why] > 1 {
			differ = fmt.Sprintf("%d fields differ ", by[why])
		}
		m.fill("    - ", "      ", differ+why)
	}
}

// against says what tells the patched kernel from the reference, and why.
func (m *mailText) against() {
	a := m.v.Against
	if a == nil {
		return
	}
	m.line("")
	m.line("Against the reference:")
	if m.v.Change != "" {
		text := fmt.Sprintf("It %s.", a.State)
		if a.Alike > 0 {
			text += fmt.Sprintf(" In %s both show the change, and nothing unexplained differs.", matrix.Count(a.Alike, "cell"))
		}
		m.fill("  ", "  ", text)
	}
	if len(a.Moved) == 0 {
		m.line("  Nothing differs.")
	}
	// What a change or a symbol explains is told by that; the rest with payloads.
	var order []string
	explained := map[string][]string{}
	var rest []backport.Moved
	for _, d := range a.Moved {
		if d.Unexplained {
			rest = append(rest, d)
			continue
		}
		by := matrix.List(d.By)
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
		m.fill("  ", "  ", differ+" by "+by+":")
		m.fill("    ", "    ", strings.Join(explained[by], " "))
	}
	m.moved(fmt.Sprintf("Differs from the reference, and nothing says why (%s):", matrix.Count(len(rest), "cell")), rest, [2]string{Patched, Reference})
	var theirs []backport.Unjudged
	for _, u := range a.Unjudged {
		if u.Kernel == Reference {
			theirs = append(theirs, u)
		}
	}
	m.unjudged("Not compared with the reference:", theirs)
}

// unjudged lists cells by the reason.
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

// consoleLines is how much of a console's end a mail has.
const consoleLines = 20

// boot says why a kernel does not boot.
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
	said := strings.Split(strings.TrimSpace(b.Console), "\n")
	m.line("The end of its console:")
	for _, l := range said[max(0, len(said)-consoleLines):] {
		m.line(strings.TrimRight("  "+matrix.Printable(l), " "))
	}
}

// counts sum up.
func (m *mailText) counts() {
	if m.v.Boot != nil {
		return
	}
	v := m.v
	parts := []string{fmt.Sprintf("%s on both kernels", matrix.Count(v.Compared, "scenario"))}
	for _, c := range []struct {
		n    int
		word string
	}{{len(v.Flipped), "flipped"}, {len(v.Missing), "missing"}, {v.Already, "there already"}, {len(v.Moved), "moved besides"}, {v.Same, "the same"}, {len(v.Unjudged), "not judged"}} {
		if c.n > 0 || slices.Contains([]string{"flipped", "the same"}, c.word) {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	m.line("")
	m.fill("", "", "Counts: "+strings.Join(parts, ", ")+".")
}
