package explain

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/catalogue"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report/matrix"
)

// Change prints a known change: its commit, its effect on user space, the kernel
// functions involved, the scenarios that cover it, and the observations on the
// kernels of a run. run may be nil.
func Change(w io.Writer, c change.Change, all []scenario.Info, run *results.Run) {
	p := &page{w: w}
	p.head("%s: %s", c.ID, c.Subject)
	if c.Commit != "" {
		p.line("commit %s", c.Commit)
	}
	if c.Since != "" {
		fixed := ""
		if c.Until != "" {
			fixed = ", a bug that is fixed in " + english.WordSeries(append([]string{c.Until}, c.Fixed...), "and")
		}
		p.line("first in %s%s", c.Since, fixed)
	}
	if len(c.Stable) > 0 {
		p.line("backported to stable series, from %s on", english.WordSeries(c.Stable, "and"))
	}
	p.section("Effect on user space")
	p.line("%s", c.Effect)
	for _, s := range c.NeedsConfig {
		p.line("visible only with CONFIG_%s", s)
	}
	var witnesses []string // the same in several scenarios
	for _, m := range c.Witnesses {
		line := fmt.Sprintf("%s: %s → %s", m.Witness, orNothing(m.Before), orNothing(m.After))
		if m.Before == "" {
			line = fmt.Sprintf("the %s then has: %s", m.Witness, m.After)
		}
		if !slices.Contains(witnesses, line) {
			witnesses = append(witnesses, line)
			p.line("%s", line)
		}
	}
	if len(c.CallPath) > 0 {
		p.section("Kernel functions involved")
		p.line("%s", strings.Join(c.CallPath, " → "))
	}
	if found := catalogue.Mentioning(c.Commit); len(found) > 0 {
		p.section("In the catalogue (docs/reference/catalogue.md)")
		p.rows(found)
	}
	p.section("Scenarios that cover it")
	var ids []string
	for _, i := range all {
		if c.Covers(i.ID) && i.Skipped == "" {
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
		state := "does not show whether it has " + c.ID
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
		p.line("explains %s between these kernels", english.Plural(n, "difference", ""))
	}
}

// orNothing returns a witness's value, or a text for none.
func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// Scenario prints a scenario: its description, its needs, the changes that it depends
// on, the prediction and its reason, and the observations on the kernels of a run. run
// may be nil; known are the known changes.
func Scenario(w io.Writer, i scenario.Info, known change.List, run *results.Run) {
	p := &page{w: w}
	p.head("%s: %s", i.ID, i.Doc)
	if i.Skipped != "" {
		p.line("skipped: %s", i.Skipped)
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
		p.section("Depends on " + named(c))
		p.line("%s", c.Subject)
		p.line("%s", c.Effect)
		if len(c.CallPath) > 0 {
			p.line("kernel functions: %s", strings.Join(c.CallPath, " → "))
		}
	}
	var found []catalogue.Row
	for _, n := range i.Catalogue {
		if r, ok := catalogue.Find(n); ok {
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		p.section(
			"Prediction, and why (docs/reference/catalogue.md; ADR is BUS_ADRERR, AR/n BUS_MCEERR_AR with si_addr_lsb n)",
		)
		p.rows(found)
	}
	if run == nil {
		return
	}
	rows := matrix.Of(*run)
	at := slices.IndexFunc(rows, func(r matrix.Row) bool { return r.Scenario.ID == i.ID })
	p.seenIn(*run)
	if at < 0 {
		p.line("nothing: the run has no cell of this scenario")
		return
	}
	texts := rows[at].Texts()
	for n, k := range run.Kernels {
		if c := rows[at].Cells[n]; c != nil {
			p.line("%s: %s (%s)", k.Name, texts[n], c.Verdict.Text())
		} else {
			p.line("%s: not observed", k.Name)
		}
	}
	ids, unexplained := rows[at].Why()
	for _, id := range ids {
		p.line("the kernels differ by %s", id)
	}
	if unexplained {
		p.line("the kernels differ, and no known change explains it")
	}
}

func (p *page) seenIn(run results.Run) {
	p.section(fmt.Sprintf("Observed in run %s", run.ID))
}

// columnNames replace the catalogue's abbreviations of columns.
var columnNames = map[string]string{
	"P-": "predicted without 1ea7ca1b0901 (P-)", "P+": "predicted with it (P+)",
}

// markdown removes the marks that the page needs.
var markdown = strings.NewReplacer("**", "", "`", "", `\|`, "|")

var injectionID = regexp.MustCompile(`\bI\d+\b`)

// rows prints rows of the catalogue, one line for each column, and what the injections are
// that they mention.
func (p *page) rows(found []catalogue.Row) {
	var injections []string
	for _, r := range found {
		p.line("%s", r.Table)
		for _, c := range r.Cells {
			// These columns plan our work; they are not facts about the kernel.
			if !slices.Contains([]string{"run by", "Do", "Pri"}, c.Column) {
				p.line("  %s: %s", cmp.Or(columnNames[c.Column], c.Column), markdown.Replace(c.Text))
			}
			injections = append(injections, injectionID.FindAllString(c.Text, -1)...)
		}
	}
	slices.Sort(injections)
	for _, id := range slices.Compact(injections) {
		if r, ok := catalogue.Find(id); ok {
			p.line("%s: %s", id, r.Cells[1].Text)
		}
	}
}

// named returns a change with its origin: "dax_fault_hwpoison (1ea7ca1b0901, v6.5)".
func named(c change.Change) string {
	switch {
	case c.Commit != "" && c.Since != "":
		return fmt.Sprintf("%s (%s, %s)", c.ID, c.Commit, c.Since)
	case c.Commit+c.Since != "":
		return fmt.Sprintf("%s (%s)", c.ID, c.Commit+c.Since)
	}
	return c.ID
}
