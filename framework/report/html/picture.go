package html

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/internal/sanitize"
)

// Sizes of the picture, in CSS pixels.
const (
	gutter  = 232 // for the changes' names
	spacing = 116 // between kernels
	rise    = 34  // between changes
	topline = 44  // of the first change
)

// picture draws flips: one line for each change, one point for each kernel, filled if the
// kernel has the change, and between two points the number of scenarios that flip. The
// list and the table next to it have the same information as text.
func (f flips) picture() template.HTML {
	if len(f.Kernels) < 2 || len(f.Rows) == 0 {
		return ""
	}
	var b strings.Builder
	width, height := gutter+spacing*(len(f.Kernels)-1)+64, topline+rise*(len(f.Rows)-1)+24
	fmt.Fprintf(
		&b,
		`<svg role="img" aria-labelledby="flips-title flips-desc" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`,
		width,
		height,
	)
	b.WriteString(
		`<title id="flips-title">Flips by change, from the oldest kernel to the newest</title><desc id="flips-desc">`,
	)
	for _, m := range f.Moves {
		b.WriteString(escaped(m.Text) + ". ")
	}
	b.WriteString(`</desc><g class="axis">`)
	for i, k := range f.Kernels {
		fmt.Fprintf(
			&b,
			`<text x="%d" y="14" text-anchor="middle">%s</text><line class="rule" x1="%[1]d" x2="%[1]d" y1="22" y2="%[3]d"/>`,
			across(i),
			escaped(cut(k, 15)),
			height,
		)
	}
	b.WriteString(`</g>`)
	for i, r := range f.Rows {
		r.draw(&b, topline+rise*i)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func across(kernel int) int { return gutter + spacing*kernel }

func (r flipRow) draw(b *strings.Builder, y int) {
	fmt.Fprintf(b, `<text x="0" y="%d">%s</text>`, y+4, escaped(cut(r.Name, 30)))
	for i := 1; i < len(r.states); i++ {
		class := "none"
		if r.states[i-1] == conclusion.Has && r.states[i] == conclusion.Has {
			class = "run"
		}
		if r.ID != "" {
			fmt.Fprintf(b, `<line class="%s" x1="%d" x2="%d" y1="%d" y2="%[4]d"/>`, class, across(i-1), across(i), y)
		}
	}
	for i, s := range r.states {
		x := across(i)
		switch s {
		case conclusion.Has:
			fmt.Fprintf(b, `<circle class="has" cx="%d" cy="%d" r="6"/>`, x, y)
		case conclusion.Lacks:
			fmt.Fprintf(b, `<circle class="lacks" cx="%d" cy="%d" r="5"/>`, x, y)
		case conclusion.Incomplete:
			fmt.Fprintf(
				b,
				`<circle class="half" cx="%d" cy="%d" r="6"/><path class="halved" d="M%[1]d %[3]d a6 6 0 0 0 0 12z"/>`,
				x,
				y,
				y-6,
			)
		case conclusion.SomethingElse:
			fmt.Fprintf(b, `<path class="else" d="M%d %dl10 10m0 -10l-10 10"/>`, x-5, y-5)
		default:
			fmt.Fprintf(b, `<circle class="unseen" cx="%d" cy="%d" r="1.5"/>`, x, y)
		}
	}
	for _, m := range r.moves {
		// In front of the kernel on which it flips, even if the kernel that it was compared
		// with is not the neighbour.
		x, bad := across(m.to)-spacing/2, ""
		if m.Finding {
			bad = " bad"
		}
		fmt.Fprintf(
			b,
			`<rect class="flip%s" x="%d" y="%d" width="44" height="20" rx="10"/><text class="count%[1]s" x="%[4]d" y="%[5]d">%[6]d</text>`,
			bad,
			x-22,
			y-10,
			x,
			y+4,
			m.count,
		)
	}
}

func escaped(text string) string { return html.EscapeString(sanitize.Line(text)) }

// cut shortens a text to at most n runes.
func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
