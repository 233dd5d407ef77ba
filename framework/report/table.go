package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

// Options of a Table.
type Options struct {
	// Width is the terminal's, in columns; 0 means that lines may be any length.
	Width int
	// Color marks with ANSI colours, besides the signs that are always there.
	Color bool
	// OnlyDifferences leaves out scenarios that have nothing to look at.
	OnlyDifferences bool
	// Results says where the run's files are; empty leaves the line out.
	Results string
}

// Signs in the table.
const (
	differsSign    = "≠ "
	unexpectedSign = "! "
	unexplained    = "UNEXPLAINED"
	lost           = "LOST"
	gap            = "  "
)

// Limits of the table's columns, in characters.
const (
	minKernelColumn   = 22 // "SIGBUS BUS_MCEERR_AR" and a little
	minScenarioColumn = 16
	minWidth          = 48 // narrower terminals get lines of this width
)

// Table writes the run as text: a line a scenario, a column a kernel, and what
// explains a difference; then the counts, the findings, and where the results
// are. Kernels that don't fit beside each other are put below each other, with
// the scenario repeated.
func Table(w io.Writer, run results.Run, opt Options) error {
	if opt.Width > 0 && opt.Width < minWidth {
		opt.Width = minWidth
	}
	t := table{opt: opt, run: run}
	t.matrix()
	t.summary()
	_, err := io.WriteString(w, t.out.String())
	return err
}

type table struct {
	opt Options
	run results.Run
	out strings.Builder
}

// field is a text with the style it is shown in.
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
	for _, r := range matrix(t.run) {
		if t.opt.OnlyDifferences && !r.notable() {
			hidden++
			continue
		}
		lines = append(lines, newLine(r))
	}
	header := line{scenario: field{"scenario", bold}}
	for _, k := range t.run.Kernels {
		header.cells = append(header.cells, field{printable(k.Name), bold})
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
		fmt.Fprintf(&t.out, "(%s without a difference not shown)\n", count(hidden, "scenario"))
	}
}

func newLine(r row) line {
	l := line{scenario: field{text: printable(r.scenario.ID)}}
	changes, un := r.why()
	style := ""
	if len(r.diffs) > 0 {
		style, l.why.style = cyan, cyan
		if r.lost() {
			changes = append(changes, lost)
			style, l.why.style = red, red
		}
		if un {
			changes = append(changes, unexplained)
			style, l.why.style = red, red
		}
		l.why.text = differsSign + printable(strings.Join(changes, ", "))
		l.scenario.style = bold
	}
	texts := r.texts()
	for i, c := range r.cells {
		f := field{text: "-", style: dim}
		if c != nil {
			f = field{printable(texts[i]), style}
			switch c.Verdict {
			case observe.Unexpected:
				f = field{unexpectedSign + f.text, red}
			case observe.Rig:
				f.style = yellow
			case observe.NotDoable:
				f.style = dim
			}
		}
		l.cells = append(l.cells, f)
	}
	return l
}

// block is a part of the table that fits the width: kernels from to to.
type block struct {
	from, to      int
	scenario, why int
	kernels       []int // widths
}

func (t *table) layout(header line, lines []line) []block {
	scenario, why := utf8.RuneCountInString(header.scenario.text), 0
	natural := make([]int, len(header.cells))
	for i, f := range header.cells {
		natural[i] = utf8.RuneCountInString(f.text)
	}
	for _, l := range lines {
		scenario = max(scenario, utf8.RuneCountInString(l.scenario.text))
		why = max(why, utf8.RuneCountInString(l.why.text))
		for i, f := range l.cells {
			natural[i] = max(natural[i], utf8.RuneCountInString(f.text))
		}
	}
	if t.opt.Width == 0 {
		return []block{{0, len(natural), scenario, why, natural}}
	}
	// The kernels' columns get what is left; the others give way when that is
	// less than one kernel needs.
	need := len(gap) + minKernelColumn
	if scenario+len(gap)+why+need > t.opt.Width {
		why = min(why, max(minScenarioColumn, t.opt.Width/4))
		scenario = min(scenario, max(minScenarioColumn, t.opt.Width-need-len(gap)-why))
	}
	left := max(t.opt.Width-scenario-len(gap)-why, len(gap)+8)
	var out []block
	for from := 0; from < len(natural); {
		to, used := from, 0
		for to < len(natural) {
			w := len(gap) + min(natural[to], minKernelColumn)
			if to > from && used+w > left {
				break
			}
			used += w
			to++
		}
		out = append(out, block{from, to, scenario, why, shrink(natural[from:to], left)})
		from = to
	}
	if out == nil {
		out = []block{{scenario: scenario, why: why}}
	}
	return out
}

// shrink takes from the widest columns until all fit into left, gaps included.
func shrink(natural []int, left int) []int {
	out := slices.Clone(natural)
	total := 0
	for _, w := range out {
		total += w + len(gap)
	}
	for ; total > left; total-- {
		widest := 0
		for i, w := range out {
			if w >= out[widest] {
				widest = i
			}
		}
		if out[widest] <= 1 {
			break
		}
		out[widest]--
	}
	return out
}

func (t *table) line(l line, b block) {
	type column struct {
		field
		lines []string
		width int
	}
	cols := []column{{l.scenario, wrap(l.scenario.text, b.scenario), b.scenario}}
	for i, f := range l.cells[b.from:b.to] {
		cols = append(cols, column{f, wrap(f.text, b.kernels[i]), b.kernels[i]})
	}
	if b.why > 0 {
		cols = append(cols, column{l.why, wrap(l.why.text, b.why), b.why})
	}
	height := 1
	for _, c := range cols {
		height = max(height, len(c.lines))
	}
	for i := range height {
		last := 0
		for j, c := range cols {
			if i < len(c.lines) && c.lines[i] != "" {
				last = j
			}
		}
		for j, c := range cols[:last+1] {
			text := ""
			if i < len(c.lines) {
				text = c.lines[i]
			}
			if j > 0 {
				t.out.WriteString(gap)
			}
			t.out.WriteString(t.styled(text, c.style))
			if j < last {
				t.out.WriteString(strings.Repeat(" ", max(0, c.width-utf8.RuneCountInString(text))))
			}
		}
		t.out.WriteByte('\n')
	}
}

func (t *table) styled(text, style string) string {
	if !t.opt.Color || style == "" || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (t *table) summary() {
	s := t.run.Summary
	t.out.WriteByte('\n')
	t.paragraph("", NewHeadline(t.run).Sentence, bold)
	counts := []string{fmt.Sprintf("%d expected", s.Expected)}
	for _, c := range []struct {
		n    int
		word string
	}{{s.Unexpected, "unexpected"}, {s.NotDoable, "not doable"}, {s.Rig, "not judged"}} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	text := fmt.Sprintf("%s: %s.", count(s.Expected+s.Unexpected+s.NotDoable+s.Rig, "cell"), strings.Join(counts, ", "))
	if n := s.Explained + s.Unexplained; n > 0 {
		text += fmt.Sprintf(" %s: %d explained, %d unexplained.", count(n, "differing field"), s.Explained, s.Unexplained)
	}
	if s.Lost > 0 {
		text += fmt.Sprintf(" %s of a lost change.", count(s.Lost, "differing field"))
	}
	t.paragraph("", text, "")
	t.accelerators()
	t.changes()
	if n := len(t.run.Findings); n > 0 {
		t.out.WriteString(t.styled(count(n, "finding")+":", bold) + "\n")
		shown := map[judge.FindingKind]int{}
		for _, f := range t.run.Findings {
			if shown[f.Kind]++; shown[f.Kind] <= mostOfAKind {
				t.paragraph("  - ", findingWords(f.Kind)+": "+f.Message, red)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(shown)) {
			if more := shown[k] - mostOfAKind; more > 0 {
				t.paragraph("  - ", fmt.Sprintf("%s: %d more, see the report", findingWords(k), more), red)
			}
		}
	}
	t.reasons("Not doable:", observe.NotDoable, dim)
	t.reasons("Not judged:", observe.Rig, yellow)
	if t.opt.Results != "" {
		t.out.WriteString("Results: " + printable(t.opt.Results) + "\n")
	}
}

// mostOfAKind is how many findings of a kind the table shows.
const mostOfAKind = 20

// accelerators says which cells ran with what, where that is not the same for all.
func (t *table) accelerators() {
	cells := map[string]int{}
	for _, c := range t.run.Cells {
		if c.Verdict != observe.NotDoable {
			cells[c.Accel]++
		}
	}
	if len(cells) < 2 {
		return
	}
	var parts []string
	for _, a := range slices.Sorted(maps.Keys(cells)) {
		parts = append(parts, fmt.Sprintf("%s with %s", count(cells[a], "cell"), a))
	}
	t.paragraph("", strings.Join(parts, ", ")+": a scenario that needs exact machine checks runs under TCG.", "")
}

// changes says which changes each kernel has, as far as its cells tell.
func (t *table) changes() {
	for _, k := range t.run.Kernels {
		words := map[judge.ChangeVerdict][]string{}
		var rest []string
		for _, s := range k.Changes {
			switch id := s.ID; {
			case s.Verdict == judge.Has && s.Backported:
				words[s.Verdict] = append(words[s.Verdict], id+" (backported)")
			case s.Verdict == judge.Has || s.Verdict == judge.Lacks:
				words[s.Verdict] = append(words[s.Verdict], id)
			default:
				rest = append(rest, s.String())
			}
		}
		var parts []string
		for _, v := range []judge.ChangeVerdict{judge.Has, judge.Lacks} {
			if len(words[v]) > 0 {
				parts = append(parts, string(v)+" "+list(words[v]))
			}
		}
		if parts = append(parts, rest...); len(parts) > 0 {
			t.paragraph("", k.Name+" "+strings.Join(parts, "; ")+".", "")
		}
		if len(k.Splats) > 0 {
			t.paragraph("", fmt.Sprintf("%s complained while it booted: %s.", k.Name, strings.Join(k.Splats, "; ")), yellow)
		}
	}
}

// reasons says why cells have a verdict, each reason once a kernel.
func (t *table) reasons(title string, verdict observe.Verdict, style string) {
	type key struct{ kernel, message string }
	var order []key
	cells := map[key]int{}
	for _, c := range t.run.Cells {
		if c.Verdict != verdict {
			continue
		}
		k := key{c.Kernel, c.Message}
		if cells[k] == 0 {
			order = append(order, k)
		}
		cells[k]++
	}
	if len(order) == 0 {
		return
	}
	t.out.WriteString(t.styled(title, bold) + "\n")
	for _, k := range order {
		t.paragraph("  - ", fmt.Sprintf("%s on %s: %s", count(cells[k], "cell"), k.kernel, k.message), style)
	}
}

// paragraph writes text below a mark, wrapped to the width.
func (t *table) paragraph(mark, text, style string) {
	text = printable(text)
	lines := []string{text}
	if t.opt.Width > 0 {
		lines = wrap(text, t.opt.Width-len(mark))
	}
	for i, l := range lines {
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		t.out.WriteString(mark + t.styled(l, style) + "\n")
	}
}

// wrap breaks text into lines of at most width characters: at spaces, behind a
// slash, and anywhere where there is neither.
func wrap(text string, width int) []string {
	if width < 1 {
		width = 1
	}
	var lines []string
	rest := []rune(text)
	for len(rest) > width {
		cut, skip := width, 0
		for i := width; i > 0; i-- {
			if rest[i] == ' ' {
				cut, skip = i, 1
				break
			}
			if rest[i-1] == '/' {
				cut = i
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(rest[:cut]), " "))
		rest = rest[cut+skip:]
	}
	return append(lines, string(rest))
}

// printable keeps what a guest said from steering the terminal, or breaking
// the table: control characters are shown as a dot, white space as a space.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '·'
		}
		return r
	}, s)
}
