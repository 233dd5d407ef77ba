package history

import (
	"cmp"
	"slices"

	"github.com/faultline/faultline/framework/record/conclusion"
)

// moves groups flips by their kernels and change, ordered by the later kernel, then the
// earlier one, then in the order of changes; unexplained flips come first.
func moves(h History) []Move {
	var out []Move
	add := func(f Flip, change string, lost bool) {
		m := Move{From: f.From, To: f.To, Change: change, Lost: lost}
		m.Gone = lost || change != "" && h.has(f.From, change) && !h.has(f.To, change)
		i := slices.IndexFunc(out, func(o Move) bool {
			return o.From == m.From && o.To == m.To && o.Change == m.Change && o.Lost == m.Lost
		})
		if i < 0 {
			i = len(out)
			out = append(out, m)
		}
		out[i].Scenarios = append(out[i].Scenarios, f.Scenario)
	}
	for _, f := range h.Flips {
		if f.Unexplained {
			add(f, "", false)
		}
		for _, id := range f.Lost {
			add(f, id, true)
		}
		for _, id := range f.Changes {
			add(f, id, false)
		}
	}
	order := h.known.IDs()
	rank := func(m Move) int {
		switch i := slices.Index(order, m.Change); {
		case m.Change == "":
			return -1
		case i < 0: // of another version of Faultline, or a symbol
			return len(order)
		default:
			return i
		}
	}
	slices.SortStableFunc(out, func(a, b Move) int {
		return cmp.Or(
			cmp.Compare(a.To, b.To),
			cmp.Compare(a.From, b.From),
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.Change, b.Change),
		)
	})
	return out
}

// has reports whether a kernel's cells show a change, at least in some scenarios.
func (h History) has(kernel int, id string) bool {
	return slices.ContainsFunc(h.Kernels[kernel].Changes, func(s conclusion.ChangeState) bool {
		return s.ID == id && (s.Verdict == conclusion.Has || s.Verdict == conclusion.Incomplete)
	})
}
