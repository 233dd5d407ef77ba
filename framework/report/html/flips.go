package html

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
)

// flips is a run's history as a picture and a table: which change flipped which
// scenarios, from the oldest kernel to the newest. Kernels without a version are left out.
type flips struct {
	Kernels []string
	Rows    []flipRow
	Moves   []move // as text, kernel by kernel
}

// flipRow is a change, or no known one, with the text of its state on each kernel.
type flipRow struct {
	Name, ID string
	States   []string
	states   []conclusion.ChangeVerdict
	moves    []move
}

// move is what flips between a kernel and a later one.
type move struct {
	ID, Text string
	Finding  bool
	to       int
	count    int
}

// unexplainedRow is the name of the row of unexplained flips.
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
		way, n := fmt.Sprintf(
			"%s to %s: ",
			f.Kernels[m.From],
			f.Kernels[m.To],
		), english.Plural(
			len(m.Scenarios),
			"scenario",
			"",
		)
		switch {
		case m.Change == "":
			to.Text = way + n + " by " + unexplainedRow
		case m.Gone:
			to.Text = way + m.Change + " is gone in " + n
		default:
			to.Text = way + m.Change + " flips " + n
		}
		row := f.row(m.Change, h.Kernels)
		row.moves = append(row.moves, to)
		f.Moves = append(f.Moves, to)
	}
	for _, k := range h.Kernels {
		for _, s := range k.Changes {
			if s.Verdict == conclusion.Incomplete || s.Verdict == conclusion.SomethingElse {
				f.row(s.ID, h.Kernels)
			}
		}
	}
	return f
}

// row returns the row of a change, and adds it if it is new. A change that is complete
// and the same on all kernels has none.
func (f *flips) row(id string, kernels []history.Kernel) *flipRow {
	if i := slices.IndexFunc(f.Rows, func(r flipRow) bool { return r.ID == id }); i >= 0 {
		return &f.Rows[i]
	}
	r := flipRow{Name: id, ID: id}
	if id == "" {
		r.Name = unexplainedRow
	}
	for _, k := range kernels {
		s := conclusion.StateOf(k.Changes, id)
		r.states = append(r.states, s.Verdict)
		r.States = append(r.States, stateWords(s))
	}
	f.Rows = append(f.Rows, r)
	return &f.Rows[len(f.Rows)-1]
}

// stateWords returns the text of a state for a table's cell.
func stateWords(s conclusion.ChangeState) string {
	switch s.Verdict {
	case conclusion.Has:
		return fmt.Sprintf("seen in %d", len(s.After))
	case conclusion.Lacks:
		return fmt.Sprintf("absent in %d", len(s.Before))
	case conclusion.Incomplete:
		return fmt.Sprintf("incomplete: seen in %d, not in %d", len(s.After), len(s.Before)+len(s.Part))
	case conclusion.SomethingElse:
		return fmt.Sprintf("something else in %d", len(s.Neither))
	}
	return "unknown"
}
