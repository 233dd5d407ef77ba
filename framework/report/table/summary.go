package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

func (t *table) summary() {
	s := t.run.Summary
	t.out.WriteByte('\n')
	t.paragraph("", matrix.NewHeadline(t.run).Sentence, bold)
	counts := []string{fmt.Sprintf("%d expected", s.Expected)}
	for _, c := range []struct {
		n    int
		word string
	}{{s.Unexpected, "unexpected"}, {s.NotDoable, "not doable"}, {s.Rig, "not judged"},
		{s.Uncompared, "not compared"}} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	text := fmt.Sprintf("%s: %s.", matrix.Count(s.Expected+s.Unexpected+s.NotDoable+s.Rig, "cell"), strings.Join(counts, ", "))
	if n := s.Explained + s.Unexplained; n > 0 {
		text += fmt.Sprintf(" %s: %d explained, %d unexplained.", matrix.Count(n, "differing field"), s.Explained, s.Unexplained)
	}
	if s.Lost > 0 {
		text += fmt.Sprintf(" %s of a lost change.", matrix.Count(s.Lost, "differing field"))
	}
	t.paragraph("", text, "")
	t.accelerators()
	t.takenOver()
	t.changes()
	t.steps()
	if n := len(t.run.Findings); n > 0 {
		t.out.WriteString(t.styled(matrix.Count(n, "finding")+":", bold) + "\n")
		shown := map[judge.FindingKind]int{}
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
	t.reasons("Not doable:", matrix.Reasons(t.run, observe.Skipped), dim)
	t.reasons("Not judged:", matrix.Reasons(t.run, observe.Infra), yellow)
	t.reasons("Not compared:", matrix.Uncompared(t.run), yellow)
	if t.opt.Results != "" {
		t.out.WriteString("Results: " + matrix.Printable(t.opt.Results) + "\n")
	}
}

// steps says between which neighbours in version order anything flipped, where a run
// has more than two kernels: the findings tell of each beside the first one only.
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

// takenOver says what of the table earlier runs observed.
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
	words := matrix.List(by)
	if len(by) > mostRuns {
		words = fmt.Sprintf("%d runs, the last of them %s", len(by), by[len(by)-1])
	}
	t.paragraph("", fmt.Sprintf("%s %s observed before, by %s; --fresh-cells observes all again.",
		strings.TrimSpace(takenOverSign), matrix.Count(cells, "cell"), matrix.Printable(words)), "")
}

// mostRuns is how many runs the table names that observed cells.
const mostRuns = 3

// mostOfAKind is how many findings of a kind the table shows.
const mostOfAKind = 20

// accelerators says which cells ran with what, where that is not the same for all.
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
		parts = append(parts, fmt.Sprintf("%s with %s", matrix.Count(cells[a], "cell"), a))
	}
	t.paragraph("", strings.Join(append([]string{strings.Join(parts, ", ") + "."}, t.whyNot()...), " "), "")
}

// whyNot lists why scenarios or kernels did not run with the accelerator of others.
func (t *table) whyNot() (sentences []string) {
	if slices.ContainsFunc(t.run.Scenarios, func(s results.Scenario) bool { return s.TCG != "" }) {
		sentences = append(sentences, "A scenario that needs exact machine checks runs under TCG.")
	}
	for _, k := range t.run.Kernels {
		if k.Accel != t.run.Kernels[0].Accel || k.AccelWhy != "" {
			s := fmt.Sprintf("%s ran with %s", k.Name, k.Accel)
			if k.AccelWhy != "" {
				s += ", because KVM does not run it: " + k.AccelWhy
			}
			sentences = append(sentences, s+".")
		}
	}
	return sentences
}

// changes says which changes each kernel has, as far as its cells tell.
func (t *table) changes() {
	for _, k := range t.run.Kernels {
		if words := matrix.ChangeWords(k); words != "" {
			t.paragraph("", k.Name+" "+words+".", "")
		}
		if len(k.Splats) > 0 {
			t.paragraph("", fmt.Sprintf("%s complained while it booted: %s.", k.Name, strings.Join(k.Splats, "; ")), yellow)
		}
	}
}

// reasons lists why cells were not judged, each reason once a kernel.
func (t *table) reasons(title string, reasons []matrix.Reason, style string) {
	if len(reasons) == 0 {
		return
	}
	t.out.WriteString(t.styled(title, bold) + "\n")
	for _, r := range reasons {
		t.paragraph("  - ", fmt.Sprintf("%s on %s: %s", matrix.Count(len(r.Scenarios), "cell"), r.Kernel, r.Message), style)
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
