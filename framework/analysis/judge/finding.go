package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// FindingKind classifies findings.
type FindingKind string

const (
	// LostChange: a kernel does not have a change that the upstream release or stable
	// update it is based on has, or an older kernel of its own line: a regression.
	LostChange FindingKind = "lost_change"
	// IncompleteChange: a kernel has a change in some scenarios only, or a part of it.
	IncompleteChange FindingKind = "incomplete_change"
	// ContradictedClaim: the observations contradict what the matrix claims of a kernel.
	ContradictedClaim FindingKind = "contradicted_claim"
	// Splat: the kernel logged a complaint (WARNING, BUG, …), or panicked, in a scenario
	// that does not expect it.
	Splat FindingKind = "splat"
	// UnexplainedDifference: two kernels differ and no known change predicts it.
	UnexplainedDifference FindingKind = "unexplained_difference"
	// UnexpectedObservation: the scenario expects an outcome of no kernel.
	UnexpectedObservation FindingKind = "unexpected_observation"
	// NotRepeatable: attempts on the same kernel differ.
	NotRepeatable FindingKind = "not_repeatable"
)

// Finding is something that the user must look at.
type Finding struct {
	Kind FindingKind `json:"kind"`
	// Scenario is empty for a finding about a kernel as a whole.
	Scenario string `json:"scenario,omitempty"`
	// Kernels are the kernels it is about: one, or the two that differ.
	Kernels []string `json:"kernels"`
	// Change is the id of the change it is about, or empty.
	Change string `json:"change,omitempty"`
	// Message describes it for the user.
	Message string `json:"message"`
}

// findings lists the findings, the most significant kind first.
func findings(cells []observe.Cell, kernels []Kernel, j Judgement, known change.List) []Finding {
	var out []Finding
	proof := newEvidence(cells, j)
	for i, k := range kernels {
		states := j.States[k.Name]
		for _, s := range states {
			out = append(out, stateFindings(k, s, proof)...)
			if s.Verdict == Lacks {
				out = append(out, lost(i, s, kernels, j.States, proof, known)...)
			}
		}
		// A witness can show the loss of a change that no step of the kernel covers.
		for _, c := range known {
			if s := StateOf(states, c.ID); s.Verdict == NotSeen && len(s.Doubtful) == 0 {
				out = append(out, lostByWitness(k, c, j.Differences)...)
			}
		}
	}
	all := sorted(cells)
	for _, c := range all {
		if f, ok := splatted(c); ok {
			out = append(out, f)
		}
	}
	out = append(out, grouped(notUnexpected(j.Differences, cells), UnexplainedDifference)...)
	for _, c := range all {
		if _, reported := splatted(c); c.Verdict == observe.Unexpected && !(c.Panicked && reported) {
			out = append(out, unexpected(c))
		}
	}
	return append(out, grouped(j.Repeats, NotRepeatable)...)
}

// stateFindings returns the findings about one change of one kernel.
func stateFindings(k Kernel, s ChangeState, proof evidence) []Finding {
	var out []Finding
	add := func(kind FindingKind, format string, args ...any) {
		out = append(out, Finding{Kind: kind, Kernels: []string{k.Name}, Change: s.ID, Message: fmt.Sprintf(format, args...)})
	}
	claims := func(has bool) bool { return s.Claimed != nil && *s.Claimed == has }
	switch s.Verdict {
	case Incomplete:
		if len(s.Part) > 0 || len(proof.against(k.Name, s)) > 0 {
			add(IncompleteChange, "%s %s", k.Name, incomplete(s))
		}
	case Lacks:
		if claims(true) && len(proof.against(k.Name, s)) > 0 {
			add(ContradictedClaim, "%s is claimed to have %s, but does not show it in %s", k.Name, s.ID, ids(s.Before))
		}
	case Has:
		if claims(false) {
			add(ContradictedClaim, "%s is claimed not to have %s, but shows it in %s", k.Name, s.ID, ids(s.After))
		}
	}
	return out
}

// incomplete describes where a change is missing; all scenarios by name if they are the
// smaller part.
func incomplete(s ChangeState) string {
	var parts []string
	if len(s.After) > 0 {
		parts = append(parts, fmt.Sprintf("shows %s in %s", s.ID, ids(s.After)))
	}
	if len(s.Before) > 0 {
		missing := ids(s.Before)
		if len(s.Before) < len(s.After) {
			missing = strings.Join(s.Before, ", ")
		}
		if len(s.After) > 0 {
			parts = append(parts, "but not in "+missing)
		} else {
			parts = append(parts, fmt.Sprintf("does not show %s in %s", s.ID, missing))
		}
	}
	if len(s.Part) > 0 {
		parts = append(parts, "shows a part of "+s.ID+" in "+strings.Join(s.Part, ", "))
	}
	return strings.Join(parts, ", ")
}

// splatted returns the finding about a cell during which the kernel complained.
func splatted(c observe.Cell) (Finding, bool) {
	splats := lines(c.Witnesses[observe.WitnessSplats])
	if !Comparable(c) || c.Witnesses[observe.WitnessSplats] == "" || len(splats) == 0 {
		return Finding{}, false
	}
	message := fmt.Sprintf("%s: %s", on(c), strings.Join(splats, "; "))
	if c.Panicked && machineCheck(c) {
		message += "; QEMU raised the machine check: confirm with another QEMU version"
	}
	return Finding{Kind: Splat, Scenario: c.Scenario, Kernels: []string{c.Kernel}, Message: message}, true
}

// on names a cell.
func on(c observe.Cell) string {
	if c.Attempt > 0 {
		return fmt.Sprintf("%s on %s (attempt %d)", c.Scenario, c.Kernel, c.Attempt)
	}
	return fmt.Sprintf("%s on %s", c.Scenario, c.Kernel)
}

// notUnexpected leaves out the differences in steps whose outcome is already reported
// as unexpected on one of the two kernels, and those that a panic caused.
func notUnexpected(diffs []Difference, cells []observe.Cell) []Difference {
	type step struct {
		scenario, kernel string
		step             int
	}
	reported := map[step]bool{}
	panicked := map[[2]string]bool{} // reported as a splat
	for _, c := range cells {
		if c.Panicked {
			panicked[[2]string{c.Scenario, c.Kernel}] = true
		}
		for i, s := range c.Steps {
			if Comparable(c) && s.Expected != nil && !s.Expected.Met {
				reported[step{c.Scenario, c.Kernel, i}] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(diffs), func(d Difference) bool {
		return panicked[[2]string{d.Scenario, d.KernelA}] || panicked[[2]string{d.Scenario, d.KernelB}] ||
			reported[step{d.Scenario, d.KernelA, d.Step}] || reported[step{d.Scenario, d.KernelB, d.Step}]
	})
}

// grouped makes one finding of all unexplained differences between the same two cells.
// What follows from a splat is left out: the splat is a finding of its own.
func grouped(diffs []Difference, kind FindingKind) []Finding {
	type key struct {
		scenario, a, b     string
		attemptA, attemptB int
	}
	of := func(d Difference) key { return key{d.Scenario, d.KernelA, d.KernelB, d.AttemptA, d.AttemptB} }
	splats := map[key]bool{}
	for _, d := range diffs {
		if kind == UnexplainedDifference && d.Field == WitnessPrefix+observe.WitnessSplats {
			splats[of(d)] = true
		}
	}
	var order []key
	fields := map[key][]string{}
	for _, d := range diffs {
		k := of(d)
		follows := d.Field == WitnessPrefix+observe.WitnessSplats || d.Field == WitnessPrefix+observe.WitnessTaint
		if d.ExplainedBy != "" || splats[k] && follows {
			continue
		}
		if fields[k] == nil {
			order = append(order, k)
		}
		fields[k] = append(fields[k], d.String())
	}
	var out []Finding
	for _, k := range order {
		f := Finding{Kind: kind, Scenario: k.scenario}
		what := strings.Join(fields[k], "; ")
		if k.a == k.b {
			f.Kernels = []string{k.a}
			f.Message = fmt.Sprintf("%s differs between attempts on %s: %s", k.scenario, k.a, what)
			if k.attemptA != k.attemptB {
				f.Message = fmt.Sprintf("%s differs between attempts %d and %d on %s: %s", k.scenario, k.attemptA, k.attemptB, k.a, what)
			}
		} else {
			f.Kernels = []string{k.a, k.b}
			f.Message = fmt.Sprintf("%s differs between %s and %s: no known change explains it: %s", k.scenario, k.a, k.b, what)
		}
		out = append(out, f)
	}
	return out
}

func unexpected(c observe.Cell) Finding {
	f := Finding{Kind: UnexpectedObservation, Scenario: c.Scenario, Kernels: []string{c.Kernel}}
	for _, s := range c.Steps {
		if s.Expected == nil || s.Expected.Met {
			continue
		}
		if f.Change == "" {
			f.Change = s.Expected.Change
		}
		if s.Expected.Side == observe.Partly {
			f.Change = s.Expected.PartOf
		}
	}
	what := c.Message
	if u := unmet(c.Steps); len(u) > 0 {
		what = strings.Join(u, "; ")
	}
	f.Message = on(c) + ": " + what
	return f
}

// unmet describes the steps whose outcome no kernel is expected to have.
func unmet(steps []observe.Step) (texts []string) {
	for i, s := range steps {
		if s.Expected != nil && !s.Expected.Met {
			texts = append(texts, fmt.Sprintf("step %d (%s: %s) expected %s, saw %s", i+1, s.Actor, s.Action, s.Expected.Wanted(), s.Outcome.Located()))
		}
	}
	return texts
}

// ids lists scenario ids for a message, the first few of many.
func ids(list []string) string {
	const limit = 4
	if len(list) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:limit], ", "), len(list)-limit)
	}
	return strings.Join(list, ", ")
}
