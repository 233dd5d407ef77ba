package markdown

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/sanitize"
)

// most is the size limit of a page, in bytes: GitHub drops a summary of more than
// 1 MiB, GitLab a comment of more than a million characters.
const most = 1_000_000

// spare is reserved for the end of a full page.
const spare = 200

// page is Markdown of limited size.
type page struct {
	strings.Builder
	left int // lines that did not fit
}

// line adds a line. After one that did not fit, all others are left out.
func (p *page) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	if p.left > 0 || p.Len()+len(text) > most-spare {
		p.left++
		return
	}
	p.WriteString(text)
}

// fold adds lines in a collapsed section.
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

// String returns the page, with the number of lines that did not fit.
func (p *page) String() string {
	if p.left == 0 {
		return p.Builder.String()
	}
	return p.Builder.String() + fmt.Sprintf("\n%d more lines did not fit: see `report.html`.\n", p.left)
}

// mostCode is the size limit of a code span or a sentence, in characters.
const mostCode = 500

var ends = strings.NewReplacer("`", "'", "|", "¦")

// code returns text as a code span, in which there are no mentions and no markup. Only a
// backtick and, in a table, a bar could end it.
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

// simple matches text whose only Markdown is underscores, and block the start of a line
// that Markdown reads as a list or a rule.
var (
	simple = regexp.MustCompile(`^[A-Za-z0-9 .,;:()/+_=-]*$`)
	block  = regexp.MustCompile(`^([-+=]|[0-9]+[.)]( |$))`)
)

// prose returns a sentence: plain words are unchanged; text with markup, a link or a
// command for a pipeline's log becomes a code span.
func prose(s string) string {
	s = strings.TrimSpace(s)
	if !simple.MatchString(s) || block.MatchString(s) || s != sanitize.Line(s) ||
		strings.Contains(s, "//") || strings.Contains(s, "www.") || len(s) > mostCode {
		return code(s)
	}
	return strings.ReplaceAll(s, "_", `\_`)
}
