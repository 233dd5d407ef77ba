package compare

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/faultline/faultline/framework/observe"
)

// WholeCell is the Step of a difference that belongs to no step: a witness.
const WholeCell = -1

// Fields of a Difference that are not a field of a step's outcome.
const (
	// FieldSteps says that the cells have different numbers of steps.
	FieldSteps = "steps"
	// FieldAction says that the cells did different things from this step on.
	FieldAction = "action"
	// WitnessPrefix begins the field of a witness: "witness:badblocks".
	WitnessPrefix = "witness:"
)

// absent stands for a value that one of the cells doesn't have.
const absent = "none"

// Difference is one field in which two cells of the same scenario differ.
type Difference struct {
	Scenario string `json:"scenario"`
	KernelA  string `json:"kernel_a"`
	KernelB  string `json:"kernel_b"`
	// AttemptA and AttemptB are set when a kernel is compared with itself.
	AttemptA int `json:"attempt_a,omitempty"`
	AttemptB int `json:"attempt_b,omitempty"`
	// Step is the step's index, from 0; WholeCell for a witness.
	Step   int    `json:"step"`
	Actor  string `json:"actor,omitempty"`
	Action string `json:"action,omitempty"`
	// Field is the path of what differs: "signals[0].code", "errno", "exit",
	// "steps", "witness:badblocks".
	Field string `json:"field"`
	A     string `json:"a"` // the value on KernelA
	B     string `json:"b"` // the value on KernelB
	// ExplainedBy is the id of the known change that explains it, or empty.
	ExplainedBy string `json:"explained_by,omitempty"`
}

// String is the difference in a line: what differs, and both values.
func (d Difference) String() string {
	where := d.Field
	if d.Step != WholeCell {
		where = fmt.Sprintf("step %d (%s: %s) %s", d.Step+1, d.Actor, d.Action, d.Field)
	}
	return fmt.Sprintf("%s: %s / %s", where, brief(d.A), brief(d.B))
}

// brief keeps a value such as a page of kernel log out of a one-line message.
func brief(s string) string {
	const limit = 60
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return `""`
	}
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

// Comparable says whether a cell holds an observation: trouble with the rig
// and a scenario that a kernel can't do are never a difference.
func Comparable(c observe.Cell) bool {
	return c.Verdict == observe.Expected || c.Verdict == observe.Unexpected
}

// Pick is the cell that stands for a kernel and a scenario that were tried
// several times: the first attempt that observed something, else the first.
// The attempts themselves are compared by Attempts. False if there is none.
func Pick(cells []observe.Cell, kernel, scenario string) (observe.Cell, bool) {
	var best observe.Cell
	found := false
	for _, c := range cells {
		if c.Kernel != kernel || c.Scenario != scenario {
			continue
		}
		better := Comparable(c) && !Comparable(best) ||
			Comparable(c) == Comparable(best) && c.Attempt < best.Attempt
		if !found || better {
			best, found = c, true
		}
	}
	return best, found
}

// Compare finds the differences between kernels, scenario by scenario: each
// kernel against the first one, in the order of kernels, that observed the
// scenario with the same accelerator. Comparing with the first, not with the
// neighbour, keeps the question the same in every column: what differs from
// the kernel that was named first? Kernels that kernels doesn't name are not
// compared. The result is ordered by scenario, kernel and step.
func Compare(cells []observe.Cell, kernels []string) []Difference {
	byKey := map[[2]string][]observe.Cell{}
	var scenarios []string
	for _, c := range cells {
		if !slices.Contains(scenarios, c.Scenario) {
			scenarios = append(scenarios, c.Scenario)
		}
		k := [2]string{c.Kernel, c.Scenario}
		byKey[k] = append(byKey[k], c)
	}
	slices.Sort(scenarios)
	var out []Difference
	for _, scenario := range scenarios {
		reference := map[string]observe.Cell{} // by accelerator
		for _, kernel := range kernels {
			c, ok := Pick(byKey[[2]string{kernel, scenario}], kernel, scenario)
			if !ok || !Comparable(c) {
				continue
			}
			first, ok := reference[c.Accel]
			if !ok {
				reference[c.Accel] = c
				continue
			}
			out = append(out, Cells(first, c)...)
		}
	}
	return out
}

// Cells finds the fields in which two cells of a scenario differ, and the
// changes that explain them. Nothing differs between cells that can't be
// compared (see Comparable) or come from different accelerators.
func Cells(a, b observe.Cell) []Difference {
	if !Comparable(a) || !Comparable(b) || a.Accel != b.Accel {
		return nil
	}
	out := fields(a, b, false)
	explain(out, a, b)
	return out
}

// Repeatability compares two observations of the same kernels, as two runs in
// a row give them: cells of the same kernel, scenario and accelerator whose
// canonical bytes differ, field by field. Where several attempts exist, each
// is compared with the attempt of the same number.
func Repeatability(cellsA, cellsB []observe.Cell) []Difference {
	var out []Difference
	for _, a := range sorted(cellsA) {
		for _, b := range cellsB {
			if a.Kernel == b.Kernel && a.Scenario == b.Scenario && a.Attempt == b.Attempt {
				out = append(out, repeat(a, b)...)
			}
		}
	}
	return out
}

// Attempts compares the attempts at the same cell within a run: each against
// the first one that observed something.
func Attempts(cells []observe.Cell) []Difference {
	var out []Difference
	type key struct{ kernel, scenario, accel string }
	first := map[key]observe.Cell{}
	for _, c := range sorted(cells) {
		if !Comparable(c) {
			continue
		}
		k := key{c.Kernel, c.Scenario, c.Accel}
		if a, ok := first[k]; ok {
			out = append(out, repeat(a, c)...)
		} else {
			first[k] = c
		}
	}
	return out
}

// repeat compares a cell with another observation of the same.
func repeat(a, b observe.Cell) []Difference {
	if !Comparable(a) || !Comparable(b) || a.Accel != b.Accel || bytes.Equal(a.Canonical(), b.Canonical()) {
		return nil
	}
	out := fields(a, b, true)
	for i := range out {
		out[i].AttemptA, out[i].AttemptB = a.Attempt, b.Attempt
	}
	return out
}

// sorted orders cells by scenario, kernel and attempt, whatever order they finished in.
func sorted(cells []observe.Cell) []observe.Cell {
	out := slices.Clone(cells)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch {
		case a.Scenario != b.Scenario:
			return a.Scenario < b.Scenario
		case a.Kernel != b.Kernel:
			return a.Kernel < b.Kernel
		}
		return a.Attempt < b.Attempt
	})
	return out
}

// explain names the change behind each difference that has one. A difference
// in a step is explained when the step's expectation names the change in both
// cells, both outcomes are what was expected, and the kernels differ in having
// the change. One in a witness of poison is explained by what explains a step of
// the same cell, because the kernel's words come with its deeds; and so is one
// that a cell lacks, because a guest that panicked can't be asked.
func explain(diffs []Difference, a, b observe.Cell) {
	var explained string
	for i, d := range diffs {
		if d.Step == WholeCell || d.Field == FieldSteps || d.Field == FieldAction {
			continue
		}
		diffs[i].ExplainedBy = explainedStep(a.Steps[d.Step].Expected, b.Steps[d.Step].Expected)
		if explained == "" {
			explained = diffs[i].ExplainedBy
		}
	}
	for i, d := range diffs {
		if d.Step != WholeCell {
			continue
		}
		if poisonWitness(strings.TrimPrefix(d.Field, WitnessPrefix)) || d.A == notRecorded || d.B == notRecorded {
			diffs[i].ExplainedBy = explained
		}
	}
}

// poisonWitness says whether a witness tells what a kernel did about poison,
// beside what it told the program.
func poisonWitness(name string) bool {
	name, _, _ = strings.Cut(name, " ")
	return slices.Contains([]string{"log", "HardwareCorrupted", "kpageflags", "pagemap", "qemu"}, name)
}

func explainedStep(a, b *observe.Expectation) string {
	if a == nil || b == nil || a.Change == "" || a.Change != b.Change {
		return ""
	}
	if !a.Met || !b.Met || a.Has == b.Has {
		return ""
	}
	// Where both outcomes satisfy both sides, the change makes no difference
	// here, so it can't be the reason for one.
	if a.Side == "both" && b.Side == "both" {
		return ""
	}
	return a.Change
}
