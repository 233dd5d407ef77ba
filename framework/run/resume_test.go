package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// TestResumeWithoutRecord covers a power loss that removes run.json and damages a cell: the
// run is resumed with the other cells, if it is the same run.
func TestResumeWithoutRecord(t *testing.T) {
	rec := func() results.Run {
		return results.Run{
			Schema: results.Schema, ID: "r1", Started: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Accel: "tcg",
			Tool: results.Tool{Version: "1"}, Host: results.Host{QEMU: "7.2.22"}, Suites: map[string]string{"dax": "1"}, Command: []string{"faultline", "run"},
			Kernels:   []results.Kernel{{Name: "old", Spec: "dir:old", Arch: "amd64", Digest: "d1", Accel: "tcg"}},
			Scenarios: []results.Scenario{{ID: "dax/a", Doc: "a", Suite: "dax"}, {ID: "dax/b", Doc: "b", Suite: "dax"}, {ID: "dax/c", Doc: "c", Suite: "dax"}},
		}
	}
	for name, c := range map[string]struct {
		change func(*results.Run)
		want   string
	}{
		"the same":       {func(*results.Run) {}, ""},
		"another kernel": {func(r *results.Run) { r.Kernels[0].Digest = "d2" }, "started with old (digest d1"},
		"another QEMU":   {func(r *results.Run) { r.Host.QEMU = "10.0.13" }, "QEMU 7.2.22 / 10.0.13"},
		"other suites":   {func(r *results.Run) { r.Suites["dax"] = "2" }, "other suites"},
		"another tool":   {func(r *results.Run) { r.Tool.Version = "2" }, "started by faultline 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t)
			if err := s.folder.PutBegun(rec()); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"dax/a", "dax/b"} {
				cell := observe.Cell{Scenario: id, Kernel: "old", Accel: "tcg", Verdict: observe.Expected, Started: time.Now(), Steps: []observe.Step{}}
				if err := s.folder.PutCell(cell); err != nil {
					t.Fatal(err)
				}
			}
			torn := s.folder.Path(results.CellFile(observe.Cell{Scenario: "dax/b", Kernel: "old"}))
			for _, file := range []string{torn, s.folder.Path(results.RunFile)} {
				if err := os.Truncate(file, 0); err != nil {
					t.Fatal(err)
				}
			}
			s.Resume, s.Out = true, s.folder.Dir()
			s.folder.Close()
			if err := s.checkFolder(); err != nil {
				t.Fatal(err)
			}
			defer s.folder.Close()
			heard := s.heard
			if len(heard.lines) != 1 || !strings.Contains(heard.lines[0], "continuing with begun.json") {
				t.Errorf("got the lines %q, want one, with continuing with begun.json", heard.lines)
			}
			now := rec()
			c.change(&now)
			err := s.takeOver(now)
			if c.want != "" {
				if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want a request error with %q", err, c.want)
				}
				return
			}
			if err != nil || len(s.cells) != 1 || s.cells[0].Scenario != "dax/a" || s.record.ID != "r1" {
				t.Errorf("got error %v, cells %+v of the run %s; want dax/a of r1", err, s.cells, s.record.ID)
			}
			if !slices.ContainsFunc(heard.lines, func(l string) bool {
				return strings.Contains(l, "not reused: ") && strings.Contains(l, filepath.Base(torn))
			}) {
				t.Errorf("got the lines %q, want one with not reused: %s", heard.lines, filepath.Base(torn))
			}
		})
	}
}

// TestNothingToResume covers folders without a run to resume.
func TestNothingToResume(t *testing.T) {
	cells := t.TempDir()
	f, err := results.At(cells)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.PutCell(observe.Cell{Scenario: "dax/a", Kernel: "old", Accel: "tcg", Verdict: observe.Expected, Started: time.Now(), Steps: []observe.Step{}}); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		t.TempDir():                           "nothing to resume: no run was started in ",
		filepath.Join(t.TempDir(), "none"):    "nothing to resume: no run was started in ",
		cells:                                 "how its cells (1 of old) were observed, so they cannot be reused; run without --resume and with another --out",
		filepath.Join(cells, results.RunFile): "run.json in " + cells + " is missing",
	} {
		s := script(t)
		s.Resume, s.Out = true, dir
		err := s.checkFolder()
		if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a request error with %q", err, want)
		}
		s.folder.Close()
	}
}

// A folder to resume may be foreign: nothing is written or removed through links in it.
func TestResumeFollowsNoLink(t *testing.T) {
	s := script(t)
	away := t.TempDir()
	if err := os.MkdirAll(filepath.Join(away, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(away, s.folder.Path("kernels")); err != nil {
		t.Fatal(err)
	}
	s.record = results.Run{Kernels: []results.Kernel{{Name: "old", Spec: "dir:old", Unavailable: "no network"}}}
	now := results.Run{Kernels: []results.Kernel{{Name: "new", Spec: "dir:old"}}}
	if err := s.takeOver(now); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "kernels is not a regular file") {
		t.Errorf("got %v, want a request error with kernels is not a regular file", err)
	}
	if _, err := os.Stat(filepath.Join(away, "old")); err != nil {
		t.Errorf("the target of the link: got %v, want it unchanged", err)
	}
}
