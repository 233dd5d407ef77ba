package demo

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Large returns a run with the given numbers of scenarios and kernels, made of the cells
// of another run: its kernels and scenarios are repeated under other names.
func Large(of results.Run, scenarios, kernels int) results.Run {
	run := of
	run.Kernels, run.Scenarios, run.Cells = nil, nil, nil
	for i := range kernels {
		k := of.Kernels[i%len(of.Kernels)]
		k.Name, k.Digest = fmt.Sprintf("%s, %d", k.Name, i), fmt.Sprintf("sha256:%064d", i)
		run.Kernels = append(run.Kernels, k)
	}
	byScenario := map[string][]observe.Cell{}
	for _, c := range of.Cells {
		byScenario[c.Scenario] = append(byScenario[c.Scenario], c)
	}
	for i := range scenarios {
		s := of.Scenarios[i%len(of.Scenarios)]
		cells := byScenario[s.ID]
		s.ID = fmt.Sprintf("%s/n%d", s.ID, i/len(of.Scenarios))
		for j, k := range run.Kernels {
			was := of.Kernels[j%len(of.Kernels)].Name
			c, ok := observe.Pick(cells, was, cells[0].Scenario)
			if !ok {
				panic("no cell of " + s.ID + " on " + was)
			}
			c.Scenario, c.Kernel, c.Steps = s.ID, k.Name, slices.Clone(c.Steps)
			run.Cells = append(run.Cells, c)
		}
		run.Scenarios = append(run.Scenarios, s)
	}
	judge.Run(&run)
	return run
}
