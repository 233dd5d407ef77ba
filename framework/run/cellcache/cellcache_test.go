package cellcache

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/cache"
)

func shelf(t *testing.T, c *cache.Cache, key string) *Shelf {
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
	if _, ok := shelf(t, c, "k").Cell(seen.Scenario); ok {
		t.Fatal("there is a cell that nobody observed")
	}
	if err := shelf(t, c, "k").Put(seen, "run 1"); err != nil {
		t.Fatal(err)
	}
	got, ok := shelf(t, c, "k").Cell(seen.Scenario)
	want := seen
	want.ObservedBy = "run 1"
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("kept was %+v, read is %+v (%t)", want, got, ok)
	}
	if _, ok := shelf(t, c, "k").Cell("dax/ext4/pwrite"); ok {
		t.Error("one scenario has another's cell")
	}
	if _, ok := shelf(t, c, "other").Cell(seen.Scenario); ok {
		t.Error("one key has another's cell")
	}
	// What was taken over is not said to be this run's.
	if err := shelf(t, c, "k").Put(got, "run 2"); err != nil {
		t.Fatal(err)
	}
	if got, _ := shelf(t, c, "k").Cell(seen.Scenario); got.ObservedBy != "run 1" {
		t.Errorf("observed by %s", got.ObservedBy)
	}
}

func TestNotKept(t *testing.T) {
	for name, change := range map[string]func(*observe.Cell){
		"unexpected": func(c *observe.Cell) { c.Verdict = observe.Unexpected },
		"rig":        func(c *observe.Cell) { c.Verdict = observe.Infra },
		"not doable": func(c *observe.Cell) { c.Verdict = observe.Skipped },
		"panicked":   func(c *observe.Cell) { c.Panicked = true },
	} {
		s, cell := shelf(t, open(t), "k"), seen
		change(&cell)
		if err := s.Put(cell, "run"); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Cell(cell.Scenario); ok {
			t.Errorf("%s: kept", name)
		}
	}
}

// A bit that flips on the disk, or an end that was not written, is a cell that
// is not there.
func TestDamaged(t *testing.T) {
	s := shelf(t, open(t), "k")
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
				t.Fatalf("byte %d: %+v", i, c)
			}
		}
	}
}

func TestBoot(t *testing.T) {
	s := shelf(t, open(t), "k")
	if _, ok := s.Boot(); ok {
		t.Error("there is a boot that nobody saw")
	}
	want := Boot{Millis: 2700, Taint: "E", Splats: []string{"WARNING"}, Console: []byte("\x00Linux"), Command: []byte("qemu")}
	if err := s.PutBoot(want); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Boot(); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %t", got, ok)
	}
}
