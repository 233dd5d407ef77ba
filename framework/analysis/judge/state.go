package judge

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// ChangeVerdict is what a kernel's cells, taken together, show about a change.
type ChangeVerdict string

const (
	// Has: all cells that cover the change show it.
	Has ChangeVerdict = "has"
	// Lacks: all cells that cover the change show the state before it.
	Lacks ChangeVerdict = "lacks"
	// Incomplete: some show it and some do not, or one shows a part of it, as after an
	// incomplete backport.
	Incomplete ChangeVerdict = "incomplete"
	// SomethingElse: one shows neither the state before the change nor the one after it.
	SomethingElse ChangeVerdict = "something_else"
	// NotSeen: no cell covers it.
	NotSeen ChangeVerdict = "not_seen"
)

// ChangeState is what a kernel's cells show about one change.
type ChangeState struct {
	ID      string        `json:"id"`
	Verdict ChangeVerdict `json:"verdict"`
	// Backported reports that the kernel has the change and is based on an upstream
	// release without it. It is never set for a release candidate.
	Backported bool `json:"backported,omitempty"`
	// Claimed is the matrix's claim (has:); nil if it has none.
	Claimed *bool `json:"claimed,omitempty"`
	// Hidden is the configuration symbol without which the change cannot be seen, if
	// that is why it was not.
	Hidden string `json:"hidden,omitempty"`
	// The scenarios whose steps showed the change, the state before it, a part of it,
	// or none of these. One may be in several lists; a step whose outcome is the same
	// with and without the change is in none.
	After   []string `json:"after,omitempty"`
	Before  []string `json:"before,omitempty"`
	Part    []string `json:"part,omitempty"`
	Neither []string `json:"neither,omitempty"`
	// Doubtful are scenarios that cover the change but have another problem: they do
	// not count.
	Doubtful []string `json:"doubtful,omitempty"`
}

// String describes the state, to follow a kernel's name: "has dax_fault_hwpoison
// (backported; seen in 47 scenarios)".
func (s ChangeState) String() string {
	switch s.Verdict {
	case Has:
		note := ""
		if s.Backported {
			note = "backported; "
		}
		return fmt.Sprintf("has %s (%sseen in %s)", s.ID, note, scenarios(len(s.After)))
	case Lacks:
		return fmt.Sprintf("does not have %s (absent in %s)", s.ID, scenarios(len(s.Before)))
	case Incomplete:
		return incomplete(s)
	case SomethingElse:
		return fmt.Sprintf("shows neither side of %s in %s", s.ID, ids(s.Neither))
	}
	if s.Hidden != "" {
		return fmt.Sprintf("cannot show %s without CONFIG_%s", s.ID, s.Hidden)
	}
	if len(s.Doubtful) > 0 {
		return fmt.Sprintf("does not show whether it has %s: there is another problem in %s", s.ID, ids(s.Doubtful))
	}
	return "does not show whether it has " + s.ID
}

func scenarios(n int) string {
	if n == 1 {
		return "1 scenario"
	}
	return fmt.Sprintf("%d scenarios", n)
}

// states concludes, for each kernel, the state of each change that one of its cells
// covers or the user claims.
func states(cells []observe.Cell, kernels []Kernel, known change.List) map[string][]ChangeState {
	out := map[string][]ChangeState{}
	for _, k := range kernels {
		if s := kernelStates(cells, k, known); len(s) > 0 {
			out[k.Name] = s
		}
	}
	return out
}

func kernelStates(cells []observe.Cell, k Kernel, known change.List) []ChangeState {
	byID := map[string]*ChangeState{}
	state := func(id string) *ChangeState {
		if byID[id] == nil {
			byID[id] = &ChangeState{ID: id}
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
		if c.Kernel != k.Name || !Comparable(c) {
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
	var out []ChangeState
	for _, id := range inOrder(byID, known) {
		s := byID[id]
		s.conclude(k, known)
		out = append(out, *s)
	}
	return out
}

func (s *ChangeState) conclude(k Kernel, known change.List) {
	for _, list := range [][]string{s.After, s.Before, s.Part, s.Neither, s.Doubtful} {
		slices.Sort(list)
	}
	switch {
	case len(s.Part) > 0, len(s.After) > 0 && len(s.Before) > 0:
		s.Verdict = Incomplete
	case len(s.Neither) > 0:
		s.Verdict = SomethingElse
	case len(s.After) > 0:
		s.Verdict = Has
	case len(s.Before) > 0:
		s.Verdict = Lacks
	default:
		s.Verdict = NotSeen
	}
	if s.Verdict != NotSeen {
		s.Hidden = ""
	}
	c, err := known.ByID(s.ID)
	has, shown := k.carries(c)
	s.Backported = s.Verdict == Has && err == nil && shown && !has
}

// inOrder lists the known changes in their order, then by name those that this version
// of Faultline does not know (from another version's results).
func inOrder(states map[string]*ChangeState, known change.List) []string {
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
