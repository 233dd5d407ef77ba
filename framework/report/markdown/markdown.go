// Package markdown writes a run as a page of Markdown for GitHub's job summary and for
// GitLab: the verdict first, then the findings and the differences, and the rest in
// collapsed sections. It writes what is recorded and concludes nothing.
package markdown

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/shell"
)

// Write writes the run. If the page is longer than GitHub accepts, the least important
// parts are left out, with a note.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var p page
	p.head(run)
	p.kernels(run)
	p.findings(run)
	p.reasons("Infrastructure failures", matrix.Reasons(run, observe.Infra))
	p.reasons("Not compared", matrix.Uncompared(run))
	p.reasons("Skipped", matrix.Reasons(run, observe.Skipped))
	rows := matrix.Of(run)
	var notable []matrix.Row
	for _, r := range rows {
		if r.Notable() {
			notable = append(notable, r)
		}
	}
	if len(notable) > 0 {
		p.line("### Differences and unexpected results\n")
		p.table(run, notable)
	}
	if len(notable) < len(rows) {
		p.fold("All "+english.Plural(len(rows), "scenario", ""), func() { p.table(run, rows) })
	}
	p.facts(run)
	_, err := io.WriteString(w, p.String())
	return err
}

// verdicts are the results of a run, by its exit code.
var verdicts = map[int]string{
	0: "as expected", 1: "not as expected", 3: "could not be judged", 130: "interrupted",
}

func (p *page) head(run results.Run) {
	p.line("## Faultline: %s (exit code %d)\n", verdicts[run.Summary.ExitCode], run.Summary.ExitCode)
	h := matrix.NewHeadline(run)
	p.line("%s\n", prose(h.Sentence))
	for _, c := range h.Changes {
		p.line("- %s", prose(c))
	}
	if len(h.Changes) > 0 {
		p.line("")
	}
	if h.Example != "" {
		p.line("%s: %s\n", code(h.Scenario), prose(h.Example))
	}
	for _, col := range matrix.Columns(run) {
		for _, c := range col.Checks {
			if c.State == matrix.Stopped {
				p.line("**Interrupted**: %s: %s\n", code(col.Kernel.Name), prose(strings.Join(c.Reasons, "; ")))
			}
		}
	}
}

func (p *page) kernels(run results.Run) {
	if len(run.Kernels) == 0 {
		return
	}
	counts := map[string]map[observe.Verdict]int{}
	for _, c := range run.Cells {
		if counts[c.Kernel] == nil {
			counts[c.Kernel] = map[observe.Verdict]int{}
		}
		counts[c.Kernel][c.Verdict]++
	}
	p.line("| kernel | as expected | unexpected | infrastructure failures | skipped | changes |")
	p.line("|---|--:|--:|--:|--:|---|")
	for _, k := range run.Kernels {
		n := counts[k.Name]
		p.line("| %s | %s | %s | %s | %s | %s |", code(k.Name), number(n[observe.Expected]), number(n[observe.Unexpected]),
			number(n[observe.Infra]), number(n[observe.Skipped]), prose(matrix.ChangeWords(k)))
	}
	p.line("")
}

// number formats a count; 0 is an empty cell.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (p *page) findings(run results.Run) {
	if len(run.Findings) == 0 {
		return
	}
	p.line("### %s\n", english.Plural(len(run.Findings), "finding", ""))
	for _, f := range run.Findings {
		p.line("- **%s**: %s", matrix.FindingWords(f.Kind), prose(f.Message))
	}
	p.line("")
}

func (p *page) reasons(title string, reasons []matrix.Reason) {
	if len(reasons) == 0 {
		return
	}
	p.line("### %s\n", title)
	for _, r := range reasons {
		p.line("- %s on %s: %s", english.Plural(len(r.Scenarios), "cell", ""), code(r.Kernel), prose(r.Message))
	}
	p.line("")
}

// table writes scenarios × kernels, with the signs of the table for a terminal and
// their legend.
func (p *page) table(run results.Run, rows []matrix.Row) {
	differs, unexpected := false, false
	head, rule := "| scenario |", "|---|"
	for _, k := range run.Kernels {
		head += " " + code(k.Name) + " |"
		rule += "---|"
	}
	p.line("%s", head+" why |")
	p.line("%s", rule+"---|")
	for _, r := range rows {
		texts := r.Texts()
		line := "| " + code(r.Scenario.ID) + " |"
		for i, c := range r.Cells {
			switch {
			case c == nil:
				line += " – |"
			case c.Verdict == observe.Unexpected:
				unexpected = true
				line += " **!** " + code(texts[i]) + " |"
			case c.Comparable():
				line += " " + code(texts[i]) + " |"
			default:
				line += " *" + c.Verdict.Text() + "* |"
			}
		}
		p.line("%s", line+why(r))
		differs = differs || len(r.Differences) > 0
	}
	p.line("")
	var signs []string
	if differs {
		signs = append(signs, "≠ differs between kernels (with the change that explains it)")
	}
	if unexpected {
		signs = append(signs, "**!** unexpected")
	}
	if len(signs) > 0 {
		p.line("%s\n", strings.Join(signs, "; "))
	}
}

func why(r matrix.Row) string {
	if len(r.Differences) == 0 {
		return " |"
	}
	changes, unexplained := r.Why()
	var parts []string
	for _, c := range changes {
		parts = append(parts, code(c))
	}
	if r.Lost() {
		parts = append(parts, "**LOST**")
	}
	if unexplained {
		parts = append(parts, "**UNEXPLAINED**")
	}
	return " ≠ " + strings.Join(parts, ", ") + " |"
}

func (p *page) facts(run results.Run) {
	p.fold("The run", func() {
		p.line("- run %s of faultline %s, with %s", code(run.ID), code(run.Tool.Version), code("--accel "+run.Accel))
		p.line(
			"- on %s, %s, %s, QEMU %s",
			code(run.Host.OS),
			code(run.Host.CPU),
			english.Plural(run.Host.Cores, "core", ""),
			code(run.Host.QEMU),
		)
		if len(run.Command) > 0 {
			p.line("- again: %s", code(shell.Quote(run.Command)))
		}
		p.line("")
	})
}
