package matrix

import (
	"strings"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
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
