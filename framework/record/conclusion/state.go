package conclusion

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"
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
		return fmt.Sprintf("has %s (%sseen in %s)", s.ID, note, english.Plural(len(s.After), "scenario", ""))
	case Lacks:
		return fmt.Sprintf("does not have %s (absent in %s)", s.ID, english.Plural(len(s.Before), "scenario", ""))
	case Incomplete:
		return incomplete(s)
	case SomethingElse:
		return fmt.Sprintf("shows neither side of %s in %s", s.ID, Scenarios(s.Neither))
	}
	if s.Hidden != "" {
		return fmt.Sprintf("cannot show %s without CONFIG_%s", s.ID, s.Hidden)
	}
	if len(s.Doubtful) > 0 {
		return fmt.Sprintf("does not show whether it has %s: there is another problem in %s", s.ID, Scenarios(s.Doubtful))
	}
	return "does not show whether it has " + s.ID
}

// incomplete describes where a change is missing; all scenarios by name if they are the
// smaller part.
func incomplete(s ChangeState) string {
	var parts []string
	if len(s.After) > 0 {
		parts = append(parts, fmt.Sprintf("shows %s in %s", s.ID, Scenarios(s.After)))
	}
	if len(s.Before) > 0 {
		missing := Scenarios(s.Before)
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

// StateOf returns the state of a change among those of a kernel, NotSeen by default.
func StateOf(states []ChangeState, id string) ChangeState {
	if i := slices.IndexFunc(states, func(s ChangeState) bool { return s.ID == id }); i >= 0 {
		return states[i]
	}
	return ChangeState{ID: id, Verdict: NotSeen}
}

// Scenarios formats scenario ids for a message, shortened after the first few.
func Scenarios(list []string) string {
	const limit = 4
	if len(list) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:limit], ", "), len(list)-limit)
	}
	return strings.Join(list, ", ")
}
