package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Fold groups the columns that show the same: in every row the same verdict and the
// same observation in every field. The members of a group are in column order, and the
// groups are ordered by their first member.
func Fold(rows []Row, columns int) [][]int {
	var groups [][]int
	for k := range columns {
		i := slices.IndexFunc(groups, func(g []int) bool { return alike(rows, g[0], k) })
		if i < 0 {
			groups = append(groups, []int{k})
		} else {
			groups[i] = append(groups[i], k)
		}
	}
	return groups
}

func alike(rows []Row, i, j int) bool {
	for _, r := range rows {
		a, b := r.Cells[i], r.Cells[j]
		if a == nil && b == nil {
			continue
		}
		if a == nil || b == nil || a.Verdict != b.Verdict || a.Accel != b.Accel || r.repeated(a.Kernel) ||
			r.repeated(b.Kernel) {
			return false
		}
		if a.Comparable() && len(judge.Differ(*a, *b)) > 0 || !a.Comparable() && a.Message != b.Message {
			return false
		}
	}
	return true
}

// repeated reports whether attempts on a kernel differ.
func (r Row) repeated(kernel string) bool {
	return slices.ContainsFunc(r.Repeats, func(d conclusion.Difference) bool { return d.KernelA == kernel })
}

// shortRunes is how many characters of a kernel's name fit above a column.
const shortRunes = 28

// Short returns distinct names of kernels that fit above columns: their versions, and
// the rest of the name if several have the same version.
func Short(kernels []results.Kernel) []string {
	times := map[string]int{}
	for _, k := range kernels {
		times[k.Version]++
	}
	var out []string
	for _, k := range kernels {
		name := k.Version
		switch rest := strings.Trim(strings.TrimPrefix(k.Name, k.Version), " ,()"); {
		case name == "" || times[name] > 1 && rest == "":
			name = k.Name
		case times[name] > 1:
			name += " " + rest
		}
		if r := []rune(name); len(r) > shortRunes {
			name = string(r[:shortRunes/2]) + "…" + string(r[len(r)-shortRunes/2+1:])
		}
		base := name
		for n := 2; slices.Contains(out, name); n++ {
			name = fmt.Sprintf("%s #%d", base, n)
		}
		out = append(out, name)
	}
	return out
}

// Unlike returns for each cell of a row the fields in which it differs from the kernel
// that it was compared with, each once: "note", "badblocks".
func (r Row) Unlike() [][]string {
	at := map[string]int{}
	for i, c := range r.Cells {
		if c != nil {
			at[c.Kernel] = i
		}
	}
	out := make([][]string, len(r.Cells))
	for _, d := range r.Differences {
		i, ok := at[d.KernelB]
		if field := FieldWords(d.Field); ok && !slices.Contains(out[i], field) {
			out[i] = append(out[i], field)
		}
	}
	return out
}

// FieldWords returns the text for a field of a difference: the name of a witness.
func FieldWords(field string) string { return strings.TrimPrefix(field, conclusion.WitnessPrefix) }

// Groups returns the rows by suite, or by the first part of the id of a scenario that
// has none, in the order of the rows.
func Groups(rows []Row) []Group {
	var out []Group
	at := map[string]int{}
	for _, r := range rows {
		name := r.Scenario.Suite
		if name == "" {
			name, _, _ = strings.Cut(r.Scenario.ID, "/")
		}
		i, ok := at[name]
		if !ok {
			i = len(out)
			at[name], out = i, append(out, Group{Name: name})
		}
		out[i].Rows = append(out[i].Rows, r)
	}
	return out
}

// Group is rows that belong together.
type Group struct {
	Name string
	Rows []Row
}

// Reference returns for each cell of a row the one that it was compared with: the first
// that observed something with the same accelerator; -1 for that one itself, and for
// one that observed nothing.
func (r Row) Reference() []int {
	first := map[string]int{}
	out := make([]int, len(r.Cells))
	for i, c := range r.Cells {
		out[i] = -1
		if c == nil || !c.Comparable() {
			continue
		}
		if at, ok := first[c.Accel]; ok {
			out[i] = at
		} else {
			first[c.Accel] = i
		}
	}
	return out
}

// Variants numbers the different texts of the row's cells, from 0 for the first cell's;
// -1 if nothing was observed.
func (r Row) Variants() []int {
	var seen []string
	out := make([]int, len(r.Cells))
	for i, text := range r.Texts() {
		c := r.Cells[i]
		if c == nil || c.Verdict == observe.Skipped || c.Verdict == observe.Infra {
			out[i] = -1
			continue
		}
		if out[i] = slices.Index(seen, text); out[i] < 0 {
			out[i], seen = len(seen), append(seen, text)
		}
	}
	return out
}
