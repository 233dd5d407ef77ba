package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// FindingKind says why a finding is one.
type FindingKind string

const (
	// LostChange: a kernel lacks a change that the upstream release or stable update
	// which it was made from has, or an older kernel of its own line: a regression.
	LostChange FindingKind = "lost_change"
	// IncompleteChange: a kernel has a change in some scenarios only, or a part of it.
	IncompleteChange FindingKind = "incomplete_change"
	// ContradictedClaim: what the matrix says of a kernel is not what was seen.
	ContradictedClaim FindingKind = "contradicted_claim"
	// Splat: the kernel complained about itself, or panicked, in a scenario that
	// does not expect it.
	Splat FindingKind = "splat"
	// UnexplainedDifference: two kernels differ and no known change predicts it.
	UnexplainedDifference FindingKind = "unexplained_difference"
	// UnexpectedObservation: an outcome is not what the scenario expects of any kernel.
	UnexpectedObservation FindingKind = "unexpected_observation"
	// NotRepeatable: the same kernel observed again said something else.
	NotRepeatable FindingKind = "not_repeatable"
)

// Finding is something that a person must look at.
type Finding struct {
	Kind FindingKind `json:"kind"`
	// Scenario is empty for a finding about a kernel as a whole.
	Scenario string `json:"scenario,omitempty"`
	// Kernels are the kernels it is about: one, or the two that differ.
	Kernels []string `json:"kernels"`
	// Change is the id of the change it is about, or empty.
	Change string `json:"change,omitempty"`
	// Message says it in words for a person.
	Message string `json:"message"`
}

// findings lists what a person must look at, the most telling kind first.
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
		// A witness can tell that a change got lost that no step of the kernel's cells
		// speaks of.
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
		if _, told := splatted(c); c.Verdict == observe.Unexpected && !(c.Panicked && told) {
			out = append(out, unexpected(c))
		}
	}
	return append(out, grouped(j.Repeats, NotRepeatable)...)
}

// stateFindings are those about a change of a kernel, taken alone.
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
			add(ContradictedClaim, "%s is claimed to have %s, and it was not seen in %s, which showed what was before it", k.Name, s.ID, ids(s.Before))
		}
	case Has:
		if claims(false) {
			add(ContradictedClaim, "%s is claimed to lack %s, and it was seen in %s", k.Name, s.ID, ids(s.After))
		}
	}
	return out
}

// incomplete words what is missing of a change: where it is the smaller part, by
// name.
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
			parts = append(parts, fmt.Sprintf("shows what was before %s in %s", s.ID, missing))
		}
	}
	if len(s.Part) > 0 {
		parts = append(parts, "shows a part of "+s.ID+" in "+strings.Join(s.Part, ", "))
	}
	return strings.Join(parts, ", ")
}

// splatted is the finding about a cell in whose time the kernel complained.
func splatted(c observe.Cell) (Finding, bool) {
	said := lines(c.Witnesses[observe.WitnessSplats])
	if !Comparable(c) || c.Witnesses[observe.WitnessSplats] == "" || len(said) == 0 {
		return Finding{}, false
	}
	message := fmt.Sprintf("%s: %s", on(c), strings.Join(said, "; "))
	if c.Panicked && machineCheck(c) {
		message += "; QEMU raised the machine check, so confirm it with another QEMU"
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

// notUnexpected leaves out the differences in steps whose outcome is told as
// unexpected, of one of the two kernels, already, and those that a panic made.
func notUnexpected(diffs []Difference, cells []observe.Cell) []Difference {
	type step struct {
		scenario, kernel string
		step             int
	}
	told := map[step]bool{}
	panicked := map[[2]string]bool{} // told as a splat
	for _, c := range cells {
		if c.Panicked {
			panicked[[2]string{c.Scenario, c.Kernel}] = true
		}
		for i, s := range c.Steps {
			if Comparable(c) && s.Expected != nil && !s.Expected.Met {
				told[step{c.Scenario, c.Kernel, i}] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(diffs), func(d Difference) bool {
		return panicked[[2]string{d.Scenario, d.KernelA}] || panicked[[2]string{d.Scenario, d.KernelB}] ||
			told[step{d.Scenario, d.KernelA, d.Step}] || told[step{d.Scenario, d.KernelB, d.Step}]
	})
}

// grouped makes one finding of the differences that nothing explains between the
// same two cells. What follows from a splat is told with it.
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
			f.Message = fmt.Sprintf("%s is not the same twice on %s: %s", k.scenario, k.a, what)
			if k.attemptA != k.attemptB {
				f.Message = fmt.Sprintf("%s is not the same twice on %s (attempts %d and %d): %s", k.scenario, k.a, k.attemptA, k.attemptB, what)
			}
		} else {
			f.Kernels = []string{k.a, k.b}
			f.Message = fmt.Sprintf("%s differs between %s and %s, and no known change says why: %s", k.scenario, k.a, k.b, what)
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

// unmet words the steps that showed what is to be expected of no kernel.
func unmet(steps []observe.Step) (words []string) {
	for i, s := range steps {
		if s.Expected != nil && !s.Expected.Met {
			words = append(words, fmt.Sprintf("step %d (%s: %s) expected %s, saw %s", i+1, s.Actor, s.Action, s.Expected.Wanted(), s.Outcome.Located()))
		}
	}
	return words
}

// ids lists scenario ids for a message, the first few of many.
func ids(list []string) string {
	const limit = 4
	if len(list) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:limit], ", "), len(list)-limit)
	}
	return strings.Join(list, ", ")
}
