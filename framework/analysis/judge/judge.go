package judge

import (
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Judgement is what follows from the cells of a run.
type Judgement struct {
	// States are what each kernel has, by its name; see ChangeState.
	States map[string][]ChangeState
	// Differences are those between kernels, Repeats those between attempts at
	// the same cell.
	Differences []Difference
	Repeats     []Difference
	// Uncompared are cells that could not be compared with those of other kernels.
	Uncompared []Uncompared
	// Findings are what a person must look at.
	Findings []Finding
}

// Judge concludes from cells, of the kernels in that order, by what is known of
// changes. Cells of other kernels are judged alone.
func Judge(cells []observe.Cell, kernels []Kernel, known change.List) Judgement {
	j := Judgement{States: states(cells, kernels, known), Repeats: attempts(cells)}
	j.Differences, j.Uncompared = compare(cells, kernels, j.States, known)
	j.Findings = findings(cells, kernels, j, known)
	return j
}
