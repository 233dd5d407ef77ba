package run_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/kernels/source"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// Observing cells requires no results folder.
func TestObserveWithoutAFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	ctx := t.Context()
	suite := plan.Suite{Name: "dax", Program: filepath.Join(t.TempDir(), "dax.test")}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-o", suite.Program, "../../suites/dax").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	store, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := source.Resolve(ctx, "apt:bookworm", kernels.Options{Cache: store})
	if err != nil {
		t.Fatal(err)
	}
	defer resolved.Close()
	o, err := run.NewExecutor(ctx, store, resolved.Arch, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	k, err := o.Kernel(ctx, resolved, "tcg")
	if err != nil {
		t.Fatal(err)
	}
	tasks := []plan.Task{{Kernel: k, Suite: suite, Scenarios: []scenario.Info{{ID: "dax/ext4/shared-read", Suite: "dax"}, {ID: "dax/ext4/past-eof", Suite: "dax"}}}}
	if err := o.Boot(ctx, tasks, nil); err != nil {
		t.Fatal(err)
	}
	side := map[string]observe.Side{}
	o.Observe(ctx, tasks, func(c observe.Cell) {
		if c.Verdict != observe.Expected || len(c.Steps) == 0 {
			t.Errorf("%s: got %s (%s), want an expected cell with steps", c.Scenario, c.Verdict, c.Message)
			return
		}
		side[c.Scenario] = c.Steps[len(c.Steps)-1].Expected.Side
	})
	if len(side) != 2 || side["dax/ext4/shared-read"] != observe.Before || side["dax/ext4/past-eof"] != observe.Both {
		t.Errorf("got %v, want before and both", side)
	}
}
