package matrix

import (
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// ChangeWords returns which changes a kernel has according to its cells: "has a and b;
// does not have c or d". It is empty if they cover none.
func ChangeWords(k results.Kernel) string {
	var has, lacks, rest []string
	for _, s := range k.Changes {
		switch {
		case s.Verdict == conclusion.Has && s.Backported:
			has = append(has, s.ID+" (backported)")
		case s.Verdict == conclusion.Has:
			has = append(has, s.ID)
		case s.Verdict == conclusion.Lacks:
			lacks = append(lacks, s.ID)
		default:
			rest = append(rest, s.String())
		}
	}
	var parts []string
	if len(has) > 0 {
		parts = append(parts, "has "+english.WordSeries(has, "and"))
	}
	if n := len(lacks); n > 2 {
		parts = append(parts, "does not have "+strings.Join(lacks[:n-1], ", ")+" or "+lacks[n-1])
	} else if n > 0 {
		parts = append(parts, "does not have "+strings.Join(lacks, " or "))
	}
	return strings.Join(append(parts, rest...), "; ")
}

// Reason is why cells of a kernel have a verdict.
type Reason struct {
	Kernel, Message string
	Scenarios       []string // one for each cell
}

// Reasons returns why cells have a verdict, each reason once for each kernel: it is the
// same for every scenario if a kernel does not boot.
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

// Uncompared returns why cells were not compared with those of the first kernel, each
// reason once for each kernel.
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

// TakenOver counts the cells of a kernel that earlier runs observed.
type TakenOver struct {
	Kernel string
	// Cells of Of were taken over. Skipped cells do not count.
	Cells, Of int
	Runs      []string // the ids of the runs that observed them, sorted
}

// Whole reports whether all cells of the kernel were taken over.
func (t TakenOver) Whole() bool { return t.Cells == t.Of }

// TakenOvers returns the kernels with cells from earlier runs, in their order.
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
