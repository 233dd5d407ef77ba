package judge

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// ChangeVerdict says what a kernel's cells, taken together, make of a change.
type ChangeVerdict string

const (
	// Has: all that tell show it.
	Has ChangeVerdict = "has"
	// Lacks: all that tell show what was before it.
	Lacks ChangeVerdict = "lacks"
	// Incomplete: some show it and some don't, or one shows a part of it, as after
	// a backport that forgot something.
	Incomplete ChangeVerdict = "incomplete"
	// SomethingElse: one shows neither what is before the change nor what is after it.
	SomethingElse ChangeVerdict = "something_else"
	// NotSeen: none tells.
	NotSeen ChangeVerdict = "not_seen"
)

// ChangeState is what a kernel's cells say of one change.
type ChangeState struct {
	ID      string        `json:"id"`
	Verdict ChangeVerdict `json:"verdict"`
	// Backported says that the kernel has the change and was made from an upstream
	// release without it. Of a release candidate it is not said.
	Backported bool `json:"backported,omitempty"`
	// Claimed is what the matrix says (has:); nil where it says nothing.
	Claimed *bool `json:"claimed,omitempty"`
	// Hidden is the configuration symbol without which it can't be seen, where
	// that is why it was not.
	Hidden string `json:"hidden,omitempty"`
	// The scenarios whose steps showed the change, what was before it, a part of
	// it, or none of these. One may be in more than one list; a step that shows
	// what is the same on both sides counts for none.
	After   []string `json:"after,omitempty"`
	Before  []string `json:"before,omitempty"`
	Part    []string `json:"part,omitempty"`
	Neither []string `json:"neither,omitempty"`
	// Doubtful are scenarios that tell of the change, and in which something else is
	// wrong: they count for nothing.
	Doubtful []string `json:"doubtful,omitempty"`
}

// String is the state in words: "has dax_fault_hwpoison (backported; in 47 scenarios)".
func (s ChangeState) String() string {
	switch s.Verdict {
	case Has:
		note := ""
		if s.Backported {
			note = "backported; "
		}
		return fmt.Sprintf("has %s (%sseen in %s)", s.ID, note, scenarios(len(s.After)))
	case Lacks:
		return fmt.Sprintf("lacks %s (seen in %s)", s.ID, scenarios(len(s.Before)))
	case Incomplete:
		return incomplete(s)
	case SomethingElse:
		return fmt.Sprintf("shows something else than %s in %s", s.ID, ids(s.Neither))
	}
	if s.Hidden != "" {
		return fmt.Sprintf("can't show %s without CONFIG_%s", s.ID, s.Hidden)
	}
	if len(s.Doubtful) > 0 {
		return fmt.Sprintf("does not tell of %s: something else is wrong in %s", s.ID, ids(s.Doubtful))
	}
	return "does not tell of " + s.ID
}

func scenarios(n int) string {
	if n == 1 {
		return "1 scenario"
	}
	return fmt.Sprintf("%d scenarios", n)
}

// states concludes, for each kernel, the state of each change that a cell of
// that kernel, or its user, speaks of.
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

// inOrder lists the known changes in their order first, those that this build of
// Faultline doesn't know (from another version's results) by name behind them.
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
