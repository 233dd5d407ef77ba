package markdown

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/sanitize"
)

// most is how long a page may get, in bytes: GitHub drops a summary of more than
// 1 MiB, GitLab a comment of more than a million characters.
const most = 1_000_000

// spare is for what ends a page that is full.
const spare = 200

// page is Markdown that does not grow without end.
type page struct {
	strings.Builder
	left int // lines that did not fit
}

// line adds a line. Once one did not fit, no other does.
func (p *page) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	if p.left > 0 || p.Len()+len(text) > most-spare {
		p.left++
		return
	}
	p.WriteString(text)
}

// fold adds lines that are shown on demand, and below them how many did not fit.
func (p *page) fold(title string, lines func()) {
	if p.left == 0 {
		p.line("<details><summary>%s</summary>\n", title)
		before := p.left
		lines()
		if p.left == before {
			p.line("</details>\n")
			return
		}
		fmt.Fprint(p, "\n</details>\n\n")
	} else {
		lines()
	}
}

// String is the page.
func (p *page) String() string {
	if p.left == 0 {
		return p.Builder.String()
	}
	return p.Builder.String() + fmt.Sprintf("\n%d lines more did not fit: see `report.html`.\n", p.left)
}

// mostCode bounds what stands in one place, in characters.
const mostCode = 500

var ends = strings.NewReplacer("`", "'", "|", "¦")

// code is text that nothing in it can make anything else of: a code span, whose
// only ends are a backtick and, in a table, a bar. No name in it is mentioned to
// anybody, and no markup is read.
func code(s string) string {
	s = ends.Replace(strings.TrimSpace(sanitize.Line(s)))
	if r := []rune(s); len(r) > mostCode {
		s = string(r[:mostCode-1]) + "…"
	}
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// simple is text in which Markdown finds nothing but underscores, and block the start
// of a line that Markdown takes for a list or a rule.
var (
	simple = regexp.MustCompile(`^[A-Za-z0-9 .,;:()/+_=-]*$`)
	block  = regexp.MustCompile(`^([-+=]|[0-9]+[.)]( |$))`)
)

// prose is a sentence: plain words stay as they are; text with markup, a link or a
// command for a pipeline's log becomes a code span.
func prose(s string) string {
	s = strings.TrimSpace(s)
	if !simple.MatchString(s) || block.MatchString(s) || s != sanitize.Line(s) ||
		strings.Contains(s, "//") || strings.Contains(s, "www.") || len(s) > mostCode {
		return code(s)
	}
	return strings.ReplaceAll(s, "_", `\_`)
}
