// Package ktap writes a run as KTAP, version 1 (Documentation/dev-tools/ktap.rst of the
// kernel): kernels contain suites, suites contain checks. It writes what is recorded
// and concludes nothing.
package ktap

import (
	"fmt"
	"io"
	"strings"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// Write writes the run. An unexpected behaviour or a finding is "not ok"; an
// infrastructure failure or an interruption is "not ok" with the directive ERROR, and an
// interruption ends with TAP's "Bail out!"; a skipped scenario is "ok" with SKIP. The
// rest are diagnostics; each result line ends with what was observed.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var p printer
	columns := matrix.Columns(run)
	if len(columns) == 0 {
		p.line(0, "KTAP version 1")
		p.line(0, "1..0 # SKIP nothing was observed")
		_, err := io.WriteString(w, p.String())
		return err
	}
	p.head(0, "", len(columns))
	p.line(0, "# run %s of faultline %s", word(run.ID), word(run.Tool.Version))
	worst := matrix.Passed
	for i, col := range columns {
		worst = max(worst, p.column(i+1, col))
	}
	// As kselftest counts.
	p.line(
		0,
		"# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:%d",
		p.count[matrix.Passed],
		p.count[matrix.Failed],
		p.count[matrix.Skipped],
		p.count[matrix.NotJudged]+p.count[matrix.Stopped],
	)
	if worst == matrix.Stopped {
		p.line(0, "Bail out! the run was interrupted")
	}
	_, err := io.WriteString(w, p.String())
	return err
}

type printer struct {
	strings.Builder
	count [matrix.Stopped + 1]int
}

// line prints a line of a subtest at a depth of nesting.
func (p *printer) line(depth int, format string, args ...any) {
	p.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// head begins a test of n parts. The plan follows immediately, where kunit's parser
// expects it.
func (p *printer) head(depth int, name string, n int) {
	p.line(depth, "KTAP version 1")
	if name != "" {
		p.line(depth, "# Subtest: %s", name) // as KUnit prints it
	}
	p.line(depth, "1..%d", n)
}

func (p *printer) column(n int, col matrix.Column) matrix.State {
	name := word(col.Kernel.Name)
	if len(col.Checks) == 0 {
		p.line(0, "ok %d %s # SKIP nothing was observed", n, name)
		return matrix.Passed
	}
	suites := col.Suites()
	p.head(1, name, len(suites))
	var states []matrix.State
	for i, s := range suites {
		states = append(states, p.suite(i+1, s))
	}
	worst := together(states)
	p.result(0, n, name, worst, "")
	return worst
}

func (p *printer) suite(n int, s matrix.Suite) matrix.State {
	name := word(s.Name)
	p.head(2, name, len(s.Checks))
	var states []matrix.State
	for i, c := range s.Checks {
		states = append(states, c.State)
		p.count[c.State]++
		p.check(i+1, c)
	}
	p.result(1, n, name, together(states), "")
	return together(states)
}

// together returns the state of a test from those of its parts: it is skipped only if
// every part is.
func together(states []matrix.State) matrix.State {
	worst, done := matrix.Passed, false
	for _, s := range states {
		worst, done = max(worst, s), done || s != matrix.Skipped
	}
	if worst == matrix.Skipped && done {
		return matrix.Passed
	}
	return worst
}

func (p *printer) check(n int, c matrix.Check) {
	why := ""
	if len(c.Reasons) > 0 {
		why = c.Reasons[0]
	}
	if c.State != matrix.Passed {
		if len(c.Reasons) > 1 {
			p.diagnostics(c.Reasons[1:])
		}
		p.diagnostics(c.Story())
		p.diagnostics(c.KernelOutput())
	} else if len(c.Cells) > 0 {
		why = "saw " + c.Cells[0].Headline()
	}
	p.result(2, n, word(c.Name), c.State, why)
}

// diagnostics prints lines before a result. They are indented, because kunit's parser
// takes "# Subtest: ", which a guest may have printed, for a test.
func (p *printer) diagnostics(lines []string) {
	for _, text := range lines {
		for l := range strings.Lines(sanitize.Log(text)) {
			p.line(2, "#   %s", inert.Replace(strings.TrimRight(l, " \t\n")))
		}
	}
}

// result prints a result line.
func (p *printer) result(depth, n int, name string, state matrix.State, why string) {
	verdict, data := "ok", ""
	switch state {
	case matrix.Passed:
	case matrix.Skipped:
		data = "SKIP"
	case matrix.Failed:
		verdict = "not ok"
	case matrix.NotJudged, matrix.Stopped:
		verdict, data = "not ok", "ERROR"
		if why == "" && state == matrix.Stopped {
			why = "interrupted"
		}
	}
	if data = strings.TrimSpace(data + " " + word(why)); data != "" {
		data = " # " + data
	}
	p.line(depth, "%s %d %s%s", verdict, n, name, data)
}

// word returns text for a result line, in which only the directive may have a #.
func word(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(inert.Replace(sanitize.Line(s)), "#", "·"))
}

// inert breaks the texts at which kunit's parser stops reading, anywhere in a line: a
// kernel prints them if it finds no root file system.
var inert = strings.NewReplacer(
	"List of all partitions:", "List of all partitions·:",
	"Kernel panic - not syncing: VFS:", "Kernel panic - not syncing·: VFS:",
	"reboot: System halted", "reboot·: System halted",
)
