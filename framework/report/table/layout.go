package table

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// block is a part of the table that fits the width: the kernels [from, to).
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
	// The kernels' columns get the remaining width; the others shrink if that is less
	// than one kernel needs.
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

// shrink narrows the widest columns until all fit into left, including gaps.
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

// wrap breaks text into lines of at most width characters: at a space, after a slash,
// or anywhere if there is neither.
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
