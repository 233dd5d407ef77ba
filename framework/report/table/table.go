package table

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

// Options configures how a table is drawn.
type Options struct {
	// Width is the terminal's, in columns; 0 does not limit the lines.
	Width int
	// Color adds ANSI colours. The signs do not depend on it.
	Color bool
	// OnlyDifferences leaves out scenarios that need no look.
	OnlyDifferences bool
	// Results is the path of the run's files; if empty, the line is left out.
	Results string
}

// Signs in the table.
const (
	differsSign    = "≠ "
	unexpectedSign = "! "
	takenOverSign  = " °"
	unexplained    = "UNEXPLAINED"
	lost           = "LOST"
	gap            = "  "
)

// Limits of the table's columns, in characters.
const (
	minKernelColumn   = 22 // "infrastructure failure"
	minScenarioColumn = 16
	minWidth          = 48 // narrower terminals get lines of this width
)

// Write writes the run as text: one line for each scenario, one column for each kernel,
// and the change that explains a difference; then a legend, the headline, the counts,
// the findings, and the path of the results. Kernels that do not fit next to each other
// are drawn below each other, with the scenarios repeated.
func Write(w io.Writer, run results.Run, opt Options) error {
	if opt.Width > 0 && opt.Width < minWidth {
		opt.Width = minWidth
	}
	t := table{opt: opt, run: run, taken: matrix.TakenOvers(run)}
	t.matrix()
	t.summary()
	_, err := io.WriteString(w, t.out.String())
	return err
}

type table struct {
	opt Options
	run results.Run
	out strings.Builder
	// taken are the kernels with cells from earlier runs. If all are, the column's head
	// has the sign, else each cell.
	taken []matrix.TakenOver
	// differs, unexpected and reused report that the table has these signs.
	differs, unexpected, reused bool
}

// field is a text and its style.
type field struct{ text, style string }

// ANSI styles.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	yellow = "33"
	cyan   = "36"
)

type line struct {
	scenario field
	cells    []field
	why      field
}

func (t *table) matrix() {
	var lines []line
	hidden := 0
	for _, r := range matrix.Of(t.run) {
		if t.opt.OnlyDifferences && !r.Notable() {
			hidden++
			continue
		}
		lines = append(lines, t.newLine(r))
	}
	header := line{scenario: field{"scenario", bold}}
	for _, k := range t.run.Kernels {
		name := matrix.Printable(k.Name)
		if t.wholly(k.Name) {
			name += takenOverSign
			t.reused = true
		}
		header.cells = append(header.cells, field{name, bold})
	}
	for i, b := range t.layout(header, lines) {
		if i > 0 {
			t.out.WriteByte('\n')
		}
		for _, l := range append([]line{header}, lines...) {
			t.line(l, b)
		}
	}
	if hidden > 0 {
		fmt.Fprintf(&t.out, "(%s without a difference not shown)\n", english.Plural(hidden, "scenario", ""))
	}
	t.legend()
}

// legend explains the signs that the table has.
func (t *table) legend() {
	var signs []string
	for _, s := range []struct {
		shown bool
		sign  string
		means string
	}{
		{t.differs, differsSign, "differs between kernels (with the change that explains it)"},
		{t.unexpected, unexpectedSign, "unexpected"},
		{t.reused, takenOverSign, "observed by an earlier run"},
	} {
		if s.shown {
			signs = append(signs, strings.TrimSpace(s.sign)+" "+s.means)
		}
	}
	if len(signs) > 0 {
		t.paragraph("", strings.Join(signs, "; "), dim)
	}
}

// wholly reports whether all of a kernel's cells were observed by earlier runs.
func (t *table) wholly(kernel string) bool {
	return slices.ContainsFunc(t.taken, func(o matrix.TakenOver) bool { return o.Kernel == kernel && o.Whole() })
}

func (t *table) newLine(r matrix.Row) line {
	l := line{scenario: field{text: matrix.Printable(r.Scenario.ID)}}
	changes, un := r.Why()
	style := ""
	if len(r.Differences) > 0 {
		style, l.why.style = cyan, cyan
		if r.Lost() {
			changes = append(changes, lost)
			style, l.why.style = red, red
		}
		if un {
			changes = append(changes, unexplained)
			style, l.why.style = red, red
		}
		t.differs = true
		l.why.text = differsSign + matrix.Printable(strings.Join(changes, ", "))
		l.scenario.style = bold
	}
	texts := r.Texts()
	for i, c := range r.Cells {
		f := field{text: "-", style: dim}
		if c != nil {
			f = field{matrix.Printable(texts[i]), style}
			switch c.Verdict {
			case observe.Unexpected:
				t.unexpected = true
				f = field{unexpectedSign + f.text, red}
			case observe.Infra:
				f.style = yellow
			case observe.Skipped:
				f.style = dim
			}
			if c.ObservedBy != "" && !t.wholly(c.Kernel) {
				f.text += takenOverSign
				t.reused = true
			}
		}
		l.cells = append(l.cells, f)
	}
	return l
}

func (t *table) styled(text, style string) string {
	if !t.opt.Color || style == "" || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
