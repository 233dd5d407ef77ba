package framework_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
)

const (
	old    = "apt:bookworm"
	recent = "apt:bookworm/6.12"
)

// compiled is a suite's binary, built for a test.
func compiled(t *testing.T, suite string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	binary := filepath.Join(t.TempDir(), suite+".test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-o", binary, "./suites/"+suite)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// cells runs a suite's scenarios (all where ids is empty) on a kernel, and
// returns their cells by id.
func cells(t *testing.T, binary, kernel string, ids []string, more ...string) map[string]observe.Cell {
	t.Helper()
	events, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	entry := "-test.run=(?i)^Test" + strings.TrimSuffix(filepath.Base(binary), ".test") + "$"
	args := append([]string{entry, "-ginkgo.no-color", "--faultline.kernel=" + kernel, "--faultline.events=3"}, more...)
	if len(ids) > 0 {
		args = append(args, "-ginkgo.label-filter="+scenario.Filter(ids))
	}
	for _, id := range ids {
		if _, err := generated.Parse(id); err == nil {
			args = append(args, "--faultline.generated="+id)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = "." // the source tree, from which the guest's programs are built
	cmd.ExtraFiles = []*os.File{theirs}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]observe.Cell{}
	for decoder := json.NewDecoder(events); ; {
		var e scenario.Event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e.Finished != nil {
			found[e.Finished.Scenario] = *e.Finished
		}
	}
	if err := cmd.Wait(); err != nil || len(found) == 0 || len(ids) > 0 && len(found) != len(ids) {
		t.Errorf("%v %v: got %d cells, error %v; want one of each scenario: %s", binary, args, len(found), err, out.String())
	}
	return found
}

// same runs scenarios in clones and in guests that were booted for them, and compares
// what they observed.
func same(t *testing.T, suite, kernel string, ids ...string) {
	t.Helper()
	binary := compiled(t, suite)
	cloned := cells(t, binary, kernel, ids)
	booted := cells(t, binary, kernel, ids, "--faultline.fresh")
	if len(cloned) != len(booted) {
		t.Errorf("got %d cells from clones, want %d, as from booted guests", len(cloned), len(booted))
	}
	for id, c := range cloned {
		b, ok := booted[id]
		if !ok {
			t.Errorf("%s: only in a clone", id)
			continue
		}
		if c.Verdict != b.Verdict || !bytes.Equal(c.Canonical(), b.Canonical()) {
			t.Errorf("%s on %s:\nin a clone (%s): %s%s\nin a booted guest (%s): %s%s", id, kernel, c.Verdict, c.Canonical(), c.Message, b.Verdict, b.Canonical(), b.Message)
		}
		t.Logf("%-34s %-24s %s, %.0f ms in a clone, %.0f ms in a booted guest", id, kernel, c.Headline(), c.Millis, b.Millis)
	}
}

func TestSameInClonesAndBootedGuests(t *testing.T) {
	t.Run("dax", func(t *testing.T) { same(t, "dax", recent, "dax/ext4/shared-read", "dax/xfs/private-cow") })
	t.Run("syscalls", func(t *testing.T) { same(t, "syscalls", recent, "dax/ext4/pwrite", "pagecache/xfs/pread-span") })
}

// TestReliabilityLongSame runs same with every scenario of every suite, and with a generated
// program on every place, on both kernels.
func TestReliabilityLongSame(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it, as make test-reliability LONG=1 does")
	}
	suites, err := filepath.Glob("../suites/*/suite_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		suite := filepath.Base(filepath.Dir(s))
		var ids []string // all of the suite
		switch suite {
		case program.Suite:
			continue // it has a scenario for each --program, and none of its own
		case generated.Suite:
			ids = onePerPlace(t)
		}
		for _, kernel := range []string{old, recent} {
			t.Run(suite+" "+strings.ReplaceAll(kernel, "/", " "), func(t *testing.T) {
				t.Parallel() // a guest keeps one core busy
				same(t, suite, kernel, ids...)
			})
		}
	}
}

// onePerPlace returns a generated program for each place: a load from a bad block, or from
// poisoned memory where there are no blocks.
func onePerPlace(t *testing.T) (ids []string) {
	t.Helper()
	for _, place := range generated.Places() {
		steps := "store/poison/load"
		if place.Kind&generated.Storage != 0 {
			steps = "badblock/load"
		}
		id := strings.Join([]string{generated.Suite, place.Name, steps}, "/")
		if _, err := generated.Parse(id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}
