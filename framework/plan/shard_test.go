package plan

import (
	"fmt"
	"strings"
	"testing"
	"testing/quick"
)

func TestParseShard(t *testing.T) {
	for s, want := range map[string]Shard{"": {}, "1/1": {1, 1}, "2/4": {2, 4}, "4/4": {4, 4}, "17/120": {17, 120}} {
		if got, err := ParseShard(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"3", "0/4", "5/4", "-1/4", "1/0", "1/", "/4", "1/4x", "1/4/2", "a/b", "1 of 4"} {
		if got, err := ParseShard(s); err == nil || !strings.Contains(err.Error(), "as in 2/4") {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

// Whatever the number of things and of shards: each thing is in exactly one
// shard, and no shard has more than one thing more than another.
func TestShardsAreDisjointAndComplete(t *testing.T) {
	property := func(things uint16, shards uint8) bool {
		n, of := int(things)%2000, int(shards)%64+1
		next, least, most := 0, n, 0
		for i := 1; i <= of; i++ {
			from, to := Shard{i, of}.Cut(n)
			if from != next || to < from {
				return false
			}
			next, least, most = to, min(least, to-from), max(most, to-from)
		}
		return next == n && most-least <= 1
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	if from, to := (Shard{}).Cut(7); from != 0 || to != 7 {
		t.Error("no shard is not everything")
	}
}

// Planned by shards, every cell is planned once.
func TestShardsOfAPlan(t *testing.T) {
	for of := 1; of <= 12; of++ {
		planned := map[string]int{}
		for i := 1; i <= of; i++ {
			ks, suites := columns(t)
			p := doable(t, ks, suites, catalogue, Options{Shard: Shard{i, of}})
			cells := 0
			for _, task := range p.Tasks {
				for _, i := range task.Scenarios {
					planned[task.Kernel.Name+" "+i.ID]++
					cells++
				}
			}
			if cells != p.Total {
				t.Errorf("shard %d/%d counts %d cells and has %d", i, of, p.Total, cells)
			}
		}
		if want := 2 * len(catalogue); len(planned) != want {
			t.Errorf("%d shards: %d cells, not %d", of, len(planned), want)
		}
		for cell, n := range planned {
			if n != 1 {
				t.Errorf("%d shards: %s is planned %d times", of, cell, n)
			}
		}
	}
}

func ExampleParseShard() {
	_, err := ParseShard("3")
	fmt.Println(err)
	// Output: shard "3": want I/N with I from 1 to N, as in 2/4
}
