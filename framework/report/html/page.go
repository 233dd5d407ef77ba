package html

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"unicode"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/shell"
)

//go:embed page
var files embed.FS

// The page's style and script are one element each, because the policy lists each by its
// digest; their sources are several files, in the order of their names.
var (
	pageStyle  = joined("page/*.css")
	pageScript = "\"use strict\";\n(async () => {\n" + joined("page/*.js") + "})();\n"
)

// Write writes the run as one self-contained page. folder, which may be nil, has the
// consoles, whose ends the page shows.
func Write(w io.Writer, run results.Run, folder *results.Folder) error {
	t, err := template.New("report.html.tmpl").ParseFS(files, "page/*.tmpl")
	if err != nil {
		return fmt.Errorf("read the report's template: %w", err)
	}
	p, err := newPage(run, folder)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("draw the report: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, b.Bytes())); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// visible replaces with a dot the characters that html/template does not escape but that
// are invalid in a page or can disguise text: control characters, and others without a
// glyph, such as those that change the direction of writing.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r):
		return '·'
	}
	return r
}

func newPage(run results.Run, folder *results.Folder) (page, error) {
	rows, short := matrix.Of(run), matrix.Short(run.Kernels)
	p := page{
		Policy: policy(), Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		Title:    "Faultline " + run.ID,
		Headline: matrix.NewHeadline(run),
		Counts:   tallies(run),
		Command:  shell.Quote(run.Command),
		Facts:    runFacts(run),
		Changes:  changes(run),
		Columns:  columns(run, rows, short),
	}
	p.Width = len(p.Columns) + 2
	p.Flips = newFlips(run, short)
	p.Picture = p.Flips.picture()
	for _, f := range run.Findings {
		p.Findings = append(p.Findings, finding{matrix.FindingWords(f.Kind), f.Scenario, f.Message})
	}
	for _, k := range run.Kernels {
		p.Kernels = append(p.Kernels, newKernel(k, folder, tailBytes/int64(max(1, len(run.Kernels)))))
	}
	s := newStore()
	s.addKernels(run, short)
	for _, g := range matrix.Groups(rows) {
		to := group{Name: g.Name}
		for _, r := range g.Rows {
			diffs := differences(run, r, short)
			s.addRow(run, r, diffs)
			to.Rows = append(to.Rows, newRow(run, r, p.Columns))
			if len(diffs) > 0 {
				p.Unlike = append(p.Unlike, unlike{r.Scenario.ID, r.Scenario.Doc, diffs})
			}
		}
		p.Groups = append(p.Groups, to)
	}
	var err error
	p.Data, err = s.encode()
	return p, err
}

// policy is the second line of defence after escaping: nothing is loaded, only the script
// with that digest runs, and it cannot turn text into markup.
func policy() string {
	return fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'", digest(pageStyle), digest(pageScript))
}

// digest returns the name of an inline style or script in a content security policy.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// joined returns the page's files that match a pattern, concatenated.
func joined(glob string) string {
	names, err := fs.Glob(files, glob)
	if err != nil {
		panic(err) // a pattern of ours
	}
	var all strings.Builder
	for _, n := range names {
		b, err := files.ReadFile(n)
		if err != nil {
			panic(err) // it is embedded
		}
		all.Write(b)
	}
	return all.String()
}
