package cellcache

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/cache"
)

func entry(t *testing.T, c *cache.Cache, key string) *Entry {
	t.Helper()
	s, err := Open(t.Context(), c, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var seen = observe.Cell{Scenario: "dax/ext4/pread", Kernel: "6.1", Accel: "tcg", Verdict: observe.Expected, Millis: 200,
	Steps: []observe.Step{{Actor: "victim", Action: "pread", Outcome: observe.Outcome{Errno: "EIO"}}}}

func TestCell(t *testing.T) {
	c := open(t)
	if _, ok := entry(t, c, "k").Cell(seen.Scenario); ok {
		t.Fatal("found a cell that was not observed")
	}
	if err := entry(t, c, "k").Put(seen, "run 1"); err != nil {
		t.Fatal(err)
	}
	got, ok := entry(t, c, "k").Cell(seen.Scenario)
	want := seen
	want.ObservedBy = "run 1"
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, found %t; want %+v", got, ok, want)
	}
	if _, ok := entry(t, c, "k").Cell("dax/ext4/pwrite"); ok {
		t.Error("a scenario has the cell of another")
	}
	if _, ok := entry(t, c, "other").Cell(seen.Scenario); ok {
		t.Error("a key has the cell of another")
	}
	// A reused cell keeps the run that observed it.
	if err := entry(t, c, "k").Put(got, "run 2"); err != nil {
		t.Fatal(err)
	}
	if got, _ := entry(t, c, "k").Cell(seen.Scenario); got.ObservedBy != "run 1" {
		t.Errorf("got it observed by %s, want run 1", got.ObservedBy)
	}
}

func TestNotKept(t *testing.T) {
	for name, change := range map[string]func(*observe.Cell){
		"unexpected": func(c *observe.Cell) { c.Verdict = observe.Unexpected },
		"infra":      func(c *observe.Cell) { c.Verdict = observe.Infra },
		"skipped":    func(c *observe.Cell) { c.Verdict = observe.Skipped },
		"panicked":   func(c *observe.Cell) { c.Panicked = true },
	} {
		s, cell := entry(t, open(t), "k"), seen
		change(&cell)
		if err := s.Put(cell, "run"); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Cell(cell.Scenario); ok {
			t.Errorf("%s: got the cell, want none", name)
		}
	}
}

// A cell with a flipped bit or a missing end counts as absent.
func TestDamaged(t *testing.T) {
	s := entry(t, open(t), "k")
	if err := s.Put(seen, "run"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.work.Path, cache.Key(seen.Scenario))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 7 {
		flipped := append([]byte{}, whole...)
		flipped[i] ^= 1
		for _, data := range [][]byte{flipped, whole[:i]} {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if c, ok := s.Cell(seen.Scenario); ok {
				t.Fatalf("byte %d changed or cut: got %+v, want no cell", i, c)
			}
		}
	}
}

func TestBoot(t *testing.T) {
	s := entry(t, open(t), "k")
	if _, ok := s.Boot(); ok {
		t.Error("found a boot that was not observed")
	}
	want := Boot{Millis: 2700, Taint: "E", Splats: []string{"WARNING"}, Console: []byte("\x00Linux"), Command: []byte("qemu")}
	if err := s.PutBoot(want); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Boot(); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, found %t; want %+v", got, ok, want)
	}
}
