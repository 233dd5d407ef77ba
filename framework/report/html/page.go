package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/internal/shell"
)

var (
	//go:embed report.html.tmpl
	pageTemplate string
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string
)

// Write writes the run as one self-contained page: no network, no other file is
// needed to read it. folder, which may be nil, is where the consoles are read
// from that the page shows the ends of.
func Write(w io.Writer, run results.Run, folder *results.Folder) error {
	t, err := template.New("report").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("read the report's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newPage(run, folder)); err != nil {
		return fmt.Errorf("draw the report: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, b.Bytes())); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// visible shows as a dot what html/template lets through but a page may not
// have, or what lets text pass for other text: control characters, and others
// without a shape, such as those that turn the direction of writing.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r):
		return '·'
	}
	return r
}

func newPage(run results.Run, folder *results.Folder) page {
	p := page{
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digest(pageStyle), digest(pageScript)),
		Style:  template.CSS(pageStyle), Script: template.JS(pageScript),
		Headline: matrix.NewHeadline(run),
		Counts:   tallies(run),
		Columns:  len(run.Kernels) + 2,
		Command:  shell.Quote(run.Command),
		Facts:    runFacts(run),
	}
	p.Title = "Faultline " + run.ID
	for _, f := range run.Findings {
		p.Findings = append(p.Findings, finding{matrix.FindingWords(f.Kind), f.Scenario, f.Message})
	}
	for i, k := range run.Kernels {
		p.Kernels = append(p.Kernels, newKernel(i, k, folder))
	}
	p.Changes = changes(run)
	n := 0
	for _, r := range matrix.Of(run) {
		name := r.Scenario.Suite
		if name == "" {
			name, _, _ = strings.Cut(r.Scenario.ID, "/")
		}
		i := slices.IndexFunc(p.Groups, func(g group) bool { return g.Name == name })
		if i < 0 {
			i, p.Groups = len(p.Groups), append(p.Groups, group{Name: name})
		}
		p.Groups[i].Rows = append(p.Groups[i].Rows, newRow(n, r, run))
		n++
	}
	return p
}

// digest is how a content security policy names an inline style or script.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// changes are those that the run has anything to do with.
func changes(run results.Run) []change.Change {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, k := range run.Kernels {
		for _, s := range k.Changes {
			add(s.ID)
		}
	}
	for _, d := range run.Differences {
		add(d.ExplainedBy)
	}
	var out []change.Change
	for _, id := range ids {
		out = append(out, lookup(run, id))
	}
	return out
}

// lookup finds a change; one recorded by another version of Faultline has a name only.
func lookup(run results.Run, id string) change.Change {
	c, err := run.Known().ByID(id)
	if err != nil {
		return change.Change{ID: id}
	}
	return c
}
