package judge

import (
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Judgement is what follows from the cells of a run.
type Judgement struct {
	// States are the states of the changes on each kernel, by the kernel's name.
	States map[string][]ChangeState
	// Differences are between kernels, Repeats between attempts at the same cell.
	Differences []Difference
	Repeats     []Difference
	// Uncompared are cells that could not be compared with those of other kernels.
	Uncompared []Uncompared
	// Findings need a look by the user.
	Findings []Finding
}

// Judge draws the conclusions from cells of the kernels, in that order, with the
// known changes. Cells of kernels that are not listed are not compared.
func Judge(cells []observe.Cell, kernels []Kernel, known change.List) Judgement {
	j := Judgement{States: states(cells, kernels, known), Repeats: attempts(cells)}
	j.Differences, j.Uncompared = compare(cells, kernels, j.States, known)
	j.Findings = findings(cells, kernels, j, known)
	return j
}
