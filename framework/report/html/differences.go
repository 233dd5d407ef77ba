package html

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// difference is a field in which one or several kernels differ from another in the same
// way; or attempts on one kernel.
type difference struct {
	Where, Field string
	A, B         string // the values
	OnA, OnB     []string
	By, Why      string // the change that explains it, or "unexplained", "lost", "not repeatable"
	from         int    // the columns
	on           []int
}

// differences returns a row's: those that are equal on several kernels are one.
func differences(run results.Run, r matrix.Row, short []string) []difference {
	type key struct {
		from               int
		attempts           [2]int
		where, field, a, b string
		by                 string
		lost, again        bool
	}
	column := map[string]int{}
	for i, k := range run.Kernels {
		column[k.Name] = i
	}
	var out []difference
	at := map[key]int{}
	for _, d := range slices.Concat(r.Differences, r.Repeats) {
		from, ok := column[d.KernelA]
		on, there := column[d.KernelB]
		if !ok || !there {
			continue // another tool's record
		}
		where := "witness"
		if d.Step != conclusion.WholeCell {
			where = fmt.Sprintf("step %d, %s: %s", d.Step+1, d.Actor, d.Action)
		}
		again := d.KernelA == d.KernelB
		k := key{
			from: from, attempts: [2]int{d.AttemptA, d.AttemptB}, where: where, field: d.Field, a: d.A, b: d.B,
			by: d.ExplainedBy, lost: d.Lost, again: again,
		}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, difference{
				Where: sanitize.Text(where), Field: matrix.FieldWords(d.Field),
				A: sanitize.Text(d.A), B: sanitize.Text(d.B), By: d.ExplainedBy, from: from,
			})
			switch {
			case again:
				out[i].Why = "not repeatable"
			case d.Lost:
				out[i].Why = "lost"
			case d.ExplainedBy == "":
				out[i].Why = "unexplained"
			}
			out[i].OnA = []string{short[from]}
			if again {
				out[i].OnA[0] += fmt.Sprintf(", attempt %d", max(1, d.AttemptA))
			}
		}
		name := short[on]
		if again {
			name += fmt.Sprintf(", attempt %d", max(1, d.AttemptB))
		}
		out[i].on, out[i].OnB = append(out[i].on, on), append(out[i].OnB, name)
	}
	return out
}
