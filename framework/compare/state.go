package compare

import (
	"slices"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
)

// How it is known whether a kernel has a change.
const (
	ByDeclaration = "declared" // the matrix says so
	ByProbe       = "probe"    // the change's probe scenario showed it
)

// ChangeVerdict says what a kernel's cells, taken together, make of a change.
type ChangeVerdict string

const (
	// Complete: every cell under the change shows it.
	Complete ChangeVerdict = "complete"
	// Absent: every cell under the change shows the behaviour before it.
	Absent ChangeVerdict = "absent"
	// Incomplete: some cells show it and some don't, as after a backport that
	// forgot a part.
	Incomplete ChangeVerdict = "incomplete"
	// Undetermined: no cell tells.
	Undetermined ChangeVerdict = "unknown"
)

// ChangeState is what is known of one change on one kernel.
type ChangeState struct {
	ID string `json:"id"`
	// Has says whether the kernel has the change; it means nothing unless Known.
	Has   bool `json:"has"`
	Known bool `json:"known"`
	// By is ByDeclaration, ByProbe, or empty when it is not known.
	By string `json:"by,omitempty"`
	// Agree and Disagree are the scenarios whose cells show what Has says, or
	// the opposite in at least one step. Where Has is not known they are those
	// that show the change, and those that show the behaviour before it. A
	// step whose outcome is on both sides or on neither counts for none.
	Agree    []string      `json:"agree,omitempty"`
	Disagree []string      `json:"disagree,omitempty"`
	Verdict  ChangeVerdict `json:"verdict"`
}

// Known says whether a kernel has a change, and how that is known:
// ByDeclaration or ByProbe.
type Known struct {
	Has bool
	By  string
}

// Given holds what was known of kernels when their scenarios ran: kernel name,
// change id, has it.
type Given map[string]map[string]Known

// ChangeStates gathers, for each kernel, the state of each change that a cell
// of that kernel or given speaks of. Where nothing is given, the cell of the
// change's probe scenario tells. A declaration wins over that cell; the cells
// then show whether it is true (see Findings).
func ChangeStates(cells []observe.Cell, given Given) map[string][]ChangeState {
	var kernels []string
	for _, c := range cells {
		kernels = append(kernels, c.Kernel)
	}
	for k := range given {
		kernels = append(kernels, k)
	}
	slices.Sort(kernels)
	out := map[string][]ChangeState{}
	for _, k := range slices.Compact(kernels) {
		if states := kernelStates(cells, k, given[k]); len(states) > 0 {
			out[k] = states
		}
	}
	return out
}

func kernelStates(cells []observe.Cell, kernel string, given map[string]Known) []ChangeState {
	shown := map[string]map[string]sides{} // by change, then scenario
	for id := range given {
		shown[id] = map[string]sides{}
	}
	for _, c := range cells {
		if c.Kernel != kernel || !Comparable(c) {
			continue
		}
		for _, s := range c.Steps {
			if s.Expected == nil || s.Expected.Change == "" {
				continue
			}
			id := s.Expected.Change
			if shown[id] == nil {
				shown[id] = map[string]sides{}
			}
			at := shown[id][c.Scenario]
			at.before = at.before || s.Expected.Side == "before"
			at.after = at.after || s.Expected.Side == "after"
			shown[id][c.Scenario] = at
		}
	}
	var out []ChangeState
	for _, id := range inOrder(shown) {
		out = append(out, newState(id, shown[id], given[id]))
	}
	return out
}

// sides are those that a scenario's steps showed.
type sides struct{ before, after bool }

func newState(id string, shown map[string]sides, given Known) ChangeState {
	s := ChangeState{ID: id, Verdict: Undetermined}
	if given.By != "" {
		s.Has, s.Known, s.By = given.Has, true, given.By
	} else if known, err := change.ByID(id); err == nil {
		if p := shown[known.Probe]; p.before != p.after {
			s.Has, s.Known, s.By = p.after, true, ByProbe
		}
	}
	// A probe is an observation in itself, even when its scenario was not run.
	before, after := s.By == ByProbe && !s.Has, s.By == ByProbe && s.Has
	for scenario, at := range shown {
		before, after = before || at.before, after || at.after
		against := at.before
		if s.Known && !s.Has {
			against = at.after
		}
		switch {
		case against:
			s.Disagree = append(s.Disagree, scenario)
		case at.before || at.after:
			s.Agree = append(s.Agree, scenario)
		}
	}
	slices.Sort(s.Agree)
	slices.Sort(s.Disagree)
	switch {
	case before && after:
		s.Verdict = Incomplete
	case after && s.Known:
		s.Verdict = Complete
	case before && s.Known:
		s.Verdict = Absent
	}
	return s
}

// inOrder lists the changes upstream's order first, those that this build of
// Faultline doesn't know (from another version's results) by name behind them.
func inOrder(shown map[string]map[string]sides) []string {
	var out, rest []string
	for _, c := range change.All() {
		if _, ok := shown[c.ID]; ok {
			out = append(out, c.ID)
		}
	}
	for id := range shown {
		if !slices.Contains(out, id) {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}
