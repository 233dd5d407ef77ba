package html

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

// flips are a run's history as a picture and a table: which change flipped what on
// the way from the oldest kernel to the newest. Kernels without a version are not in it.
type flips struct {
	Kernels []string
	Rows    []flipRow
	Moves   []move // in words, kernel by kernel
}

// flipRow is a change, or what none explains, and a state a kernel in words.
type flipRow struct {
	Name, ID string
	States   []string
	states   []judge.ChangeVerdict
	moves    []move
}

// move is what flips from a kernel to a later one.
type move struct {
	ID, Text string
	Finding  bool
	to       int
	count    int
}

// unexplainedRow names what no change explains.
const unexplainedRow = "no known change"

func newFlips(run results.Run, short []string) flips {
	var f flips
	h, err := history.Of([]history.Source{{Run: run}}, history.Options{})
	if err != nil {
		return f // no kernel has a version
	}
	for _, k := range h.Kernels {
		i := slices.IndexFunc(run.Kernels, func(o results.Kernel) bool { return o.Name == k.Kernel })
		f.Kernels = append(f.Kernels, short[i])
	}
	for _, m := range h.Moves {
		to := move{ID: m.Change, Finding: m.Finding() || m.Gone, to: m.To, count: len(m.Scenarios)}
		way, n := fmt.Sprintf("%s to %s: ", f.Kernels[m.From], f.Kernels[m.To]), matrix.Count(len(m.Scenarios), "scenario")
		switch {
		case m.Change == "":
			to.Text = way + n + " by " + unexplainedRow
		case m.Gone:
			to.Text = way + m.Change + " is gone again, in " + n
		default:
			to.Text = way + m.Change + " flips " + n
		}
		row := f.row(m.Change, h.Kernels)
		row.moves = append(row.moves, to)
		f.Moves = append(f.Moves, to)
	}
	for _, k := range h.Kernels {
		for _, s := range k.Changes {
			if s.Verdict == judge.Incomplete || s.Verdict == judge.SomethingElse {
				f.row(s.ID, h.Kernels)
			}
		}
	}
	return f
}

// row is the row of a change, which is made where there is none yet. What all
// kernels show alike, and wholly, has none.
func (f *flips) row(id string, kernels []history.Kernel) *flipRow {
	if i := slices.IndexFunc(f.Rows, func(r flipRow) bool { return r.ID == id }); i >= 0 {
		return &f.Rows[i]
	}
	r := flipRow{Name: id, ID: id}
	if id == "" {
		r.Name = unexplainedRow
	}
	for _, k := range kernels {
		s := judge.StateOf(k.Changes, id)
		r.states = append(r.states, s.Verdict)
		r.States = append(r.States, stateWords(s))
	}
	f.Rows = append(f.Rows, r)
	return &f.Rows[len(f.Rows)-1]
}

// stateWords is a state in a table's cell.
func stateWords(s judge.ChangeState) string {
	switch s.Verdict {
	case judge.Has:
		return fmt.Sprintf("has it, in %d", len(s.After))
	case judge.Lacks:
		return fmt.Sprintf("lacks it, in %d", len(s.Before))
	case judge.Incomplete:
		return fmt.Sprintf("incomplete: in %d, not in %d", len(s.After), len(s.Before)+len(s.Part))
	case judge.SomethingElse:
		return fmt.Sprintf("something else, in %d", len(s.Neither))
	}
	return "does not tell"
}
