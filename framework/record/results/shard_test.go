package results_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/quick"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestParseShard(t *testing.T) {
	for s, want := range map[string]results.Shard{"": {}, "1/1": {1, 1}, "2/4": {2, 4}, "4/4": {4, 4}, "17/120": {17, 120}} {
		if got, err := results.ParseShard(s); err != nil || got != want {
			t.Errorf("%q: got %v, error %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"3", "0/4", "5/4", "-1/4", "1/0", "1/", "/4", "1/4x", "1/4/2", "a/b", "1 of 4", "1/1000000"} {
		if got, err := results.ParseShard(s); err == nil || !strings.Contains(err.Error(), "such as 2/4") {
			t.Errorf("%q: got %v, error %v; want an error with such as 2/4", s, got, err)
		}
	}
}

// For any numbers of items and shards, each item is in exactly one shard, and the sizes of
// shards differ by at most one.
func TestShardsAreDisjointAndComplete(t *testing.T) {
	property := func(things uint16, shards uint8) bool {
		n, of := int(things)%2000, int(shards)%64+1
		next, least, most := 0, n, 0
		for i := 1; i <= of; i++ {
			from, to := results.Shard{i, of}.Cut(n)
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
	if from, to := (results.Shard{}).Cut(7); from != 0 || to != 7 {
		t.Error("no shard is not everything")
	}
}

// The record of a shard names it; that of a merged run does not.
func TestShardIsRecorded(t *testing.T) {
	var from []*results.Folder
	for i, c := range []observe.Cell{cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO")} {
		r := run(fmt.Sprint("r", i), c)
		r.Shard = results.Shard{i + 1, 2}
		f := folder(t, r)
		if got, err := f.LoadRun(judge.Run); err != nil || got.Shard != r.Shard {
			t.Errorf("shard %v: got %v, error %v; want the same", r.Shard, got.Shard, err)
		}
		from = append(from, f)
	}
	to, _, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, from...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := to.LoadRun(judge.Run); err != nil || got.Shard != (results.Shard{}) {
		t.Errorf("the whole: got shard %v, error %v; want none", got.Shard, err)
	}
}

func ExampleParseShard() {
	_, err := results.ParseShard("3")
	fmt.Println(err)
	// Output: shard "3": want I/N with I from 1 to N, such as 2/4
}
