package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/observe"
)

// FindingKind says why a finding is one.
type FindingKind string

const (
	// UnexplainedDifference: two kernels differ and no known change says why.
	UnexplainedDifference FindingKind = "unexplained_difference"
	// UnexpectedObservation: an outcome contradicts what the scenario expects.
	UnexpectedObservation FindingKind = "unexpected_observation"
	// IncompleteBackport: a kernel has a change in some scenarios only.
	IncompleteBackport FindingKind = "incomplete_backport"
	// WrongDeclaration: every cell contradicts what the matrix says of a kernel.
	WrongDeclaration FindingKind = "wrong_declaration"
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

// Evidence is what findings are made from.
type Evidence struct {
	Cells       []observe.Cell
	Differences []Difference             // between kernels: Compare
	Repeats     []Difference             // of a kernel with itself: Attempts, Repeatability
	States      map[string][]ChangeState // by kernel: ChangeStates
}

// Findings lists what a person must look at, the most telling kind first.
func Findings(e Evidence) []Finding {
	var out []Finding
	out = append(out, stateFindings(e.States)...)
	out = append(out, grouped(e.Differences, UnexplainedDifference)...)
	for _, c := range sorted(e.Cells) {
		if c.Verdict == observe.Unexpected {
			out = append(out, unexpected(c))
		}
	}
	return append(out, grouped(e.Repeats, NotRepeatable)...)
}

func stateFindings(states map[string][]ChangeState) []Finding {
	var kernels []string
	for k := range states {
		kernels = append(kernels, k)
	}
	slices.Sort(kernels)
	var out []Finding
	for _, k := range kernels {
		for _, s := range states[k] {
			f := Finding{Kernels: []string{k}, Change: s.ID}
			switch {
			case s.Verdict == Incomplete && !s.Known:
				f.Kind = IncompleteBackport
				f.Message = fmt.Sprintf("%s shows %s in %s, but not in %s", k, s.ID, ids(s.Agree), ids(s.Disagree))
			case s.Verdict == Incomplete:
				f.Kind = IncompleteBackport
				f.Message = fmt.Sprintf("%s %s %s (%s), but %s %s otherwise", k, hasWord(s.Has), s.ID, s.By, ids(s.Disagree), verb(s.Disagree))
			case s.Known && len(s.Disagree) > 0:
				f.Kind = WrongDeclaration
				f.Message = fmt.Sprintf("%s is declared with %s: %t, but every scenario under it says otherwise (%s); correct the matrix", k, s.ID, s.Has, ids(s.Disagree))
			default:
				continue
			}
			out = append(out, f)
		}
	}
	return out
}

// grouped makes one finding of the differences that no change explains
// between the same two cells.
func grouped(diffs []Difference, kind FindingKind) []Finding {
	type key struct {
		scenario, a, b     string
		attemptA, attemptB int
	}
	var order []key
	fields := map[key][]string{}
	for _, d := range diffs {
		if d.ExplainedBy != "" {
			continue
		}
		k := key{d.Scenario, d.KernelA, d.KernelB, d.AttemptA, d.AttemptB}
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
	var unmet []string
	for i, s := range c.Steps {
		if s.Expected == nil || s.Expected.Met {
			continue
		}
		if f.Change == "" {
			f.Change = s.Expected.Change
		}
		unmet = append(unmet, fmt.Sprintf("step %d (%s: %s) expected %s, saw %s", i+1, s.Actor, s.Action, Wanted(*s.Expected), s.Outcome))
	}
	what := c.Message
	if len(unmet) > 0 {
		what = strings.Join(unmet, "; ")
	}
	f.Message = fmt.Sprintf("%s on %s: %s", c.Scenario, c.Kernel, what)
	if c.Attempt > 0 {
		f.Message = fmt.Sprintf("%s on %s (attempt %d): %s", c.Scenario, c.Kernel, c.Attempt, what)
	}
	return f
}

// Wanted is the side of an expectation that the kernel should have shown.
func Wanted(e observe.Expectation) string {
	if e.Change != "" && !e.Has {
		return e.Before
	}
	return e.After
}

// ids lists scenario ids for a message, the first few of many.
func ids(list []string) string {
	const limit = 4
	if len(list) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:limit], ", "), len(list)-limit)
	}
	return strings.Join(list, ", ")
}

func hasWord(has bool) string {
	if has {
		return "has"
	}
	return "lacks"
}

func verb(list []string) string {
	if len(list) == 1 {
		return "says"
	}
	return "say"
}
