package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/catalogue"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report/matrix"
)

// Change words a known change: which commit it is, what user space sees of it, the
// kernel functions on the way, which of the scenarios tell, and what the kernels of
// a run showed. run is nil where there is none.
func Change(w io.Writer, c change.Change, all []scenario.Info, run *results.Run) {
	p := &page{w: w}
	p.head("%s: %s", c.ID, c.Subject)
	if c.Commit != "" {
		p.line("commit %s", c.Commit)
	}
	if c.Since != "" {
		mended := ""
		if c.Until != "" {
			mended = ", a bug that " + c.Until + " mended"
		}
		p.line("first in %s%s", c.Since, mended)
	}
	if len(c.Stable) > 0 {
		p.line("backported to the stable series from %s on", matrix.List(c.Stable))
	}
	p.section("What user space sees of it")
	p.line("%s", c.Effect)
	for _, s := range c.NeedsConfig {
		p.line("nobody sees it without CONFIG_%s", s)
	}
	for _, m := range c.Witnesses {
		p.line("%s: %s → %s", m.Witness, orNothing(m.Before), orNothing(m.After))
	}
	if len(c.CallPath) > 0 {
		p.section("Kernel functions on the way")
		p.line("%s", strings.Join(c.CallPath, " → "))
	}
	if found := catalogue.Mentioning(c.Commit); len(found) > 0 {
		p.section("What the catalogue says of it (docs/reference/catalogue.md)")
		p.rows(found)
	}
	p.section("Scenarios that tell")
	var ids []string
	for _, i := range all {
		if c.Tells(i.ID) && i.NotDoable == "" {
			ids = append(ids, i.ID)
			p.line("%s: %s", i.ID, i.Doc)
		}
	}
	if len(ids) == 0 {
		p.line("%s", strings.Join(c.Scenarios, " "))
	}
	if run == nil {
		return
	}
	p.seenIn(*run)
	for _, k := range run.Kernels {
		state := "does not tell of " + c.ID
		for _, s := range k.Changes {
			if s.ID == c.ID {
				state = s.String()
			}
		}
		p.line("%s %s", k.Name, state)
	}
	n := 0
	for _, d := range run.Differences {
		if d.ExplainedBy == c.ID {
			n++
		}
	}
	if n > 0 {
		p.line("explains %s between them", matrix.Count(n, "difference"))
	}
}

// orNothing is what a witness says, or that it does not.
func orNothing(text string) string {
	if text == "" {
		return "no such line"
	}
	return text
}

// Scenario words a scenario: what it shows, what it needs, what was predicted and
// why, the changes that it follows, and what the kernels of a run showed. run is
// nil where there is none; known are the changes.
func Scenario(w io.Writer, i scenario.Info, known change.List, run *results.Run) {
	p := &page{w: w}
	p.head("%s: %s", i.ID, i.Doc)
	if i.NotDoable != "" {
		p.line("not doable: %s", i.NotDoable)
	}
	if len(i.Needs) > 0 {
		p.line("needs CONFIG_%s", strings.Join(i.Needs, ", CONFIG_"))
	}
	if i.TCG != "" {
		p.line("under TCG only: %s", i.TCG)
	}
	for _, id := range i.Changes {
		c, err := known.ByID(id)
		if err != nil {
			continue
		}
		p.section("Follows " + named(c))
		p.line("%s", c.Subject)
		p.line("%s", c.Effect)
		if len(c.CallPath) > 0 {
			p.line("on the way: %s", strings.Join(c.CallPath, " → "))
		}
	}
	var found []catalogue.Row
	for _, n := range i.Catalogue {
		if r, ok := catalogue.Find(n); ok {
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		p.section("What was predicted, and why (docs/reference/catalogue.md; ADR is BUS_ADRERR, AR/n BUS_MCEERR_AR with si_addr_lsb n)")
		p.rows(found)
	}
	if run == nil {
		return
	}
	rows := matrix.Of(*run)
	at := slices.IndexFunc(rows, func(r matrix.Row) bool { return r.Scenario.ID == i.ID })
	p.seenIn(*run)
	if at < 0 {
		p.line("nothing: the run has no cell of it")
		return
	}
	texts := rows[at].Texts()
	for n, k := range run.Kernels {
		if c := rows[at].Cells[n]; c != nil {
			p.line("%s: %s (%s)", k.Name, texts[n], matrix.VerdictWords(c.Verdict))
		} else {
			p.line("%s: not observed", k.Name)
		}
	}
	ids, unexplained := rows[at].Why()
	for _, id := range ids {
		p.line("they differ by %s", id)
	}
	if unexplained {
		p.line("they differ in what nothing explains")
	}
}

func (p *page) seenIn(run results.Run) {
	p.section(fmt.Sprintf("What was seen in run %s", run.ID))
}

// rows are the catalogue's, a column a line.
func (p *page) rows(found []catalogue.Row) {
	for _, r := range found {
		p.line("%s", r.Table)
		for _, c := range r.Cells {
			// What is done about it is no fact of the kernel's.
			if !slices.Contains([]string{"run by", "Do", "Pri"}, c.Column) {
				p.line("  %s: %s", c.Column, c.Text)
			}
		}
	}
}

// named is a change with where it came: "dax_fault_hwpoison (1ea7ca1b0901, v6.5)".
func named(c change.Change) string {
	switch {
	case c.Commit != "" && c.Since != "":
		return fmt.Sprintf("%s (%s, %s)", c.ID, c.Commit, c.Since)
	case c.Commit+c.Since != "":
		return fmt.Sprintf("%s (%s)", c.ID, c.Commit+c.Since)
	}
	return c.ID
}
