// Package markdown writes a run as a page of Markdown for GitHub's job summary and
// for GitLab: the verdict first, then what a person must look at, the differences,
// and all the rest folded away. It draws what is recorded and concludes nothing.
package markdown

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/shell"
)

// Write writes the run. Where it is longer than GitHub takes, the least important
// is left out, and the page says so.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var p page
	p.head(run)
	p.kernels(run)
	p.findings(run)
	p.reasons("Rig failed", matrix.Reasons(run, observe.Infra))
	p.reasons("Not compared", matrix.Uncompared(run))
	p.reasons("Not doable", matrix.Reasons(run, observe.Skipped))
	rows := matrix.Of(run)
	var notable []matrix.Row
	for _, r := range rows {
		if r.Notable() {
			notable = append(notable, r)
		}
	}
	if len(notable) > 0 {
		p.line("### Differences, and what was not as expected\n")
		p.table(run, notable)
	}
	if len(notable) < len(rows) {
		p.fold("All "+matrix.Count(len(rows), "scenario"), func() { p.table(run, rows) })
	}
	p.facts(run)
	_, err := io.WriteString(w, p.String())
	return err
}

// verdicts are what a run came to, by its exit code.
var verdicts = map[int]string{
	0: "as expected", 1: "not as expected", 3: "could not be judged", 130: "interrupted",
}

func (p *page) head(run results.Run) {
	p.line("## Faultline: %s (exit code %d)\n", verdicts[run.Summary.ExitCode], run.Summary.ExitCode)
	h := matrix.NewHeadline(run)
	p.line("%s\n", prose(h.Sentence))
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
	p.line("| kernel | as expected | unexpected | rig failed | not doable | changes |")
	p.line("|---|--:|--:|--:|--:|---|")
	for _, k := range run.Kernels {
		n := counts[k.Name]
		p.line("| %s | %s | %s | %s | %s | %s |", code(k.Name),
			number(n[observe.Expected]), number(n[observe.Unexpected]), number(n[observe.Infra]), number(n[observe.Skipped]), prose(matrix.ChangeWords(k)))
	}
	p.line("")
}

// number leaves a cell empty that has nothing to count.
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
	p.line("### %s\n", matrix.Count(len(run.Findings), "finding"))
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
		p.line("- %s on %s: %s", matrix.Count(len(r.Scenarios), "cell"), code(r.Kernel), prose(r.Message))
	}
	p.line("")
}

// table is scenarios × kernels. Unexpected and failed cells, and rows that differ,
// have the signs of the table for a terminal.
func (p *page) table(run results.Run, rows []matrix.Row) {
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
				line += " **!** " + code(texts[i]) + " |"
			case judge.Comparable(*c):
				line += " " + code(texts[i]) + " |"
			default:
				line += " *" + matrix.VerdictWords(c.Verdict) + "* |"
			}
		}
		p.line("%s", line+why(r))
	}
	p.line("")
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
		p.line("- on %s, %s, %s, QEMU %s", code(run.Host.OS), code(run.Host.CPU), matrix.Count(run.Host.Cores, "core"), code(run.Host.QEMU))
		if len(run.Command) > 0 {
			p.line("- again: %s", code(shell.Quote(run.Command)))
		}
		p.line("")
	})
}
