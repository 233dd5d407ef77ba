package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// These tests disturb whole runs, and compare their results with those of an undisturbed
// run. They are short in make test; make test-reliability LONG=1 runs them as described in
// docs/evidence/reliability.md.

// reliable are the scenarios of a disturbed run: faults, consumed machine checks, and
// machine checks that the kernel handles in work items.
var reliable = []string{
	"run", "--accel=tcg", "--scenario=dax/ext4/shared-*", "--scenario=mce/anon/cow", "--scenario=mce/*/ucna*", "--scenario=mce/nfit/*",
}

// isLong reports whether the tests run in full length.
func isLong() bool { return os.Getenv("FAULTLINE_LONG") != "" }

// times returns a number of repetitions: short in make test, long with LONG=1.
func times(short, long int) int {
	if isLong() {
		return long
	}
	return short
}

// disturbed is a run that a test disturbs.
type disturbed struct {
	t   *testing.T
	out string // its results
	tmp string // its TMPDIR, which identifies its processes
}

func disturb(t *testing.T) *disturbed {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	tmp, err := os.MkdirTemp("", "flt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nothingLeft(tmp); err != nil {
			t.Error(err)
		}
		os.RemoveAll(tmp)
	})
	return &disturbed{t, filepath.Join(t.TempDir(), "out"), tmp}
}

// start starts faultline, which is killed when ctx is done.
func (d *disturbed) start(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	d.t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(built, "faultline"), append(args[:len(args):len(args)], "--out", d.out)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+d.tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return cmd, &output
}

// whole runs faultline to its end.
func (d *disturbed) whole(args ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Hour)
	defer cancel()
	if cmd, output := d.start(ctx, args...); cmd.Wait() != nil {
		d.t.Errorf("%v: %v\n%s", args, cmd.ProcessState, output)
	}
}

// seen returns the results of a folder's cells, in canonical bytes, by cell; and the
// messages of the cells with infrastructure failures.
func seen(t *testing.T, dir string) (observed, infra map[string]string) {
	t.Helper()
	all, err := cellsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	observed, infra = map[string]string{}, map[string]string{}
	for _, c := range all {
		name := fmt.Sprintf("%s on %s, attempt %d", c.Scenario, c.Kernel, c.Attempt)
		if c.Verdict == observe.Infra {
			infra[name] = c.Message
		} else {
			observed[name] = string(c.Verdict) + " " + string(c.Canonical())
		}
	}
	return observed, infra
}

var reference struct {
	once sync.Once
	seen map[string]string
	took time.Duration
}

// undisturbed returns the results of an undisturbed run of reliable, and its duration
// with cached templates.
func undisturbed(t *testing.T) (map[string]string, time.Duration) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	reference.once.Do(func() {
		disturb(t).whole(append(reliable[:2:2], "--scenario=dax/ext4/shared-read")...) // builds the templates
		d, begun := disturb(t), time.Now()
		d.whole(reliable...)
		reference.took = time.Since(begun)
		reference.seen, _ = seen(t, d.out)
	})
	if len(reference.seen) < 10 {
		t.Fatalf("got %v to compare with, want at least 10 results", reference.seen)
	}
	return reference.seen, reference.took
}

// TestReliabilityKilled kills runs with SIGKILL at random moments, and resumes them.
func TestReliabilityKilled(t *testing.T) {
	want, took := undisturbed(t)
	for kills := times(2, 26); kills > 0; {
		d := disturb(t)
		for {
			args := reliable
			if _, err := os.Stat(filepath.Join(d.out, results.RunFile)); err == nil {
				args = append(args[:len(args):len(args)], "--resume")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			cmd, output := d.start(ctx, args...)
			if kills > 0 {
				time.AfterFunc(rand.N(took), func() { cmd.Process.Kill() })
			}
			err := cmd.Wait()
			cancel()
			if err == nil {
				break
			}
			if kills--; fmt.Sprint(err) != "signal: killed" {
				t.Fatalf("got %v, want signal: killed\n%s", err, output)
			}
		}
		if got, infra := seen(t, d.out); !maps.Equal(got, want) {
			t.Errorf("the resumed run has %d cells, %d of them differ; infrastructure failures: %v", len(got), differ(got, want), infra)
		}
	}
}

// differ counts the cells that differ.
func differ(got, want map[string]string) (n int) {
	for name, text := range want {
		if got[name] != text {
			n++
		}
	}
	return n
}

// TestReliabilityStopped stops a QEMU, or all processes of a run, for ten seconds at
// random moments, like a suspended laptop, a migrated runner or a swapping host. No cell
// may have a wrong result. --resume runs a cell with an infrastructure failure again.
func TestReliabilityStopped(t *testing.T) {
	want, took := undisturbed(t)
	pause := time.Duration(times(6, 10)) * time.Second
	stops, infraCells := times(2, 50), 0
	for stopped, runs := 0, 0; stopped < stops; runs++ {
		if runs > 2*stops {
			t.Fatalf("found no QEMU to stop: %d stops in %d runs", stopped, runs)
		}
		d := disturb(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		cmd, output := d.start(ctx, reliable...)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		err := error(nil)
		for over := false; !over; {
			select {
			case err = <-ended:
				over = true
			case <-time.After(rand.N(took / 2)):
				if stopped < stops && stop(d.tmp, stopped%2 == 0, pause) {
					stopped++
				}
			}
		}
		cancel()
		got, infra := seen(t, d.out)
		for name, text := range got {
			if text != want[name] {
				t.Errorf("%s, stopped meanwhile:\n%s\nundisturbed:\n%s", name, text, want[name])
			}
		}
		infraCells += len(infra)
		for name, why := range infra {
			t.Logf("%s: %s", name, why)
		}
		switch {
		case len(infra) == 0 && err != nil:
			t.Errorf("%v\n%s", err, output)
		case len(infra) > 0:
			d.whole(append(reliable[:len(reliable):len(reliable)], "--resume")...)
			if got, _ := seen(t, d.out); !maps.Equal(got, want) {
				t.Errorf("resumed, %d cells differ from the undisturbed run", differ(got, want))
			}
		}
	}
	t.Logf("%d stops of %v; %d cells had infrastructure failures, none was wrong", stops, pause, infraCells)
}

// stop stops one QEMU, or all processes with that TMPDIR, for a while. It reports whether
// it found any.
func stop(tmp string, all bool, pause time.Duration) bool {
	var pids, guests []int
	for pid, name := range running(tmp) {
		pids = append(pids, pid)
		if strings.HasPrefix(name, "qemu-system") {
			guests = append(guests, pid)
		}
	}
	if len(guests) == 0 {
		return false
	}
	if !all {
		pids = []int{guests[rand.IntN(len(guests))]}
	}
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGSTOP)
	}
	time.Sleep(pause)
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGCONT)
	}
	return true
}

// TestReliabilityBusy runs on a host whose CPUs are all busy: whole runs with LONG=1.
func TestReliabilityBusy(t *testing.T) {
	args := reliable
	var want map[string]string
	if isLong() {
		args = reliable[:2]
	} else {
		want, _ = undisturbed(t)
	}
	for range runtime.NumCPU() {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	}
	for n := range times(1, 4) {
		d, begun := disturb(t), time.Now()
		d.whole(args...)
		got, infra := seen(t, d.out)
		if want == nil {
			want = got
		}
		if !maps.Equal(got, want) || len(infra) > 0 {
			t.Errorf("run %d: %d cells differ; infrastructure failures: %v", n+1, differ(got, want), infra)
		}
		t.Logf("run %d: %d cells in %v", n+1, len(got), time.Since(begun).Round(time.Second))
	}
}

// TestReliabilityRepeat repeats the same scenarios: with LONG=1, 1,000 in a row on each of
// four kernels. --repeat makes any difference a finding.
func TestReliabilityRepeat(t *testing.T) {
	d := disturb(t)
	args := append(reliable[:len(reliable):len(reliable)], "--repeat=2")
	if isLong() {
		// 19 scenarios of every kind, each 56 times. Not one that does not return on some
		// kernel: each attempt would take 40 s.
		args = append(reliable[:2:2], "--matrix=wide", "--repeat=56")
		for _, id := range []string{
			"dax/ext4/shared-*", "dax/ext4/private-*", "dax/xfs/shared-read", "dax/e820-ext4/pwrite", "dax/ext4/pread", "dax/ext4/pwrite",
			"pagecache/ext4/pread-span", "blockdev/pmem/pread", "mce/ext4/srar-shared", "mce/anon/cow", "mce/anon/srar", "mce/ext4/ucna", "mce/nfit/page",
		} {
			args = append(args, "--scenario="+id)
		}
	}
	d.whole(args...)
	got, infra := seen(t, d.out)
	first := map[string]string{}
	for name, text := range got {
		cell, attempt, _ := strings.Cut(name, ", attempt ")
		if attempt == "1" {
			first[cell] = text
		}
	}
	for name, text := range got {
		cell, _, _ := strings.Cut(name, ", attempt ")
		if text != first[cell] {
			t.Errorf("%s: got %s, want as in its first attempt: %s", name, text, first[cell])
		}
	}
	if len(infra) > 0 {
		t.Errorf("infrastructure failures: %v", infra)
	}
	t.Logf("%d cells, each equal to its first attempt, of which there are %d", len(got), len(first))
}
