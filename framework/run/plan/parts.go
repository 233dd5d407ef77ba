package plan

import (
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
)

// Part is the part of a kernel's scenarios that a shard observes.
type Part struct {
	Shard     results.Shard
	Kernel    string
	Scenarios []scenario.Info
}

// Parts returns what each of the given number of shards observes. It needs only the
// names of the kernels, and splits as Make does.
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
