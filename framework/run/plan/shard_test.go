package plan

import (
	"testing"

	"github.com/faultline/faultline/framework/record/results"
)

// The shards of a plan contain every cell exactly once.
func TestShardsOfAPlan(t *testing.T) {
	for of := 1; of <= 12; of++ {
		planned, foretold := map[string]int{}, map[string]string{}
		for _, p := range Parts([]string{"old", "new"}, catalogue, of) {
			for _, i := range p.Scenarios {
				foretold[p.Kernel+" "+i.ID] = p.Shard.String()
			}
		}
		for i := 1; i <= of; i++ {
			ks, suites := columns(t)
			shard := results.Shard{Index: i, Of: of}
			p := possible(t, ks, suites, catalogue, Options{Shard: shard})
			cells := 0
			for _, task := range p.Tasks {
				for _, i := range task.Scenarios {
					cell := task.Kernel.Name + " " + i.ID
					if planned[cell]++; foretold[cell] != shard.String() {
						t.Errorf("%s: got the shard %s, want %s, as Parts gave", cell, shard, foretold[cell])
					}
					cells++
				}
			}
			if cells != p.Total {
				t.Errorf("shard %d/%d: got a total of %d cells, want %d", i, of, p.Total, cells)
			}
		}
		if want := 2 * len(catalogue); len(planned) != want {
			t.Errorf("%d shards: got %d cells, want %d", of, len(planned), want)
		}
		for cell, n := range planned {
			if n != 1 {
				t.Errorf("%d shards: got %s planned %d times, want once", of, cell, n)
			}
		}
	}
}
