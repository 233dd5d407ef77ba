package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/kernels/source"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
)

// cellsOf returns the cells of a folder, all of whose files must be cells.
func cellsOf(dir string) ([]observe.Cell, error) {
	f, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	all, skipped, err := f.Cells()
	if err == nil && len(skipped) > 0 {
		err = fmt.Errorf("%s has files that are not cells: %v", dir, skipped)
	}
	return all, err
}

// cells checks the number of cells by verdict in a folder: cells DIR expected=2.
func cells(ts *testscript.TestScript, neg bool, args []string) {
	all, err := cellsOf(ts.MkAbs(args[0]))
	ts.Check(err)
	n := map[string]int{}
	for _, c := range all {
		n[string(c.Verdict)]++
	}
	var got []string
	for v, n := range n {
		got = append(got, fmt.Sprint(v, "=", n))
	}
	sort.Strings(got)
	if !slices.Equal(got, args[1:]) {
		ts.Fatalf("%s: got the cells %v, want %v", args[0], got, args[1:])
	}
}

// sameCells checks that the results of two runs are identical, byte for byte, and in the
// same order in their records: same DIR DIR.
func sameCells(ts *testscript.TestScript, neg bool, args []string) {
	var forms [2][]string
	for i := range forms {
		var err error
		forms[i], err = canonical(ts.MkAbs(args[i]))
		ts.Check(err)
	}
	if len(forms[0]) == 0 || !slices.Equal(forms[0], forms[1]) {
		ts.Fatalf("%s and %s differ:\n%s\n---\n%s", args[0], args[1], strings.Join(forms[0], "\n"), strings.Join(forms[1], "\n"))
	}
}

// canonical returns the results of a run: from its files, then from its record.
func canonical(dir string) (forms []string, err error) {
	all, err := cellsOf(dir)
	if err != nil {
		return nil, err
	}
	f, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	r, err := f.LoadRun(judge.Run)
	for _, c := range append(all, r.Cells...) {
		forms = append(forms, fmt.Sprintf("%s attempt %d: %s", c.Kernel, c.Attempt, c.Canonical()))
	}
	return forms, err
}

// accels checks the accelerators of the cells of scenarios, on every kernel:
// accels DIR ID=ACCEL….
func accels(ts *testscript.TestScript, neg bool, args []string) {
	all, err := cellsOf(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, c := range all {
		if a := c.Scenario + "=" + c.Accel; !slices.Contains(got, a) {
			got = append(got, a)
		}
	}
	sort.Strings(got)
	if !slices.Equal(got, args[1:]) {
		ts.Fatalf("%s: got %v, want %v", args[0], got, args[1:])
	}
}

// inFront prepends a folder of testdata to the script's PATH: infront kvm.
func inFront(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := filepath.Abs(filepath.Join("testdata", args[0]))
	ts.Check(err)
	ts.Setenv("PATH", dir+string(filepath.ListSeparator)+ts.Getenv("PATH"))
}

// loads matches what a browser fetches by itself, unlike a link.
var loads = regexp.MustCompile(`(?i)(src|action|xlink:href)\s*=\s*["']?(https?:)?//|<(image|use|base)\b[^>]*href|url\(\s*["']?(https?:)?//|@import|<link\b|fetch\(`)

// record checks that a folder contains a complete run with that exit code, with a valid
// run.json, a report that needs no network, and the console and command of each booted
// kernel: record DIR CODE.
func record(ts *testscript.TestScript, neg bool, args []string) {
	f, err := results.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	r, err := f.LoadRun(judge.Run) // validates
	ts.Check(err)
	if got := strconv.Itoa(r.Summary.ExitCode); got != args[1] || r.Finished.IsZero() {
		ts.Fatalf("run.json has exit code %s, finished at %v", got, r.Finished)
	}
	html, err := os.ReadFile(f.Path(report.HTML.File))
	ts.Check(err)
	if found := loads.Find(html); found != nil {
		ts.Fatalf("report.html is not self-contained: %s", found)
	}
	for _, k := range r.Kernels {
		for file, want := range map[string]string{k.Console: "faultline-init: ", k.CommandFile: "qemu-system-x86_64 "} {
			data, err := os.ReadFile(f.Path(file))
			ts.Check(err)
			if !bytes.Contains(data, []byte(want)) {
				ts.Fatalf("%s of %s has no %q", file, k.Name, want)
			}
		}
	}
}

// brokenKernel creates a folder with bookworm's kernel with one module, not those of a guest, which
// fails in PID 1: broken DIR.
func brokenKernel(ts *testscript.TestScript, neg bool, args []string) {
	store, err := cache.Open("")
	ts.Check(err)
	k, err := source.Resolve(context.Background(), "apt:bookworm", kernels.Options{Cache: store})
	ts.Check(err)
	defer k.Close()
	to := ts.MkAbs(args[0])
	modules := filepath.Join(to, "lib", "modules", k.Release)
	ts.Check(os.MkdirAll(modules, 0o755))
	from := filepath.Dir(k.Image)
	for src, dst := range map[string]string{
		filepath.Join(from, "vmlinuz"):                 filepath.Join(to, "vmlinuz"),
		filepath.Join(from, "config"):                  filepath.Join(to, "config"),
		filepath.Join(k.ModulesDir, "modules.builtin"): filepath.Join(modules, "modules.builtin"),
		filepath.Join(k.ModulesDir, "modules.order"):   filepath.Join(modules, "modules.order"),
		oneModule(k.ModulesDir):                        filepath.Join(modules, "dm-mod.ko"),
	} {
		data, err := os.ReadFile(src)
		ts.Check(err)
		ts.Check(os.WriteFile(dst, data, 0o644))
	}
}

// condition supports [mount]: disks can be mounted here; and [kvm]: /dev/kvm can be
// opened, even if KVM runs no guests.
func condition(name string) (bool, error) {
	if name == "kvm" {
		return vm.OpenKVM() == nil, nil
	}
	if name != "mount" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	dir, err := os.MkdirTemp("", "flt")
	if err != nil {
		return false, err
	}
	defer os.Remove(dir)
	if unix.Mount("tmpfs", dir, "tmpfs", 0, "") != nil {
		return false, nil
	}
	return true, unix.Unmount(dir, unix.MNT_DETACH)
}

// smallDisk puts the script's cache on a disk of that size: smalldisk 20m.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("small")
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[0]))
	ts.Defer(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	ts.Setenv("XDG_CACHE_HOME", dir)
}

// runCommand returns a faultline run command.
func runCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, append([]string{"run", "--accel=tcg", "--scenario=dax/ext4/shared-*", "--scenario=dax/ext4/private-*"}, args...)...)
	cmd.Path = filepath.Join(built, "faultline")
	cmd.Dir = t.TempDir()
	return cmd
}

// TestRunStopped ends a run with SIGINT, as Ctrl-C does, and with SIGKILL, and resumes it:
// finished cells must not run again.
func TestRunStopped(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{syscall.SIGINT: "exit status 130", syscall.SIGKILL: "signal: killed"} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			cmd := runCommand(t)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(cmd.Dir, "results", "latest")
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
				if n, _ := filepath.Glob(filepath.Join(dir, "kernels", "*", "cells", "*.json")); len(n) > 1 {
					break
				}
				if time.Now().After(end) {
					t.Error("no cell in two minutes")
					break
				}
			}
			cmd.Process.Signal(sig)
			if got := fmt.Sprint(cmd.Wait()); got != want {
				t.Fatalf("ended with %q, want %q: %s", got, want, stderr.String())
			}
			f, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.LoadRun(judge.Run)
			if err != nil {
				t.Fatal(err)
			}
			runCells := len(r.Kernels) * len(r.Scenarios)
			done, _, err := f.Cells()
			if err != nil || len(done) < 2 || len(done) >= runCells {
				t.Fatalf("stopped after %d cells, error %v; want 2 to %d cells", len(done), err, runCells-1)
			}
			for _, c := range done {
				if c.Verdict != observe.Expected {
					t.Errorf("%s on %s: got %s (%s), want %s", c.Scenario, c.Kernel, c.Verdict, c.Message, observe.Expected)
				}
			}
			if sig == syscall.SIGINT {
				if !strings.HasSuffix(stderr.String(), "run the same command with --resume to continue\n") {
					t.Errorf("got stderr %s, want it to end with how to continue", stderr.String())
				}
				if !r.Interrupted || r.Finished.IsZero() || r.Summary.ExitCode != errkind.ExitInterrupted {
					t.Errorf("run.json: got interrupted %t, finished %v, %+v; want an interrupted run that is finished",
						r.Interrupted, r.Finished, r.Summary)
				}
				if _, err := os.Stat(f.Path(report.HTML.File)); err != nil {
					t.Error(err)
				}
			}

			again := runCommand(t, "--resume")
			again.Dir = cmd.Dir
			if out, err := again.CombinedOutput(); err != nil {
				t.Fatalf("resumed: %v: %s", err, out)
			}
			if now, err := f.LoadRun(judge.Run); err != nil || now.ID != r.ID || now.Interrupted || now.Summary.Expected != runCells {
				t.Errorf("resumed: got error %v, ID %s, interrupted %t, %+v; want ID %s, false, %d expected",
					err, now.ID, now.Interrupted, now.Summary, r.ID, runCells)
			}
			all, err := cellsOf(dir)
			if err != nil || len(all) != runCells {
				t.Fatalf("resumed: got %d cells, error %v; want %d", len(all), err, runCells)
			}
			for _, c := range done {
				i := slices.IndexFunc(all, func(o observe.Cell) bool { return o.Scenario == c.Scenario && o.Kernel == c.Kernel })
				if !all[i].Started.Equal(c.Started) {
					t.Errorf("%s on %s was observed again", c.Scenario, c.Kernel)
				}
			}
		})
	}
}

// entry creates a template in the script's cache that was last used that long ago, and
// with hold keeps it in use until the script ends: entry KEY AGE [hold].
func entry(ts *testscript.TestScript, neg bool, args []string) {
	store, err := cache.Open(filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "faultline"))
	ts.Check(err)
	e, err := store.Get(context.Background(), "templates", args[0], func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "file"), make([]byte, 8192), 0o644)
	})
	ts.Check(err)
	ago, err := time.ParseDuration(args[1])
	ts.Check(err)
	items, err := store.List()
	ts.Check(err)
	for _, i := range items {
		if i.Key == args[0] {
			used := time.Now().Add(-ago)
			ts.Check(os.Chtimes(filepath.Join(i.Path, ".manifest.json"), used, used))
		}
	}
	if len(args) > 2 {
		ts.Defer(func() { e.Close() })
		return
	}
	ts.Check(e.Close())
}
