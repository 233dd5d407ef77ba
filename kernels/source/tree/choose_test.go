package tree

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	at := func(minutes int) time.Time { return time.Unix(int64(minutes)*60, 0) }
	for _, c := range []struct {
		name   string
		all    []survey
		noRoom bool
		want   int
	}{
		{"no places", nil, false, 1},
		{"near", []survey{{number: 1, compiled: true, share: 0.5}}, false, 1},
		{"far", []survey{{number: 1, compiled: true, share: 0.51}}, false, 2},
		{"far, and no room", []survey{{number: 1, compiled: true, share: 1}}, true, 1},
		{"a number is free", []survey{{number: 2, compiled: true, share: 1}}, false, 1},
		{"the nearest", []survey{{number: 1, compiled: true, share: 0.4}, {number: 2, compiled: true, share: 0.1}}, false, 2},
		{"in another configuration, near", []survey{{number: 1, compiled: true, share: 0.4}, {number: 2, share: 0.1}}, false, 1},
		{"in another configuration, the wanted one far", []survey{{number: 1, compiled: true, share: 0.6}, {number: 2, share: 0.1}}, false, 2},
		{"equally near: the most recently used", []survey{{number: 1, compiled: true, used: at(1)}, {number: 2, compiled: true, used: at(2)}}, false, 2},
		{"all far", []survey{{number: 1, share: 1, used: at(2)}, {number: 2, share: 0.6, used: at(1)}, {number: 3, share: 1, used: at(3)}}, false, 2},
		{"all far and no room", []survey{{number: 1, share: 1, used: at(2)}, {number: 2, share: 0.6, used: at(3)}}, true, 2},
	} {
		if got := choose(c.all, func(survey) bool { return !c.noRoom }); got != c.want {
			t.Errorf("%s: got place %d, want %d", c.name, got, c.want)
		}
	}
}

// A place's path must not be used as a pattern.
func TestObjectsInBrackets(t *testing.T) {
	for _, name := range []string{"plain", "a[b]", "*", `a\?`} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, objectsName+"1"+logSuffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := objectsIn(dir); len(got) != 1 || got[0] != filepath.Join(dir, objectsName+"1") {
			t.Errorf("%s: got %q, want %s", name, got, filepath.Join(dir, objectsName+"1"))
		}
	}
}
