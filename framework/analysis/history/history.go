// Package history orders the kernels of one or several records by version and finds
// between which neighbours a scenario flipped, and by which change. The records may be
// of any age and machine. It chooses the pairs of kernels that package compare compares,
// and observes nothing.
package history

import (
	"cmp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// Source is a record.
type Source struct {
	// Label is the user's name for it: the path of a folder.
	Label string
	Run   results.Run
}

// Options configures the comparisons.
type Options struct {
	// AnyAccel also compares cells that ran with different accelerators.
	AnyAccel bool
	// Changes are those that a user declares; nil uses those of the records.
	Changes change.List
}

// History is what follows from the records. Kernels are referred to by their index in
// Kernels, the oldest first.
type History struct {
	Kernels []Kernel `json:"kernels"`
	// Unplaced are kernels without a readable version. They are not compared.
	Unplaced []Kernel `json:"unplaced,omitempty"`
	// Scenarios are the ids of all rows, in the order of the plans.
	Scenarios []string `json:"scenarios"`
	// Flips are ordered by kernel, then as Scenarios: a scenario that is neither here nor
	// in a gap is the same as on the previous kernel.
	Flips []Flip `json:"flips"`
	// Moves are the same flips by change.
	Moves []Move `json:"moves"`
	// Gaps are the scenarios that were not observed or not compared on a kernel.
	Gaps []Gap `json:"gaps,omitempty"`
	// Unrecorded are witnesses that were not compared somewhere because only one of two
	// versions of Faultline records them.
	Unrecorded []string `json:"unrecorded,omitempty"`

	known change.List
	rows  map[string]int // a scenario's index in Scenarios
}

// Kernel is a kernel of a record.
type Kernel struct {
	compare.Column
	// Title is a short and unique name: its version, that of its package, or its name,
	// followed by the record if another record has the same.
	Title   string `json:"title"`
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest"`
	// Again reports that it is the same image as the previous kernel, in another record:
	// the kernel is not the cause of a flip between these.
	Again bool `json:"again,omitempty"`
	// Changes are the states of the changes according to its cells alone.
	Changes []conclusion.ChangeState `json:"changes,omitempty"`

	place place
	run   int // its record
}

// Flip is a scenario that differs between a kernel and the previous one that observed it.
type Flip struct {
	Scenario string `json:"scenario"`
	// From and To are kernels. Those between them did not observe the scenario, or could
	// not be compared, so it is not known on which one it flipped.
	From int `json:"from"`
	To   int `json:"to"`
	// Changes predict the differences; Lost are changes that were lost.
	Changes []string `json:"changes,omitempty"`
	Lost    []string `json:"lost,omitempty"`
	// Unexplained reports that no change predicts a part of it.
	Unexplained bool                    `json:"unexplained,omitempty"`
	Differences []conclusion.Difference `json:"differences"`
}

// Finding reports whether the flip is a finding: a part of it is unexplained, or a change
// was lost.
func (f Flip) Finding() bool { return slices.ContainsFunc(f.Differences, compare.Finding) }

// Move is the scenarios that flipped between two kernels by one change, or by none.
type Move struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Change is its id, CONFIG_SYMBOL if one of the kernels is built without a symbol that
	// a change needs to be seen, or empty if no change predicts the flip.
	Change string `json:"change,omitempty"`
	Lost   bool   `json:"lost,omitempty"`
	// Gone reports that From has the change and To does not, lost or not.
	Gone bool `json:"gone,omitempty"`
	// Scenarios are in the order of the plans.
	Scenarios []string `json:"scenarios"`
}

// Finding reports whether the move is a finding.
func (m Move) Finding() bool { return m.Change == "" || m.Lost }

// Gap is why scenarios were not compared on a kernel.
type Gap struct {
	Kernel int    `json:"kernel"`
	Why    string `json:"why"`
	// Infra reports that the cause is an infrastructure failure, an interruption or another
	// host: resuming or repeating the run may close the gap.
	Infra     bool     `json:"infra,omitempty"`
	Scenarios []string `json:"scenarios"`
}

// ExitCode returns the command's exit code, like that of a comparison.
func (h History) ExitCode() int {
	switch {
	case slices.ContainsFunc(h.Flips, Flip.Finding):
		return errkind.ExitUnexpected
	case slices.ContainsFunc(h.Gaps, func(g Gap) bool { return g.Infra }):
		return errkind.ExitInfra
	}
	return errkind.ExitExpected
}

// Of returns the history of records. It returns a request error if no kernel has a
// readable version.
func Of(sources []Source, opt Options) (History, error) {
	declared := opt.Changes
	if declared == nil {
		for _, s := range sources {
			for _, c := range s.Run.Changes {
				if _, err := declared.ByID(c.ID); err != nil {
					declared = append(declared, c)
				}
			}
		}
	}
	h := History{Flips: []Flip{}, Moves: []Move{}, known: change.All().With(declared)}
	h.place(sources, declared)
	if len(h.Kernels) == 0 {
		return History{}, errkind.Requestf("no kernel has a readable version: %s; give records of kernels with one",
			strings.Join(titles(h.Unplaced), ", "))
	}
	h.rows = map[string]int{}
	for _, id := range compare.Planned(runs(sources)...) {
		h.rows[id] = len(h.Scenarios)
		h.Scenarios = append(h.Scenarios, id)
	}
	w := newWalk(&h, sources, compare.Options{AnyAccel: opt.AnyAccel, Changes: declared})
	for i := range h.Kernels {
		if err := w.step(i); err != nil {
			return History{}, err
		}
	}
	slices.SortStableFunc(h.Flips, func(a, b Flip) int {
		return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(h.rows[a.Scenario], h.rows[b.Scenario]))
	})
	h.Moves = append(h.Moves, moves(h)...)
	return h, nil
}

func runs(sources []Source) []results.Run {
	var out []results.Run
	for _, s := range sources {
		out = append(out, s.Run)
	}
	return out
}
