package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels/matrix"
)

// noArchive removes all archives from this machine's apt, so that no apt: kernel is
// available.
func noArchive(t *testing.T) {
	t.Helper()
	for _, name := range []string{"apt-config", "qemu-system-x86_64"} {
		if _, err := execx.Find(name, ""); err != nil {
			t.Skip(err)
		}
	}
	conf := filepath.Join(t.TempDir(), "apt.conf")
	if err := os.WriteFile(conf, []byte("Dir::Etc::sourcelist \"/nowhere\";\nDir::Etc::sourceparts \"/nowhere\";\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APT_CONFIG", conf)
}

// folderKernel returns the spec of a kernel that a guest can run.
func folderKernel(t *testing.T) string {
	t.Helper()
	dir, config := t.TempDir(), ""
	for _, n := range required.Needs() {
		config += "CONFIG_" + n.Symbol + "=y\n"
	}
	for name, data := range map[string][]byte{"vmlinux": fake.Vmlinux("6.1.5", "#1", true), "config": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "dir:" + dir
}

// resolving returns a run of these kernels, not resolved yet.
func resolving(t *testing.T, specs ...string) scripted {
	t.Helper()
	s := script(t)
	var err error
	if s.Cache, err = cache.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if s.executor, err = NewExecutor(t.Context(), s.Cache, "amd64", 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.executor.Close)
	self, err := os.Executable() // a record has the digests of the suites
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.suites {
		s.suites[i].Program = self
	}
	s.Accel, s.Shard = "tcg", results.Shard{Index: 1, Of: 1}
	for _, spec := range specs {
		s.Kernels = append(s.Kernels, matrix.Entry{Spec: spec})
	}
	return s
}

// resolve resolves the kernels of the run.
func (s scripted) resolve(t *testing.T) ([]*plan.Kernel, error) {
	never := func(context.Context, *plan.Kernel) bool { return false }
	r := resolver{Options: s.Options, progress: s.progress, executor: s.executor, boots: never}
	return r.resolve(t.Context())
}

// A kernel that cannot be fetched loses only its own cells; its column has the reason.
func TestUnavailableKernel(t *testing.T) {
	noArchive(t)
	s := resolving(t, "apt:trixie-backports/6.19", folderKernel(t), "apt:bookworm/6.12")
	picked := slices.Concat(s.suites[0].Scenarios, []scenario.Info{{ID: "dax/ext4/never", Suite: "dax", Skipped: "no machine has it"}})
	s.suites[0].Scenarios = picked
	ks, err := s.resolve(t)
	if err != nil {
		t.Fatal(err)
	}
	s.folder, s.Out = nil, t.TempDir()
	if err := s.begin(t.Context(), s.executor, s.suites, ks, picked); err != nil {
		t.Fatal(err)
	}
	todo := plan.Make(ks, s.suites, picked, plan.Options{Shard: s.Shard})
	for _, task := range todo.Tasks {
		if task.Kernel != ks[1] {
			t.Errorf("%s is to be booted", task.Kernel.Name)
		}
	}
	if len(todo.Tasks) == 0 || todo.Total != 3*len(picked) {
		t.Errorf("got %d tasks of %d cells, want some of %d cells", len(todo.Tasks), todo.Total, 3*len(picked))
	}
	for _, c := range todo.Impossible {
		s.addCell(c)
	}
	if err := s.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	record, folder := s.record, s.folder
	for name, digest := range map[string]string{
		"the suite": record.Suites["dax"], "the agent": record.Suites["guest/agent"], "the init": record.Suites["guest/init"],
		"QEMU": record.Host.QEMUDigest, "the processor": record.Host.CPUDigest,
	} {
		if digest == "" {
			t.Errorf("the record has no digest of %s", name)
		}
	}
	if record.Summary.Infra != 2*(len(picked)-1) || record.Summary.Skipped != 3 || record.Summary.ExitCode != errkind.ExitInfra {
		t.Errorf("got %+v, want %d infrastructure failures, 3 skipped, exit code %d",
			record.Summary, 2*(len(picked)-1), errkind.ExitInfra)
	}
	for _, c := range record.Cells {
		if c.Verdict == observe.Infra && (!strings.HasPrefix(c.Message, "the kernel is not available: resolve kernel apt:") || !strings.Contains(c.Message, "none of them is Debian's")) {
			t.Errorf("%s on %s: got %q, want that the kernel is not available, as none is Debian's", c.Scenario, c.Kernel, c.Message)
		}
	}
	loaded, err := folder.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"apt:trixie-backports/6.19", "6.1.5 (dir:" + filepath.Base(strings.TrimPrefix(s.Kernels[1].Spec, "dir:")) + ")", "apt:bookworm/6.12"} {
		if k := loaded.Kernels[i]; k.Name != name || (k.Unavailable != "") != (i != 1) || (k.Digest == "") != (i != 1) || k.DoesNotBoot {
			t.Errorf("column %d: got %+v, want it unavailable, without a digest, except the second", i, k)
		}
	}
	if said := strings.Join(s.heard.lines, "\n"); !strings.Contains(said, "apt:bookworm/6.12 is not available; its cells are infrastructure failures: ") {
		t.Errorf("got the log %s, want that apt:bookworm/6.12 is not available", said)
	}
}

// A run fails before anything is observed if the request is wrong, no kernel is available,
// or a required one is not.
func TestUnavailableKernels(t *testing.T) {
	noArchive(t)
	good := folderKernel(t)
	for name, c := range map[string]struct {
		specs []string
		all   bool
		kind  errkind.Kind
		want  string
	}{
		"a folder that is none":   {[]string{"dir:/nowhere", "apt:bookworm", good}, false, errkind.Request, "dir:/nowhere"},
		"and it comes later":      {[]string{"apt:bookworm", good, "dir:/nowhere"}, false, errkind.Request, "dir:/nowhere"},
		"none is available":       {[]string{"apt:bookworm", "apt:trixie"}, false, errkind.Infra, "resolve kernel apt:bookworm"},
		"each of them is needed":  {[]string{good, "apt:trixie"}, true, errkind.Infra, "resolve kernel apt:trixie"},
		"one is, and that is all": {[]string{"apt:trixie"}, false, errkind.Infra, "resolve kernel apt:trixie"},
	} {
		t.Run(name, func(t *testing.T) {
			s := resolving(t, c.specs...)
			s.All = c.all
			_, err := s.resolve(t)
			var of *KernelError
			if !errors.As(err, &of) || errkind.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A resumed run adds a kernel that was not available at first, and keeps its cells.
func TestResumeUnavailable(t *testing.T) {
	lost := results.Kernel{Name: "apt:bookworm", Spec: "apt:bookworm", Unavailable: "no network"}
	had := results.Kernel{Name: "6.1.192 (apt:bookworm)", Spec: "apt:bookworm", Digest: "d", Accel: "tcg"}
	other := results.Kernel{Name: "other", Spec: "apt:trixie", Digest: "d", Accel: "tcg"}
	of := func(k results.Kernel) results.Run { return results.Run{Kernels: []results.Kernel{k}} }
	for _, c := range []struct {
		old, now results.Kernel
		want     string
	}{
		{lost, had, ""}, {lost, lost, ""}, {had, had, ""},
		{had, lost, "6.1.192 (apt:bookworm) was available when the run started, but is not now: no network; resume later"},
		{lost, other, "started with apt:bookworm"},
	} {
		err := sameRun(of(c.old), of(c.now))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, then %s: got %v, want %q", c.old.Name, c.now.Name, err, c.want)
		}
	}
	s := script(t)
	s.record = of(lost)
	for _, c := range []observe.Cell{{Scenario: "a/b", Kernel: lost.Name, Verdict: observe.Infra}, {Scenario: "a/c", Kernel: lost.Name, Verdict: observe.Skipped}} {
		if err := s.folder.PutCell(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.takeOver(of(had)); err != nil || len(s.cells) > 0 || s.record.Kernels[0].Name != had.Name {
		t.Errorf("got error %v, cells %+v, kernels %+v; want no cell, and the kernel %s", err, s.cells, s.record.Kernels, had.Name)
	}
	if cells, _, err := s.folder.Cells(); err != nil || len(cells) > 0 {
		t.Errorf("got error %v, left: %+v; want no cell", err, cells)
	}
}
