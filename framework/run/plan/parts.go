package plan

import (
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
)

// Part is what a shard has of a kernel.
type Part struct {
	Shard     results.Shard
	Kernel    string
	Scenarios []scenario.Info
}

// Parts says which shard of so many observes what, before any kernel is known by
// more than a name: it cuts as Make does.
func Parts(kernels []string, picked []scenario.Info, of int) (parts []Part) {
	n := len(picked)
	for i := 1; i <= of; i++ {
		s := results.Shard{Index: i, Of: of}
		from, to := s.Cut(len(kernels) * n)
		for from < to {
			k := from / n
			end := min(to, (k+1)*n)
			parts = append(parts, Part{s, kernels[k], picked[from-k*n : end-k*n]})
			from = end
		}
	}
	return parts
}
