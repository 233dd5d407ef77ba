package judge

import (
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// states concludes, for each kernel, the state of each change that one of its cells
// covers or the user claims.
func states(cells []observe.Cell, kernels []Kernel, known change.List) map[string][]conclusion.ChangeState {
	out := map[string][]conclusion.ChangeState{}
	for _, k := range kernels {
		if s := kernelStates(cells, k, known); len(s) > 0 {
			out[k.Name] = s
		}
	}
	return out
}

func kernelStates(cells []observe.Cell, k Kernel, known change.List) []conclusion.ChangeState {
	byID := map[string]*conclusion.ChangeState{}
	state := func(id string) *conclusion.ChangeState {
		if byID[id] == nil {
			byID[id] = &conclusion.ChangeState{ID: id}
		}
		return byID[id]
	}
	for id, has := range k.Claims {
		state(id).Claimed = &has
	}
	add := func(list *[]string, scenario string) {
		if !slices.Contains(*list, scenario) {
			*list = append(*list, scenario)
		}
	}
	for _, c := range cells {
		if c.Kernel != k.Name || !c.Comparable() {
			continue
		}
		good := sound(c)
		for _, s := range c.Steps {
			e := s.Expected
			if e == nil {
				continue
			}
			if !good && e.Side != observe.Neither {
				for _, id := range []string{e.Change, e.PartOf} {
					if id != "" && (id == e.Change || e.Side == observe.Partly) && e.Side != observe.Both && e.Hidden == "" {
						add(&state(id).Doubtful, c.Scenario)
					}
				}
				continue
			}
			if e.PartOf != "" && e.Side == observe.Partly {
				add(&state(e.PartOf).Part, c.Scenario)
			}
			if e.Change == "" {
				continue
			}
			at := state(e.Change)
			switch {
			case e.Hidden != "":
				at.Hidden = e.Hidden
			case e.Side == observe.After:
				add(&at.After, c.Scenario)
			case e.Side == observe.Before && contradicted(c, e.Change, known):
				add(&at.Doubtful, c.Scenario)
			case e.Side == observe.Before:
				add(&at.Before, c.Scenario)
			case e.Side == observe.Neither:
				add(&at.Neither, c.Scenario)
			}
		}
	}
	var out []conclusion.ChangeState
	for _, id := range inOrder(byID, known) {
		s := byID[id]
		conclude(s, k, known)
		out = append(out, *s)
	}
	return out
}

func conclude(s *conclusion.ChangeState, k Kernel, known change.List) {
	for _, list := range [][]string{s.After, s.Before, s.Part, s.Neither, s.Doubtful} {
		slices.Sort(list)
	}
	switch {
	case len(s.Part) > 0, len(s.After) > 0 && len(s.Before) > 0:
		s.Verdict = conclusion.Incomplete
	case len(s.Neither) > 0:
		s.Verdict = conclusion.SomethingElse
	case len(s.After) > 0:
		s.Verdict = conclusion.Has
	case len(s.Before) > 0:
		s.Verdict = conclusion.Lacks
	default:
		s.Verdict = conclusion.NotSeen
	}
	if s.Verdict != conclusion.NotSeen {
		s.Hidden = ""
	}
	c, err := known.ByID(s.ID)
	has, shown := k.carries(c)
	s.Backported = s.Verdict == conclusion.Has && err == nil && shown && !has && k.fixed(c) == ""
}

// inOrder lists the known changes in their order, then by name those that this version
// of Faultline does not know (from another version's results).
func inOrder(states map[string]*conclusion.ChangeState, known change.List) []string {
	var out, rest []string
	for _, id := range known.IDs() {
		if _, ok := states[id]; ok {
			out = append(out, id)
		}
	}
	for id := range states {
		if !slices.Contains(out, id) {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}
