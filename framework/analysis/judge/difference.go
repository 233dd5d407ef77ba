package judge

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// absent replaces a value that one of the cells does not have.
const absent = "none"

// Differ lists the fields in which two observations of a scenario, on the same kernel or on
// two, differ. If there is none, user space observed the same.
func Differ(a, b observe.Cell) []conclusion.Difference { return fields(a, b, false) }

// DifferExactly is Differ for observations of one kernel: the bytes of a payload that
// hold an address are compared too, because addresses are the same each time.
func DifferExactly(a, b observe.Cell) []conclusion.Difference { return fields(a, b, true) }

// compare finds the differences between kernels, scenario by scenario. Each kernel is
// compared with the first one, in the order of kernels, that observed the scenario with
// the same accelerator: so every column answers the same question, what differs from
// the kernel that was named first. A cell with another accelerator than the first
// kernel's is listed as uncompared. Kernels that are not in kernels are not compared.
// The results are ordered by scenario, kernel and step.
func compare(
	cells []observe.Cell, kernels []Kernel, states map[string][]conclusion.ChangeState, known change.List,
) ([]conclusion.Difference, []conclusion.Uncompared) {
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
	var out []conclusion.Difference
	var uncompared []conclusion.Uncompared
	for _, scenario := range slices.Sorted(maps.Keys(byScenario)) {
		reference := map[string]observed{} // by accelerator
		var start *observed                // the first of all
		for _, kernel := range kernels {
			c, ok := observe.Pick(byKey[[2]string{kernel.Name, scenario}], kernel.Name, scenario)
			if !ok || !c.Comparable() {
				continue
			}
			if start == nil {
				start = &observed{kernel, c}
			}
			if c.Accel != start.cell.Accel {
				a, b := start.kernel.Name, kernel.Name
				why := fmt.Sprintf("different accelerators: %s on %s, %s on %s", start.cell.Accel, a, c.Accel, b)
				uncompared = append(uncompared, conclusion.Uncompared{Scenario: scenario, KernelA: a, KernelB: b, Why: why})
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
func attempts(cells []observe.Cell) []conclusion.Difference {
	var out []conclusion.Difference
	type key struct{ kernel, scenario, accel string }
	first := map[key]observe.Cell{}
	for _, c := range sorted(cells) {
		if !c.Comparable() {
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
func repeat(a, b observe.Cell) []conclusion.Difference {
	if !a.Comparable() || !b.Comparable() || a.Accel != b.Accel || bytes.Equal(a.Canonical(), b.Canonical()) {
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
