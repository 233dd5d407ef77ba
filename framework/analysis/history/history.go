// Package history puts the kernels of one or several records into the order of
// their versions and says between which neighbours a scenario flipped, and by which
// change. The records may be of any age and machine. Package compare compares, one
// kernel with the one before; history chooses which two, and observes nothing.
package history

import (
	"cmp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// Source is a record.
type Source struct {
	// Label is what its user calls it: the path of a folder.
	Label string
	Run   results.Run
}

// Options say how to compare.
type Options struct {
	// AnyAccel compares cells that ran with different accelerators, too.
	AnyAccel bool
	// Changes are those that a user declares; nil stands for those of the records.
	Changes change.List
}

// History is what follows from the records. Kernels are named by their index in
// Kernels, the oldest first.
type History struct {
	Kernels []Kernel `json:"kernels"`
	// Unplaced are kernels whose version can't be read. They are compared with none.
	Unplaced []Kernel `json:"unplaced,omitempty"`
	// Scenarios are the ids of all rows, in the order of the plans.
	Scenarios []string `json:"scenarios"`
	// Flips are ordered by kernel, then as Scenarios: what is not among them, nor in a
	// gap, is the same as on the kernel before.
	Flips []Flip `json:"flips"`
	// Moves are the same flips by change.
	Moves []Move `json:"moves"`
	// Gaps are where a scenario was not observed, or not compared.
	Gaps []Gap `json:"gaps,omitempty"`
	// Unrecorded are witnesses that were not compared somewhere, because two versions of
	// Faultline observed and only one of them records these.
	Unrecorded []string `json:"unrecorded,omitempty"`

	known change.List
	rows  map[string]int // a scenario's place in Scenarios
}

// Kernel is a kernel of a record.
type Kernel struct {
	compare.Column
	// Title is short and no other kernel's: its version, or its name, with the record
	// behind it where another record has the same.
	Title   string `json:"title"`
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest"`
	// Again says that it is the kernel before it, to the byte, in another record: what
	// flips there is no kernel's doing.
	Again bool `json:"again,omitempty"`
	// Changes are what its cells, taken alone, say of each change.
	Changes []judge.ChangeState `json:"changes,omitempty"`

	place place
	run   int // its record
}

// Flip is a scenario that shows something else on a kernel than on the one before
// that observed it.
type Flip struct {
	Scenario string `json:"scenario"`
	// From and To are kernels. Those between them did not observe the scenario, or
	// could not be compared, so that it is not known at which one it flipped.
	From int `json:"from"`
	To   int `json:"to"`
	// Changes predict what differs; one that got lost does not.
	Changes []string `json:"changes,omitempty"`
	Lost    []string `json:"lost,omitempty"`
	// Unexplained says that nothing predicts some of it.
	Unexplained bool               `json:"unexplained,omitempty"`
	Differences []judge.Difference `json:"differences"`
}

// Finding says whether the flip is one: something of it is unexplained, or a
// change was lost.
func (f Flip) Finding() bool { return slices.ContainsFunc(f.Differences, compare.Finding) }

// Move is what flipped between two kernels by one change, or by none.
type Move struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Change is its id, CONFIG_SYMBOL where one of the kernels lacks what it takes to see
	// a change, or empty: nothing predicts it.
	Change string `json:"change,omitempty"`
	Lost   bool   `json:"lost,omitempty"`
	// Gone says that it is From that has the change, whether that is a loss or not.
	Gone bool `json:"gone,omitempty"`
	// Scenarios are in the order of the plans.
	Scenarios []string `json:"scenarios"`
}

// Finding says whether the move is one.
func (m Move) Finding() bool { return m.Change == "" || m.Lost }

// Gap is why scenarios say nothing of a kernel, or of the way to it.
type Gap struct {
	Kernel int    `json:"kernel"`
	Why    string `json:"why"`
	// Rig says that the rig, or an interruption, is why: a run that goes on or is
	// tried again may tell.
	Rig       bool     `json:"rig,omitempty"`
	Scenarios []string `json:"scenarios"`
}

// ExitCode is what the command line ends with, as that of a comparison.
func (h History) ExitCode() int {
	switch {
	case slices.ContainsFunc(h.Flips, Flip.Finding):
		return errkind.ExitUnexpected
	case slices.ContainsFunc(h.Gaps, func(g Gap) bool { return g.Rig }):
		return errkind.ExitInfra
	}
	return errkind.ExitExpected
}

// Of makes the history of records. That none of them has a kernel whose version
// can be read is the request's fault.
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
		return History{}, errkind.Requestf("none of the kernels has a version that can be read: %s", strings.Join(titles(h.Unplaced), ", "))
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
