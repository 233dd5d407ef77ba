package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

func (t *table) summary() {
	s := t.run.Summary
	t.out.WriteByte('\n')
	headline := matrix.NewHeadline(t.run)
	t.paragraph("", headline.Sentence, bold)
	for _, c := range headline.Changes {
		t.paragraph("  - ", c, "")
	}
	counts := []string{fmt.Sprintf("%d expected", s.Expected)}
	for _, c := range []struct {
		n    int
		text string
	}{
		{s.Unexpected, fmt.Sprintf("%d unexpected", s.Unexpected)},
		{s.Skipped, fmt.Sprintf("%d skipped", s.Skipped)},
		{s.Infra, english.Plural(s.Infra, "infrastructure failure", "")},
		{s.Uncompared, fmt.Sprintf("%d not compared", s.Uncompared)},
	} {
		if c.n > 0 {
			counts = append(counts, c.text)
		}
	}
	text := fmt.Sprintf(
		"%s: %s.",
		english.Plural(s.Expected+s.Unexpected+s.Skipped+s.Infra, "cell", ""),
		strings.Join(counts, ", "),
	)
	if n := s.Explained + s.Unexplained; n > 0 {
		text += fmt.Sprintf(
			" %s: %d explained, %d unexplained.",
			english.Plural(n, "differing field", ""),
			s.Explained,
			s.Unexplained,
		)
	}
	if s.Lost > 0 {
		text += fmt.Sprintf(" %s from a lost change.", english.Plural(s.Lost, "differing field", ""))
	}
	t.paragraph("", text, "")
	t.accelerators()
	t.takenOver()
	t.changes()
	t.steps()
	if n := len(t.run.Findings); n > 0 {
		t.out.WriteString(t.styled(english.Plural(n, "finding", "")+":", bold) + "\n")
		shown := map[conclusion.FindingKind]int{}
		for _, f := range t.run.Findings {
			if shown[f.Kind]++; shown[f.Kind] <= mostOfAKind {
				t.paragraph("  - ", matrix.FindingWords(f.Kind)+": "+f.Message, red)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(shown)) {
			if more := shown[k] - mostOfAKind; more > 0 {
				t.paragraph("  - ", fmt.Sprintf("%s: %d more, see the report", matrix.FindingWords(k), more), red)
			}
		}
	}
	t.reasons("Skipped:", matrix.Reasons(t.run, observe.Skipped), dim)
	t.reasons("Infrastructure failures:", matrix.Reasons(t.run, observe.Infra), yellow)
	t.reasons("Not compared:", matrix.Uncompared(t.run), yellow)
	if t.opt.Results != "" {
		t.out.WriteString("Results: " + matrix.Printable(t.opt.Results) + "\n")
	}
}

// steps lists what flipped between neighbours in version order, if a run has more than
// two kernels: the differences compare each one only with the first.
func (t *table) steps() {
	if len(t.run.Kernels) <= 2 {
		return
	}
	h, err := history.Of([]history.Source{{Run: t.run}}, history.Options{})
	if err != nil {
		return // no kernel has a version
	}
	for _, s := range h.Steps() {
		t.paragraph("", matrix.Printable(s)+".", "")
	}
}

// takenOver counts the cells that earlier runs observed.
func (t *table) takenOver() {
	cells, runs := 0, []string{}
	for _, o := range t.taken {
		cells, runs = cells+o.Cells, append(runs, o.Runs...)
	}
	if cells == 0 {
		return
	}
	slices.Sort(runs)
	by := slices.Compact(runs)
	names := english.WordSeries(by, "and")
	if len(by) > mostRuns {
		names = fmt.Sprintf("%d runs, the latest %s", len(by), by[len(by)-1])
	}
	t.paragraph("", fmt.Sprintf("%s observed by an earlier run (%s); --fresh-cells observes all cells again.",
		english.Plural(cells, "cell", ""), matrix.Printable(names)), "")
}

// mostRuns is the number of earlier runs that the table names at most.
const mostRuns = 3

// mostOfAKind is the number of findings of a kind that the table shows at most.
const mostOfAKind = 20

// accelerators counts the cells by accelerator, if there are several.
func (t *table) accelerators() {
	cells := map[string]int{}
	for _, c := range t.run.Cells {
		if c.Verdict != observe.Skipped {
			cells[c.Accel]++
		}
	}
	if len(cells) < 2 {
		return
	}
	var parts []string
	for _, a := range slices.Sorted(maps.Keys(cells)) {
		parts = append(parts, fmt.Sprintf("%s with %s", english.Plural(cells[a], "cell", ""), a))
	}
	t.paragraph("", strings.Join(append([]string{strings.Join(parts, ", ") + "."}, t.whyNot()...), " "), "")
}

// whyNot returns why scenarios or kernels did not run with the others' accelerator.
func (t *table) whyNot() (sentences []string) {
	if slices.ContainsFunc(t.run.Scenarios, func(s results.Scenario) bool { return s.TCG != "" }) {
		sentences = append(sentences, "A scenario that needs exact machine checks runs under TCG.")
	}
	for _, k := range t.run.Kernels {
		if k.Accel != t.run.Kernels[0].Accel || k.AccelWhy != "" {
			s := fmt.Sprintf("%s ran with %s", k.Name, k.Accel)
			if k.AccelWhy != "" {
				s += ", because it does not boot with KVM: " + k.AccelWhy
			}
			sentences = append(sentences, s+".")
		}
	}
	return sentences
}

// changes lists the changes that each kernel has according to its cells.
func (t *table) changes() {
	for _, k := range t.run.Kernels {
		if words := matrix.ChangeWords(k); words != "" {
			t.paragraph("", k.Name+" "+words+".", "")
		}
		if len(k.Splats) > 0 {
			t.paragraph("", fmt.Sprintf("%s complained at boot: %s.", k.Name, strings.Join(k.Splats, "; ")), yellow)
		}
	}
}

// reasons lists why cells were not judged, each reason once for each kernel.
func (t *table) reasons(title string, reasons []matrix.Reason, style string) {
	if len(reasons) == 0 {
		return
	}
	t.out.WriteString(t.styled(title, bold) + "\n")
	for _, r := range reasons {
		t.paragraph(
			"  - ",
			fmt.Sprintf("%s on %s: %s", english.Plural(len(r.Scenarios), "cell", ""), r.Kernel, r.Message),
			style,
		)
	}
}

// paragraph writes text below a mark, wrapped to the width.
func (t *table) paragraph(mark, text, style string) {
	text = matrix.Printable(text)
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
