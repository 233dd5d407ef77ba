package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
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
	rows := Of(run)
	h := Headline{Sentence: sentence(run, rows)}
	if run.Summary.Rig > 0 {
		h.Sentence += fmt.Sprintf(" %s could not be judged.", Count(run.Summary.Rig, "cell"))
	}
	if n := len(run.Uncompared); n > 0 {
		h.Sentence += fmt.Sprintf(" %s could not be compared with the first kernel's.", Count(n, "cell"))
	}
	if run.Interrupted {
		h.Sentence += " The run was interrupted."
	}
	h.Scenario, h.Example = example(run, rows)
	return h
}

func sentence(run results.Run, rows []Row) string {
	var compared, differ, explained, lost int
	var changes []string
	for _, r := range rows {
		if r.Compared() {
			compared++
		}
		if len(r.Differences) == 0 {
			continue
		}
		differ++
		by, unexplained := r.Why()
		switch {
		case r.Lost():
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
	who := List(labels(run.Kernels))
	if len(run.Kernels) > 4 {
		who = fmt.Sprintf("%d kernels", len(run.Kernels))
	}
	switch {
	case len(run.Cells) == 0:
		return "Nothing was observed."
	case compared == 0 && len(run.Cells) == run.Summary.NotDoable:
		return who + ": none of the scenarios can be done."
	case compared == 0:
		return fmt.Sprintf("%s: %d of %s as expected.", who, run.Summary.Expected, Count(len(run.Cells)-run.Summary.NotDoable, "observation"))
	case differ == 0 && compared == 1:
		return who + " show user space the same in the one scenario that was compared."
	case differ == 0:
		return fmt.Sprintf("%s show user space the same in all %d scenarios.", who, compared)
	}
	var names []string
	for _, id := range changes {
		names = append(names, ChangeNamed(run.Known(), id))
	}
	by := List(names)
	out := fmt.Sprintf("%s differ in %d of %s", who, differ, Count(compared, "scenario"))
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

func example(run results.Run, rows []Row) (scenario, words string) {
	best, rank := -1, 0
	var pick judge.Difference
	for i, r := range rows {
		for _, d := range r.Differences {
			if d.Step == judge.WholeCell || d.Field == judge.FieldAction || d.Field == judge.FieldSteps {
				continue
			}
			at := 1
			if d.ExplainedBy != "" {
				at += 4
			}
			if r.Scenario.Lead {
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
	for _, c := range rows[best].Cells {
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
