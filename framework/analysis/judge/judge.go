package judge

import (
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Judgement is what follows from the cells of a run.
type Judgement struct {
	// States are the states of the changes on each kernel, by the kernel's name.
	States map[string][]conclusion.ChangeState
	// Differences are between kernels, Repeats between attempts at the same cell.
	Differences []conclusion.Difference
	Repeats     []conclusion.Difference
	// Uncompared are cells that could not be compared with those of other kernels.
	Uncompared []conclusion.Uncompared
	// Findings are for the user to examine.
	Findings []conclusion.Finding
}

// Judge draws the conclusions from cells of the kernels, in that order, with the
// known changes. Cells of kernels that are not listed are not compared.
func Judge(cells []observe.Cell, kernels []Kernel, known change.List) Judgement {
	j := Judgement{States: states(cells, kernels, known), Repeats: attempts(cells)}
	j.Differences, j.Uncompared = compare(cells, kernels, j.States, known)
	j.Findings = findings(cells, kernels, j, known)
	return j
}

// Run judges a run by its cells and declared changes alone: it sets the state of each
// change, the differences between kernels and between attempts, the findings and the
// summary, and applies the declared changes to the cells. It may be called again after
// cells are added, and on an old run.
func Run(r *results.Run) {
	var kernels []Kernel
	for _, k := range r.Kernels {
		kernels = append(kernels, NewKernel(k.Name, k.Version, k.Release, k.Claims))
	}
	r.Cells = Declare(r.Cells, r.Known())
	j := Judge(r.Cells, kernels, r.Known())
	for i, k := range r.Kernels {
		r.Kernels[i].Changes = j.States[k.Name]
	}
	r.Differences, r.Repeats, r.Uncompared, r.Findings = j.Differences, j.Repeats, j.Uncompared, j.Findings
	r.Summary = r.Summarize()
}
