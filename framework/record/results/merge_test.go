package results_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
)

func TestMerge(t *testing.T) {
	one := run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", ""), cell("a/c", "new", "EIO"))
	one.Kernels[0].Console = results.ConsoleFile("old")
	two := run("r2", cell("a/b", "old", "EIO"), cell("a/b", "new", "EPERM"), cell("a/c", "old", "EIO"))
	two.Started, two.Finished = began.Add(-time.Minute), began.Add(time.Hour)
	for _, r := range []*results.Run{&one, &two} {
		r.Kernels[1].Claims = map[string]bool{"dax_fault_hwpoison": true}
	}
	f1 := folder(t, one)
	f2 := folder(t, two)
	for i, f := range []*results.Folder{f1, f2} {
		if err := f.Put(results.ConsoleFile("old"), fmt.Appendf(nil, "console %d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	to, got, err := results.Merge(dir, nil, judge.Run, f1, f2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cells) != 4 || got.Summary.Infra != 0 || len(got.Differences) != 1 || got.Differences[0].Scenario != "a/b" {
		t.Errorf("got %d cells, %+v, differences %v; want 4 cells, no infrastructure failure, 1 difference in a/b",
			len(got.Cells), got.Summary, got.Differences)
	}
	if !got.Started.Equal(two.Started) || !got.Finished.Equal(two.Finished) || !slices.Equal(got.Merged, []string{"r1", "r2"}) {
		t.Errorf("got from %v to %v, of %v; want from %v to %v, of r1 and r2",
			got.Started, got.Finished, got.Merged, two.Started, two.Finished)
	}
	if c := got.Kernels[1].Changes; len(c) != 1 || c[0].Claimed == nil || !*c[0].Claimed || !got.Kernels[1].Claims["dax_fault_hwpoison"] {
		t.Errorf("got the changes %+v, want the claim in them", c)
	}
	for rel, want := range map[string]string{results.ConsoleFile("old"): "console 1", filepath.Join(results.KernelDir("old"), "merged-2", "console.log"): "console 2"} {
		if b, err := os.ReadFile(to.Path(rel)); err != nil || string(b) != want {
			t.Errorf("%s: got %q, error %v; want %q", rel, b, err, want)
		}
	}
	loaded, err := to.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, loaded); diff != "" {
		t.Errorf("record mismatch (-merged +loaded):\n%s", diff)
	}
	if cells, skipped, err := to.Cells(); err != nil || len(cells) != 4 || len(skipped) != 0 {
		t.Errorf("got %d cells on disk, skipped %v, error %v; want 4 cells, none skipped", len(cells), skipped, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	base := func() results.Run {
		r := run("r2", cell("a/b", "old", "EIO"))
		r.Suites = map[string]string{"a": "1", "guest/agent": "1"}
		r.Host.QEMUDigest, r.Host.CPUDigest = "1a", "3c"
		r.Scenarios[1].Program = &program.Program{Path: "/t", SHA256: strings.Repeat("a", 64)}
		return r
	}
	for _, tc := range []struct {
		name   string
		change func(*results.Run)
		want   string
	}{
		{"another version", func(r *results.Run) { r.Tool.Version = "0.2.0" }, "version 0.2.0"},
		{"another QEMU", func(r *results.Run) { r.Host.QEMU = "10.0.13" }, "a different machine than the others (QEMU 7.2 / 10.0.13)"},
		{"another build of QEMU", func(r *results.Run) { r.Host.QEMUDigest = "2b" }, "(QEMU 7.2, digest 1a / 2b)"},
		{"other microcode with KVM", func(r *results.Run) { r.Host.CPUDigest, r.Kernels[1].Accel = "4d", "kvm" }, "processor x with other microcode or features, digest 3c / 4d"},
		{"another processor with KVM", func(r *results.Run) { r.Host.CPU, r.Kernels[1].Accel = "y", "kvm" }, "a different machine than the others (processor x / y)"},
		{"another suite", func(r *results.Run) { r.Suites["a"] = "2" }, "a in "},
		{"another agent", func(r *results.Run) { r.Suites["guest/agent"] = "2" }, "guest/agent in "},
		{"no suites", func(r *results.Run) { r.Suites = nil }, "do not record the digests of suites"},
		{"another program", func(r *results.Run) {
			r.Scenarios[1].Program = &program.Program{Path: "/t", SHA256: strings.Repeat("b", 64)}
		}, "scenario a/c"},
		{"another accelerator", func(r *results.Run) {
			r.Cells = []observe.Cell{cell("a/c", "old", "EIO")}
			r.Cells[0].Accel = "kvm"
		}, `kernel "old" ran with tcg in`},
		{"another kernel", func(r *results.Run) { r.Kernels[0].Digest = "sha256:9" }, `kernel "old"`},
		{"another scenario", func(r *results.Run) { r.Scenarios[0].Doc = "else" }, "scenario a/b"},
		{"another claim", func(r *results.Run) { r.Kernels[0].Claims = map[string]bool{"x": true} }, `the claims (has:) for kernel "old"`},
		{"another change", func(r *results.Run) { r.Changes = mine() }, "judged with different --changes"},
		{"another observation", func(r *results.Run) { r.Cells[0] = cell("a/b", "old", "EPERM") }, "a/b on old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other := base()
			tc.change(&other)
			first := run("r1", cell("a/b", "old", "EIO"))
			first.Kernels[0].Claims = map[string]bool{"x": false}
			first.Suites = map[string]string{"a": "1", "guest/agent": "1"}
			first.Host.QEMUDigest, first.Host.CPUDigest = "1a", "3c"
			first.Scenarios[1].Program = &program.Program{Path: "/t", SHA256: strings.Repeat("a", 64)}
			if tc.name != "another claim" {
				other.Kernels[0].Claims = first.Kernels[0].Claims
			}
			dir := filepath.Join(t.TempDir(), "out")
			_, _, err := results.Merge(dir, nil, judge.Run, folder(t, first), folder(t, other))
			var me *results.MergeError
			if !errors.As(err, &me) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a *MergeError that names %q", err, tc.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("got %v, want nothing written", err)
			}
		})
	}
	f := folder(t, base())
	if _, _, err := results.Merge(f.Dir(), nil, judge.Run, f); err == nil {
		t.Error("a run was merged into itself")
	}
	if _, err := f.LoadRun(judge.Run); err != nil {
		t.Errorf("a run merged into itself: got %v, want it as before", err)
	}
}

func TestMergeNamesLostCells(t *testing.T) {
	one := folder(t, run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO")))
	_, got, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, one)
	if err != nil {
		t.Fatal(err)
	}
	if got.Summary.Infra != 2 || got.Summary.ExitCode != errkind.ExitInfra {
		t.Errorf("got %+v, want 2 infrastructure failures, as two cells were planned on new", got.Summary)
	}
	// The missing shard completes it, even if it is given later.
	half := filepath.Join(t.TempDir(), "half")
	first, _, err := results.Merge(half, nil, judge.Run, one)
	if err != nil {
		t.Fatal(err)
	}
	two := folder(t, run("r2", cell("a/b", "new", "EIO"), cell("a/c", "new", "EIO")))
	_, got, err = results.Merge(filepath.Join(t.TempDir(), "all"), nil, judge.Run, first, two)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cells) != 4 || got.Summary.ExitCode != errkind.ExitExpected {
		t.Errorf("got %d cells, %+v; want 4 cells, all as expected", len(got.Cells), got.Summary)
	}
}

// mine returns a declared change: a/b returns EPERM with it.
func mine() change.List {
	return change.List{{ID: "mine", Subject: "a: b", Effect: "says EPERM", Steps: []change.StepEffect{{Scenarios: "a/b", Before: "EIO", After: "EPERM"}},
		Witnesses: []change.WitnessEffect{{Witness: "log", After: "what?"}}}}
}

func TestMergeDeclaredChanges(t *testing.T) {
	declared := func(r results.Run) results.Run {
		r.Changes = mine()
		judge.Run(&r)
		return r
	}
	one, two := run("r1", cell("a/b", "old", "EIO")), run("r2", cell("a/b", "new", "EPERM"))
	with := func(list change.List, from ...*results.Folder) (*results.Folder, string) {
		t.Helper()
		to, got, err := results.Merge(filepath.Join(t.TempDir(), "out"), list, judge.Run, from...)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := to.LoadRun(judge.Run)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, loaded, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("record mismatch (-merged +loaded):\n%s", diff)
		}
		words := fmt.Sprint(len(got.Changes), " declared, by ", got.Differences[0].ExplainedBy)
		for _, s := range got.Kernels[1].Changes {
			words += ", new " + s.String()
		}
		for _, c := range got.Cells {
			if len(c.Steps) > 0 && c.Steps[0].Expected.Declared {
				words += ", " + c.Kernel + " " + string(c.Steps[0].Expected.Side)
			}
		}
		return to, words
	}
	const stated, silent = "1 declared, by mine, new has mine (seen in 1 scenario), old before, new after", "0 declared, by "
	both, got := with(nil, folder(t, declared(one)), folder(t, declared(two)))
	if got != stated {
		t.Errorf("as they were judged: got %q, want %q", got, stated)
	}
	if _, got = with(mine(), folder(t, one), folder(t, two)); got != stated {
		t.Errorf("declared afterwards: got %q, want %q", got, stated)
	}
	if _, got = with(change.List{}, both); got != silent {
		t.Errorf("taken back: got %q, want %q", got, silent)
	}
}

// Shards may run on different machines if that has no effect: under TCG the processor is
// QEMU's.
func TestMergeOfAFleet(t *testing.T) {
	one, two := run("r1", cell("a/b", "old", "EIO")), run("r2", cell("a/b", "new", "EIO"))
	two.Host = results.Host{OS: "Ubuntu", CPU: "another", Cores: 64, MemoryBytes: 1 << 40, QEMU: one.Host.QEMU}
	one.Scenarios[0].TCG, two.Scenarios[0].TCG = "exact", "exact"
	if _, _, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, folder(t, one), folder(t, two)); err != nil {
		t.Error(err)
	}
	// A scenario under TCG on a kernel with KVM does not make it another kernel.
	kvm := cell("a/c", "new", "EIO")
	kvm.Accel, two.Cells, one.Host = "kvm", append(two.Cells, kvm), two.Host
	if _, _, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, folder(t, one), folder(t, two)); err != nil {
		t.Error(err)
	}
}

// A merge that failed halfway leaves a folder that the next merge can replace.
func TestMergeAgain(t *testing.T) {
	f, dir := folder(t, run("r1", cell("a/b", "old", "EIO"))), filepath.Join(t.TempDir(), "out")
	if err := f.Put(results.ConsoleFile("old"), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.Path(results.ConsoleFile("old")), results.MaxConsole+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := results.Merge(dir, nil, judge.Run, f); !errors.As(err, new(*limitread.Error)) {
		t.Fatalf("got %v, want a *limitread.Error", err)
	}
	if err := os.Truncate(f.Path(results.ConsoleFile("old")), 0); err != nil {
		t.Fatal(err)
	}
	to, _, err := results.Merge(dir, nil, judge.Run, f)
	if err != nil || to.Earlier() == "" {
		t.Errorf("got error %v, moved to %q; want the earlier folder moved", err, to.Earlier())
	}
}

// A kernel that was not available to one shard has only its spec as a name there. The cells
// that another shard observed on it are kept, and the others stay infrastructure failures.
func TestMergeUnavailable(t *testing.T) {
	lost := func(scenario, kernel string) observe.Cell {
		c := cell(scenario, kernel, "")
		c.Verdict, c.Message, c.Accel, c.Steps = observe.Infra, "the kernel is not available: no network", "", nil
		return c
	}
	for name, called := range map[string]string{"by its spec": "apt:bookworm", "by a name in a matrix": "old"} {
		t.Run(name, func(t *testing.T) {
			whole := run("r1", cell("a/b", "old", "EIO"), cell("a/b", "new", "EIO"))
			part := run("r2", lost("a/b", called), lost("a/c", called), cell("a/c", "new", "EIO"))
			whole.Kernels[0].Spec = "apt:bookworm"
			part.Kernels[0] = results.Kernel{Name: called, Spec: "apt:bookworm", Unavailable: "no network"}
			for _, order := range [][]results.Run{{whole, part}, {part, whole}} {
				_, got, err := results.Merge(filepath.Join(t.TempDir(), "out"), nil, judge.Run, folder(t, order[0]), folder(t, order[1]))
				if err != nil {
					t.Fatal(err)
				}
				k, ok := got.Kernel("old")
				if len(got.Kernels) != 2 || !ok || k.Unavailable != "" || k.Digest == "" || len(got.Cells) != 4 || got.Summary.Infra != 1 {
					t.Errorf("got the kernels %+v, %+v; want 2 with the digest of old, 4 cells, 1 infrastructure failure", got.Kernels, got.Summary)
				}
				for _, c := range got.Cells {
					if c.Kernel == "old" && (c.Verdict == observe.Infra) != (c.Scenario == "a/c") {
						t.Errorf("got %+v, want an infrastructure failure exactly in a/c", c)
					}
				}
			}
		})
	}
}
