package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Fold gathers the columns that show the same: in every row the same verdict, and
// field by field the same observation. Each group is in the order of the columns,
// and so are the groups, by their first.
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
		if a == nil || b == nil || a.Verdict != b.Verdict || a.Accel != b.Accel || r.repeated(a.Kernel) || r.repeated(b.Kernel) {
			return false
		}
		if judge.Comparable(*a) && len(judge.Differ(*a, *b)) > 0 || !judge.Comparable(*a) && a.Message != b.Message {
			return false
		}
	}
	return true
}

// repeated says whether attempts on a kernel differ.
func (r Row) repeated(kernel string) bool {
	return slices.ContainsFunc(r.Repeats, func(d judge.Difference) bool { return d.KernelA == kernel })
}

// shortRunes is how much of a kernel's name fits above a column.
const shortRunes = 28

// Short are names of kernels that fit above columns and tell them apart: their
// versions, and where several have the same, what else a kernel's name says.
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

// Unlike says for each cell of a row in which fields it differs from the kernel
// that it was compared with, each once, in words: "note", "witness badblocks".
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

// FieldWords names the field of a difference for a person: a witness by its name.
func FieldWords(field string) string { return strings.TrimPrefix(field, judge.WitnessPrefix) }

// Groups are the rows by suite, or by the first word of a scenario that has none,
// in the order in which the rows name them.
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

// Reference is the cell that each of a row's was compared with: the first that
// observed something with the same accelerator; -1 where it is that itself, or
// observed nothing.
func (r Row) Reference() []int {
	first := map[string]int{}
	out := make([]int, len(r.Cells))
	for i, c := range r.Cells {
		out[i] = -1
		if c == nil || !judge.Comparable(*c) {
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

// Variants number what the row's cells show, from 0 for what the first shows;
// -1 where nothing was observed.
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
