package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// findings lists the findings, the most significant kind first.
func findings(cells []observe.Cell, kernels []Kernel, j Judgement, known change.List) []conclusion.Finding {
	var out []conclusion.Finding
	proof := newEvidence(cells, j)
	for i, k := range kernels {
		states := j.States[k.Name]
		for _, s := range states {
			out = append(out, stateFindings(k, s, proof)...)
			switch s.Verdict {
			case conclusion.Lacks:
				out = append(out, lost(i, s, kernels, j.States, proof, known)...)
			case conclusion.Has:
				out = append(out, returned(k, s, proof, known)...)
			}
		}
		// A witness can show the loss of a change that no step of the kernel covers.
		for _, c := range known {
			if s := conclusion.StateOf(states, c.ID); s.Verdict == conclusion.NotSeen && len(s.Doubtful) == 0 {
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
	out = append(out, grouped(notUnexpected(j.Differences, cells), conclusion.UnexplainedDifference)...)
	for _, c := range all {
		if _, reported := splatted(c); c.Verdict == observe.Unexpected && !(c.Panicked && reported) {
			out = append(out, unexpected(c))
		}
	}
	return append(out, grouped(j.Repeats, conclusion.NotRepeatable)...)
}

// stateFindings returns the findings about one change of one kernel.
func stateFindings(k Kernel, s conclusion.ChangeState, proof evidence) []conclusion.Finding {
	var out []conclusion.Finding
	add := func(kind conclusion.FindingKind, format string, args ...any) {
		out = append(
			out,
			conclusion.Finding{Kind: kind, Kernels: []string{k.Name}, Change: s.ID, Message: fmt.Sprintf(format, args...)},
		)
	}
	claims := func(has bool) bool { return s.Claimed != nil && *s.Claimed == has }
	switch s.Verdict {
	case conclusion.Incomplete:
		if len(s.Part) > 0 || len(proof.against(k.Name, s)) > 0 {
			add(conclusion.IncompleteChange, "%s %s", k.Name, s.String())
		}
	case conclusion.Lacks:
		if claims(true) && len(proof.against(k.Name, s)) > 0 {
			add(
				conclusion.ContradictedClaim,
				"%s is claimed to have %s, but does not show it in %s",
				k.Name,
				s.ID,
				conclusion.Scenarios(s.Before),
			)
		}
	case conclusion.Has:
		if claims(false) {
			add(
				conclusion.ContradictedClaim,
				"%s is claimed not to have %s, but shows it in %s",
				k.Name,
				s.ID,
				conclusion.Scenarios(s.After),
			)
		}
	}
	return out
}

// splatted returns the finding about a cell during which the kernel complained.
func splatted(c observe.Cell) (conclusion.Finding, bool) {
	splats := lines(c.Witnesses[observe.WitnessSplats])
	if !c.Comparable() || c.Witnesses[observe.WitnessSplats] == "" || len(splats) == 0 {
		return conclusion.Finding{}, false
	}
	message := fmt.Sprintf("%s: %s", on(c), strings.Join(splats, "; "))
	if c.Panicked && machineCheck(c) {
		message += "; QEMU raised the machine check: confirm with another QEMU version"
	}
	return conclusion.Finding{
		Kind:     conclusion.Splat,
		Scenario: c.Scenario,
		Kernels:  []string{c.Kernel},
		Message:  message,
	}, true
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
func notUnexpected(diffs []conclusion.Difference, cells []observe.Cell) []conclusion.Difference {
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
			if c.Comparable() && s.Expected != nil && !s.Expected.Met {
				reported[step{c.Scenario, c.Kernel, i}] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(diffs), func(d conclusion.Difference) bool {
		return panicked[[2]string{d.Scenario, d.KernelA}] || panicked[[2]string{d.Scenario, d.KernelB}] ||
			reported[step{d.Scenario, d.KernelA, d.Step}] || reported[step{d.Scenario, d.KernelB, d.Step}]
	})
}

// grouped makes one finding of all unexplained differences between the same two cells.
// What follows from a splat is left out: the splat is a finding of its own.
func grouped(diffs []conclusion.Difference, kind conclusion.FindingKind) []conclusion.Finding {
	type key struct {
		scenario, a, b     string
		attemptA, attemptB int
	}
	of := func(d conclusion.Difference) key {
		return key{d.Scenario, d.KernelA, d.KernelB, d.AttemptA, d.AttemptB}
	}
	splats := map[key]bool{}
	for _, d := range diffs {
		if kind == conclusion.UnexplainedDifference && d.Field == conclusion.WitnessPrefix+observe.WitnessSplats {
			splats[of(d)] = true
		}
	}
	var order []key
	fields := map[key][]string{}
	for _, d := range diffs {
		k := of(d)
		follows := d.Field == conclusion.WitnessPrefix+observe.WitnessSplats ||
			d.Field == conclusion.WitnessPrefix+observe.WitnessTaint
		if d.ExplainedBy != "" || splats[k] && follows {
			continue
		}
		if fields[k] == nil {
			order = append(order, k)
		}
		fields[k] = append(fields[k], d.String())
	}
	var out []conclusion.Finding
	for _, k := range order {
		f := conclusion.Finding{Kind: kind, Scenario: k.scenario}
		what := strings.Join(fields[k], "; ")
		if k.a == k.b {
			f.Kernels = []string{k.a}
			f.Message = fmt.Sprintf("%s differs between attempts on %s: %s", k.scenario, k.a, what)
			if k.attemptA != k.attemptB {
				f.Message = fmt.Sprintf(
					"%s differs between attempts %d and %d on %s: %s",
					k.scenario,
					k.attemptA,
					k.attemptB,
					k.a,
					what,
				)
			}
		} else {
			f.Kernels = []string{k.a, k.b}
			f.Message = fmt.Sprintf("%s differs between %s and %s: no known change explains it: %s", k.scenario, k.a, k.b, what)
		}
		out = append(out, f)
	}
	return out
}

func unexpected(c observe.Cell) conclusion.Finding {
	f := conclusion.Finding{Kind: conclusion.UnexpectedObservation, Scenario: c.Scenario, Kernels: []string{c.Kernel}}
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
			texts = append(
				texts,
				fmt.Sprintf(
					"step %d (%s: %s) expected %s, saw %s",
					i+1,
					s.Actor,
					s.Action,
					s.Expected.Wanted(),
					s.Outcome.Located(),
				),
			)
		}
	}
	return texts
}
