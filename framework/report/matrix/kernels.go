package matrix

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// ChangeWords says which changes a kernel has, as far as its cells tell: "has a
// and b; lacks c". It is empty where they tell of none.
func ChangeWords(k results.Kernel) string {
	words := map[judge.ChangeVerdict][]string{}
	var rest []string
	for _, s := range k.Changes {
		switch id := s.ID; {
		case s.Verdict == judge.Has && s.Backported:
			words[s.Verdict] = append(words[s.Verdict], id+" (backported)")
		case s.Verdict == judge.Has || s.Verdict == judge.Lacks:
			words[s.Verdict] = append(words[s.Verdict], id)
		default:
			rest = append(rest, s.String())
		}
	}
	var parts []string
	for _, v := range []judge.ChangeVerdict{judge.Has, judge.Lacks} {
		if len(words[v]) > 0 {
			parts = append(parts, string(v)+" "+List(words[v]))
		}
	}
	return strings.Join(append(parts, rest...), "; ")
}

// Reason is why cells of a kernel have a verdict.
type Reason struct {
	Kernel, Message string
	Scenarios       []string // one a cell
}

// Reasons are why cells have a verdict, each once a kernel: one that does not
// boot says the same of every scenario.
func Reasons(run results.Run, verdict observe.Verdict) []Reason {
	type key struct{ kernel, message string }
	var out []Reason
	at := map[key]int{}
	for _, c := range run.Cells {
		if c.Verdict != verdict {
			continue
		}
		k := key{c.Kernel, c.Message}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k], out = i, append(out, Reason{Kernel: c.Kernel, Message: c.Message})
		}
		out[i].Scenarios = append(out[i].Scenarios, c.Scenario)
	}
	return out
}

// Uncompared are why cells were not compared with those of the first kernel, each
// once a kernel.
func Uncompared(run results.Run) []Reason {
	type key struct{ kernel, why string }
	var out []Reason
	at := map[key]int{}
	for _, u := range run.Uncompared {
		k := key{u.KernelB, u.Why}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k], out = i, append(out, Reason{Kernel: u.KernelB, Message: u.Why})
		}
		out[i].Scenarios = append(out[i].Scenarios, u.Scenario)
	}
	return out
}

// TakenOver is what of a kernel's cells earlier runs observed.
type TakenOver struct {
	Kernel string
	// Cells of Of were taken over. Those that are not doable were observed by no run.
	Cells, Of int
	Runs      []string // that observed them, by id, sorted
}

// Whole says that all there is of the kernel was taken over.
func (t TakenOver) Whole() bool { return t.Cells == t.Of }

// TakenOvers are the kernels of which a cell was taken over, in their order.
func TakenOvers(run results.Run) []TakenOver {
	var out []TakenOver
	for _, k := range run.Kernels {
		t := TakenOver{Kernel: k.Name}
		for _, c := range run.Cells {
			if c.Kernel != k.Name || c.Verdict == observe.Skipped {
				continue
			}
			if t.Of++; c.ObservedBy != "" {
				t.Cells++
				t.Runs = append(t.Runs, c.ObservedBy)
			}
		}
		if t.Cells > 0 {
			slices.Sort(t.Runs)
			t.Runs = slices.Compact(t.Runs)
			out = append(out, t)
		}
	}
	return out
}
