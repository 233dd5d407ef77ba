package judge

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
)

// lost returns the finding that a kernel lost a change, if every cell that covers the
// change shows the state before it: compared with upstream, or else with the nearest
// older kernel of its line that has the change.
func lost(
	at int,
	s conclusion.ChangeState,
	kernels []Kernel,
	states map[string][]conclusion.ChangeState,
	proof evidence,
	known change.List,
) []conclusion.Finding {
	k := kernels[at]
	c, err := known.ByID(s.ID)
	missing := proof.against(k.Name, s)
	if err != nil || !k.accountable(c) || len(missing) == 0 {
		return nil
	}
	if why := k.due(c); why != "" {
		why += ": not seen in " + conclusion.Scenarios(missing)
		return []conclusion.Finding{{Kind: conclusion.LostChange, Kernels: []string{k.Name}, Change: s.ID, Message: why}}
	}
	nearest, shared := -1, []string(nil)
	for i, o := range kernels {
		if i == at || !k.continues(o) || nearest >= 0 && !o.continues(kernels[nearest]) {
			continue
		}
		if o := conclusion.StateOf(states[o.Name], s.ID); o.Verdict == conclusion.Has {
			if both := inBoth(o.After, missing); len(both) > 0 {
				nearest, shared = i, both
			}
		}
	}
	if nearest < 0 {
		return nil
	}
	return []conclusion.Finding{onTheWay(kernels[nearest].Name, k.Name, s.ID, shared)}
}

// returned returns the finding that a kernel shows a bug whose fix it should have.
func returned(k Kernel, s conclusion.ChangeState, proof evidence, known change.List) []conclusion.Finding {
	c, err := known.ByID(s.ID)
	seen := proof.of(k.Name, s)
	// A contradicted claim is a finding of its own.
	if _, claimed := k.Claims[s.ID]; err != nil || claimed || k.fixed(c) == "" || len(seen) == 0 {
		return nil
	}
	return []conclusion.Finding{{
		Kind: conclusion.LostChange, Kernels: []string{k.Name}, Change: s.ID,
		Message: fmt.Sprintf("%s is based on %v but has the bug %s, which is fixed in %s and later: seen in %s",
			k.Name, k.Version, s.ID, k.fixed(c), conclusion.Scenarios(seen)),
	}}
}

// onTheWay is the finding that a later kernel of a line lost a change.
func onTheWay(older, k, id string, scenarios []string) conclusion.Finding {
	return conclusion.Finding{
		Kind:    conclusion.LostChange,
		Kernels: []string{older, k},
		Change:  id,
		Message: fmt.Sprintf(
			"%s has %s, but %s, a later kernel of the same line, does not show it in %s",
			older,
			id,
			k,
			conclusion.Scenarios(scenarios),
		),
	}
}

// lostByWitness returns the findings that a kernel lost a change that no step covers.
func lostByWitness(k Kernel, c change.Change, diffs []conclusion.Difference) (out []conclusion.Finding) {
	from := map[string][]string{}
	var order []string
	for _, d := range diffs {
		if d.Lost && d.ExplainedBy == c.ID && d.KernelB == k.Name && !slices.Contains(from[d.KernelA], d.Scenario) {
			if from[d.KernelA] == nil {
				order = append(order, d.KernelA)
			}
			from[d.KernelA] = append(from[d.KernelA], d.Scenario)
		}
	}
	for _, other := range order {
		f := onTheWay(other, k.Name, c.ID, from[other])
		if why := k.due(c); why != "" {
			f.Kernels, f.Message = []string{
				k.Name,
			}, fmt.Sprintf(
				"%s: %s shows it in %s",
				why,
				other,
				conclusion.Scenarios(from[other]),
			)
		}
		out = append(out, f)
	}
	return out
}

// inBoth returns the scenarios that are in both lists.
func inBoth(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(id string) bool { return !slices.Contains(b, id) })
}
