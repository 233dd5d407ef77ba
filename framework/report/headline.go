package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

// Headline says in words what a run found.
type Headline struct {
	// Sentence is how the kernels differ, and why.
	Sentence string
	// Example is one difference, as user space saw it; empty when none differs.
	Example string
	// Scenario is the id of the example's scenario.
	Scenario string
}

// NewHeadline words a run. Its example is an explained difference where there
// is one, and of those one in a scenario marked Lead.
func NewHeadline(run results.Run) Headline {
	rows := matrix(run)
	h := Headline{Sentence: sentence(run, rows)}
	if run.Summary.Rig > 0 {
		h.Sentence += fmt.Sprintf(" %s could not be judged.", count(run.Summary.Rig, "cell"))
	}
	if run.Interrupted {
		h.Sentence += " The run was interrupted."
	}
	h.Scenario, h.Example = example(run, rows)
	return h
}

func sentence(run results.Run, rows []row) string {
	var compared, differ, explained, lost int
	var changes []string
	for _, r := range rows {
		if r.compared() {
			compared++
		}
		if len(r.diffs) == 0 {
			continue
		}
		differ++
		by, unexplained := r.why()
		switch {
		case r.lost():
			lost++
			continue
		case !unexplained:
			explained++
		}
		for _, id := range by {
			if !slices.Contains(changes, id) {
				changes = append(changes, id)
			}
		}
	}
	who := list(labels(run.Kernels))
	if len(run.Kernels) > 4 {
		who = fmt.Sprintf("%d kernels", len(run.Kernels))
	}
	switch {
	case len(run.Cells) == 0:
		return "Nothing was observed."
	case compared == 0 && len(run.Cells) == run.Summary.NotDoable:
		return who + ": none of the scenarios can be done."
	case compared == 0:
		return fmt.Sprintf("%s: %d of %s as expected.", who, run.Summary.Expected, count(len(run.Cells)-run.Summary.NotDoable, "observation"))
	case differ == 0 && compared == 1:
		return who + " show user space the same in the one scenario that was compared."
	case differ == 0:
		return fmt.Sprintf("%s show user space the same in all %d scenarios.", who, compared)
	}
	var names []string
	for _, id := range changes {
		names = append(names, changeWords(id))
	}
	by := list(names)
	out := fmt.Sprintf("%s differ in %d of %s", who, differ, count(compared, "scenario"))
	if lost > 0 {
		out += fmt.Sprintf(", in %d by a change that was lost", lost)
		if differ -= lost; differ == 0 {
			return out + "."
		}
		out += fmt.Sprintf("; of the other %d", differ)
		if explained > 0 {
			return fmt.Sprintf("%s, %d %s explained by %s.", out, explained, isAre(explained), by)
		}
		return out + " none is explained by a known change."
	}
	switch {
	case explained == differ && differ == 1:
		return out + "; it is explained by " + by + "."
	case explained == differ:
		return fmt.Sprintf("%s; all %d are explained by %s.", out, differ, by)
	case explained > 0:
		return fmt.Sprintf("%s; %d %s explained by %s, %d by no known change.", out, explained, isAre(explained), by, differ-explained)
	case len(changes) > 0:
		return fmt.Sprintf("%s; %s explains them in part only.", out, by)
	}
	return out + "; no known change explains that."
}

func example(run results.Run, rows []row) (scenario, words string) {
	best, rank := -1, 0
	var pick judge.Difference
	for i, r := range rows {
		for _, d := range r.diffs {
			if d.Step == judge.WholeCell || d.Field == judge.FieldAction || d.Field == judge.FieldSteps {
				continue
			}
			at := 1
			if d.ExplainedBy != "" {
				at += 4
			}
			if r.scenario.Lead {
				at += 2
			}
			if strings.HasPrefix(d.Field, "signals") {
				at++
			}
			if at > rank {
				best, rank, pick = i, at, d
			}
		}
	}
	if best < 0 {
		return "", ""
	}
	saw := map[string]string{}
	for _, c := range rows[best].cells {
		if c != nil && pick.Step < len(c.Steps) {
			saw[c.Kernel] = c.Steps[pick.Step].Outcome.String()
		}
	}
	label := map[string]string{}
	for i, l := range labels(run.Kernels) {
		label[run.Kernels[i].Name] = l
	}
	return pick.Scenario, fmt.Sprintf("%s: %s on %s, %s on %s.",
		pick.Action, saw[pick.KernelA], label[pick.KernelA], saw[pick.KernelB], label[pick.KernelB])
}

// labels are short names of kernels for a sentence: their versions, where
// these tell them apart.
func labels(kernels []results.Kernel) []string {
	var versions, names []string
	distinct := true
	for _, k := range kernels {
		distinct = distinct && k.Version != "" && !slices.Contains(versions, k.Version)
		versions, names = append(versions, k.Version), append(names, k.Name)
	}
	if distinct {
		return versions
	}
	return names
}

// changeWords is a change as a sentence names it: with its commit and release.
func changeWords(id string) string {
	c, err := change.ByID(id)
	if err != nil {
		return id // recorded by another version of Faultline
	}
	return fmt.Sprintf("%s (%s, %s)", c.ID, c.Commit, c.Since)
}

func list(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// verdictWords name a verdict for a person.
func verdictWords(v observe.Verdict) string {
	switch v {
	case observe.NotDoable:
		return "not doable"
	case observe.Rig:
		return "rig failed"
	}
	return string(v)
}

// findingWords name a kind of finding for a person.
func findingWords(k judge.FindingKind) string {
	return strings.ReplaceAll(string(k), "_", " ")
}
