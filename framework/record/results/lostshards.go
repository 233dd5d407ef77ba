package results

import (
	"fmt"

	"github.com/faultline/faultline/framework/record/observe"
)

// part is the shard and the folder of a run to merge.
type part struct {
	shard Shard
	dir   string
}

// of returns the number of shards of the runs' plan; 0 if they are not all shards of one
// plan.
func (m *merger) of() int {
	of := 0
	for _, p := range m.shards {
		if p.shard.Of == 0 || of != 0 && p.shard.Of != of {
			return 0
		}
		of = p.shard.Of
	}
	return of
}

// lost returns cells for those that are planned but in none of the runs.
func (m *merger) lost() (lost []observe.Cell) {
	first := min(m.attempts, 1)
	have := map[string]bool{}
	for at := range m.cells {
		have[at] = true
	}
	for _, c := range m.planned {
		for c.Attempt = first; c.Attempt <= m.attempts; c.Attempt++ {
			if at := CellFile(c); !have[at] {
				have[at] = true
				c.Verdict, c.Message = observe.Infra, "not in any of the merged runs"+m.blame(c)
				c.Started = m.run.Started
				lost = append(lost, c)
			}
		}
	}
	return lost
}

// blame returns which shard does not have a cell, as far as known, and what to do.
func (m *merger) blame(c observe.Cell) string {
	of, at, n := m.of(), -1, 0
	for _, k := range m.run.Kernels { // in the order in which plan.Make splits a plan
		for _, s := range m.run.Scenarios {
			if k.Name == c.Kernel && s.ID == c.Scenario {
				at = n
			}
			n++
		}
	}
	for i := 1; i <= of; i++ {
		s := Shard{i, of}
		if from, to := s.Cut(n); at < from || at >= to {
			continue
		}
		for _, p := range m.shards {
			if p.shard == s {
				return fmt.Sprintf(": shard %s in %s was not finished; finish it with --resume, and merge again", s, p.dir)
			}
		}
		return fmt.Sprintf(": shard %s is missing; run it, and merge again", s)
	}
	return "; run the shard that should have it again"
}
