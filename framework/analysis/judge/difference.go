package judge

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// WholeCell is the Step of a difference that belongs to no step: a witness.
const WholeCell = -1

// Fields of a Difference that are not a field of a step's outcome.
const (
	// FieldSteps: the cells have different numbers of steps.
	FieldSteps = "steps"
	// FieldAction: the cells did different things from this step on.
	FieldAction = "action"
	// WitnessPrefix begins the field of a witness: "witness:badblocks".
	WitnessPrefix = "witness:"
)

// absent replaces a value that one of the cells does not have.
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
	// ExplainedBy is the id of the known change that predicts it, CONFIG_SYMBOL if
	// a kernel is built without a symbol that the change needs to be seen, or empty.
	ExplainedBy string `json:"explained_by,omitempty"`
	// Lost reports that the change was lost between KernelA and KernelB, which is a
	// finding (LostChange), not an explanation.
	Lost bool `json:"lost,omitempty"`
}

// String returns the difference on one line: what differs, and both values.
func (d Difference) String() string {
	where := d.Field
	if d.Step != WholeCell {
		where = fmt.Sprintf("step %d (%s: %s) %s", d.Step+1, d.Actor, d.Action, d.Field)
	}
	a, b := apart(d.A, d.B)
	return fmt.Sprintf("%s: %s / %s", where, a, b)
}

// apart shortens two values for a one-line message: long ones start shortly before
// they differ.
func apart(a, b string) (string, string) {
	const limit, before = 80, 20
	x, y := []rune(strings.Join(strings.Fields(a), " ")), []rune(strings.Join(strings.Fields(b), " "))
	if len(x) > limit || len(y) > limit {
		same := 0
		for same < min(len(x), len(y)) && x[same] == y[same] {
			same++
		}
		if from := same - before; from > 0 {
			x, y = append([]rune("…"), x[from:]...), append([]rune("…"), y[from:]...)
		}
	}
	word := func(r []rune) string {
		switch {
		case len(r) == 0:
			return `""`
		case len(r) > limit:
			return string(r[:limit-1]) + "…"
		}
		return string(r)
	}
	return word(x), word(y)
}

// Differ lists the fields in which two observations of a scenario differ, made on any
// kernels. If there is none, user space observed the same.
func Differ(a, b observe.Cell) []Difference { return fields(a, b, false) }

// DifferExactly is Differ for observations of one kernel: the bytes of a payload that
// hold an address are compared too, because addresses are the same each time.
func DifferExactly(a, b observe.Cell) []Difference { return fields(a, b, true) }

// Comparable reports whether a cell holds an observation: an infrastructure failure
// or a skipped scenario is never a difference.
func Comparable(c observe.Cell) bool {
	return c.Verdict == observe.Expected || c.Verdict == observe.Unexpected
}

// Pick returns the cell that represents the attempts at a scenario on a kernel: the
// first one that observed something, else the first. Attempts are compared with each
// other elsewhere. It returns false if there is none.
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

// Uncompared is an observed cell that was not compared with the first kernel, in their
// order, that observed its scenario: it is not known what differs.
type Uncompared struct {
	Scenario string `json:"scenario"`
	KernelA  string `json:"kernel_a"` // the first kernel that observed it
	KernelB  string `json:"kernel_b"`
	Why      string `json:"why"`
}

// compare finds the differences between kernels, scenario by scenario. Each kernel is
// compared with the first one, in the order of kernels, that observed the scenario with
// the same accelerator: so every column answers the same question, what differs from
// the kernel that was named first. A cell with another accelerator than the first
// kernel's is listed as uncompared. Kernels that are not in kernels are not compared.
// The results are ordered by scenario, kernel and step.
func compare(
	cells []observe.Cell, kernels []Kernel, states map[string][]ChangeState, known change.List,
) ([]Difference, []Uncompared) {
	byKey := map[[2]string][]observe.Cell{}
	byScenario := map[string]bool{}
	for _, c := range cells {
		byScenario[c.Scenario] = true
		k := [2]string{c.Kernel, c.Scenario}
		byKey[k] = append(byKey[k], c)
	}
	type observed struct {
		kernel Kernel
		cell   observe.Cell
	}
	var out []Difference
	var uncompared []Uncompared
	for _, scenario := range slices.Sorted(maps.Keys(byScenario)) {
		reference := map[string]observed{} // by accelerator
		var start *observed                // the first of all
		for _, kernel := range kernels {
			c, ok := Pick(byKey[[2]string{kernel.Name, scenario}], kernel.Name, scenario)
			if !ok || !Comparable(c) {
				continue
			}
			if start == nil {
				start = &observed{kernel, c}
			}
			if c.Accel != start.cell.Accel {
				a, b := start.kernel.Name, kernel.Name
				why := fmt.Sprintf("different accelerators: %s on %s, %s on %s", start.cell.Accel, a, c.Accel, b)
				uncompared = append(uncompared, Uncompared{Scenario: scenario, KernelA: a, KernelB: b, Why: why})
			}
			first, ok := reference[c.Accel]
			if !ok {
				reference[c.Accel] = observed{kernel, c}
				continue
			}
			found := fields(first.cell, c, false)
			e := explainer{
				known: known, a: first.kernel, b: kernel, cellA: first.cell, cellB: c,
				statesA: states[first.kernel.Name], statesB: states[kernel.Name],
			}
			e.explain(found)
			out = append(out, found...)
		}
	}
	return out, uncompared
}

// attempts compares the attempts at the same cell within a run: each with the first one
// that observed something.
func attempts(cells []observe.Cell) []Difference {
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

// repeat compares a cell with another attempt at it.
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

// sorted orders cells by scenario, kernel and attempt, not by when they finished.
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
