package html

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/kernels/debian"
	"github.com/faultline/faultline/kernels/upstream"
)

// flips say which change flipped what on the way from the oldest kernel to the
// newest, as what the kernels' cells tell of each change has it.
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

// move is what flips from a kernel to a later one. Of what no change explains, From
// is the kernel that it was compared with.
type move struct {
	ID, Text string
	Finding  bool
	from, to int
	count    int
}

// unexplainedRow names what no change explains.
const unexplainedRow = "no known change"

func newFlips(run results.Run, short []string) flips {
	order := byVersion(run.Kernels)
	var f flips
	for _, k := range order {
		f.Kernels = append(f.Kernels, short[k])
	}
	for _, c := range changes(run) {
		row := flipRow{Name: c.ID, ID: c.ID}
		before, last := judge.ChangeState{}, -1
		for at, k := range order {
			s := stateOf(run.Kernels[k], c.ID)
			row.states = append(row.states, s.Verdict)
			row.States = append(row.States, stateWords(s))
			if s.Verdict == judge.NotSeen {
				continue
			}
			if last >= 0 {
				row.flip(f.Kernels, last, at, shared(before.Before, s.After), false)
				row.flip(f.Kernels, last, at, shared(before.After, s.Before), true)
			}
			before, last = s, at
		}
		// What all kernels show alike flips nothing.
		if len(row.moves) > 0 || slices.Contains(row.states, judge.Incomplete) || slices.Contains(row.states, judge.SomethingElse) {
			f.Rows = append(f.Rows, row)
		}
	}
	if row, ok := unexplained(run, order, f.Kernels); ok {
		f.Rows = append(f.Rows, row)
	}
	for _, r := range f.Rows {
		f.Moves = append(f.Moves, r.moves...)
	}
	slices.SortStableFunc(f.Moves, func(a, b move) int { return cmp.Compare(a.to, b.to) })
	return f
}

// flip adds what n scenarios do between two kernels.
func (r *flipRow) flip(kernels []string, from, to, n int, gone bool) {
	if n == 0 {
		return
	}
	m := move{ID: r.ID, Finding: gone, from: from, to: to, count: n}
	how := "flips"
	if gone {
		how = "is gone again, in"
	}
	m.Text = fmt.Sprintf("%s to %s: %s %s %s", kernels[from], kernels[to], r.Name, how, matrix.Count(n, "scenario"))
	if i := len(r.moves) - 1; i >= 0 && r.moves[i].from == from { // both ways at once: an incomplete change
		r.moves[i].Text += fmt.Sprintf(", and %s %d", how, n)
		r.moves[i].Finding, r.moves[i].count = true, r.moves[i].count+n
		return
	}
	r.moves = append(r.moves, m)
}

// unexplained is the row of scenarios in which kernels differ from the one that
// they were compared with, and nothing predicts it.
func unexplained(run results.Run, order []int, kernels []string) (flipRow, bool) {
	place := map[string]int{}
	for at, k := range order {
		place[run.Kernels[k].Name] = at
	}
	row := flipRow{Name: unexplainedRow}
	seen := map[[2]int]map[string]bool{}
	var pairs [][2]int
	for _, d := range run.Differences {
		from, ok := place[d.KernelA]
		to, there := place[d.KernelB]
		if d.ExplainedBy != "" || !ok || !there {
			continue
		}
		p := [2]int{from, to}
		if seen[p] == nil {
			seen[p], pairs = map[string]bool{}, append(pairs, p)
		}
		seen[p][d.Scenario] = true
	}
	row.States = make([]string, len(order))
	row.states = make([]judge.ChangeVerdict, len(order))
	for i := range row.States {
		row.States[i], row.states[i] = "–", judge.NotSeen
	}
	for _, p := range pairs {
		n := len(seen[p])
		row.states[p[1]] = judge.SomethingElse
		row.States[p[1]] = fmt.Sprintf("%s unlike %s", matrix.Count(n, "scenario"), kernels[p[0]])
		row.moves = append(row.moves, move{Finding: true, from: p[0], to: p[1], count: n,
			Text: fmt.Sprintf("%s to %s: %s by no known change", kernels[p[0]], kernels[p[1]], matrix.Count(n, "scenario"))})
	}
	return row, len(pairs) > 0
}

// byVersion are the columns from the oldest kernel to the newest, those of which
// no version can be read behind them.
func byVersion(kernels []results.Kernel) []int {
	var order []int
	for i := range kernels {
		order = append(order, i)
	}
	versions := make([]string, len(kernels))
	for i, k := range kernels {
		name := cmp.Or(k.Version, k.Release)
		if _, ok := upstream.Base(name); ok {
			versions[i] = strings.Replace(name, "-rc", "~rc", 1) // before the release
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case versions[a] != "" && versions[b] != "":
			return debian.CompareVersions(versions[a], versions[b])
		case versions[a] != "":
			return -1
		case versions[b] != "":
			return 1
		}
		return 0
	})
	return order
}

func stateOf(k results.Kernel, id string) judge.ChangeState {
	if i := slices.IndexFunc(k.Changes, func(s judge.ChangeState) bool { return s.ID == id }); i >= 0 {
		return k.Changes[i]
	}
	return judge.ChangeState{ID: id, Verdict: judge.NotSeen}
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

// shared counts what is in both lists.
func shared(a, b []string) int {
	in := map[string]bool{}
	for _, s := range a {
		in[s] = true
	}
	n := 0
	for _, s := range b {
		if in[s] {
			n++
		}
	}
	return n
}
