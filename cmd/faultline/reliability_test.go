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

// These tests disturb whole runs, and hold what they observed against a run that
// nobody disturbed. They are short in make test; make test-reliability LONG=1 does
// what docs/evidence/reliability.md tells of.

// reliable are the scenarios of a run that is disturbed: faults, machine checks
// that somebody consumes, and those that work items of the kernel handle.
var reliable = []string{
	"run", "--accel=tcg", "--scenario=dax/ext4/shared-*", "--scenario=mce/anon/cow", "--scenario=mce/*/ucna*", "--scenario=mce/nfit/*",
}

// isLong says whether the tests have the time for all that they promise.
func isLong() bool { return os.Getenv("FAULTLINE_LONG") != "" }

// times is how often something is done: in make test, and with LONG=1.
func times(short, long int) int {
	if isLong() {
		return long
	}
	return short
}

// disturbed is a run that something happens to.
type disturbed struct {
	t   *testing.T
	out string // its results
	tmp string // its TMPDIR, by which its processes are known
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

// start starts faultline, which ends with ctx.
func (d *disturbed) start(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	d.t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(built, "run", "faultline"), append(args[:len(args):len(args)], "--out", d.out)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+d.tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	return cmd, &said
}

// whole does a run to its end.
func (d *disturbed) whole(args ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Hour)
	defer cancel()
	if cmd, said := d.start(ctx, args...); cmd.Wait() != nil {
		d.t.Errorf("%v: %v\n%s", args, cmd.ProcessState, said)
	}
}

// seen is what a folder's cells observed, in canonical bytes, by cell; and the
// cells that tell of trouble with the rig.
func seen(t *testing.T, dir string) (observed, rig map[string]string) {
	t.Helper()
	all, err := cellsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	observed, rig = map[string]string{}, map[string]string{}
	for _, c := range all {
		name := fmt.Sprintf("%s on %s, attempt %d", c.Scenario, c.Kernel, c.Attempt)
		if c.Verdict == observe.Infra {
			rig[name] = c.Message
		} else {
			observed[name] = string(c.Verdict) + " " + string(c.Canonical())
		}
	}
	return observed, rig
}

var reference struct {
	once sync.Once
	seen map[string]string
	took time.Duration
}

// undisturbed is what a run of reliable observes that nothing happens to, and how
// long it takes once the templates are in the cache.
func undisturbed(t *testing.T) (map[string]string, time.Duration) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	reference.once.Do(func() {
		disturb(t).whole(append(reliable[:2:2], "--scenario=dax/ext4/shared-read")...) // has the templates made
		d, begun := disturb(t), time.Now()
		d.whole(reliable...)
		reference.took = time.Since(begun)
		reference.seen, _ = seen(t, d.out)
	})
	if len(reference.seen) < 10 {
		t.Fatalf("nothing to hold it against: %v", reference.seen)
	}
	return reference.seen, reference.took
}

// TestReliabilityKilled kills runs at random moments, with no chance to clean up,
// and resumes them.
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
			cmd, said := d.start(ctx, args...)
			if kills > 0 {
				time.AfterFunc(rand.N(took), func() { cmd.Process.Kill() })
			}
			err := cmd.Wait()
			cancel()
			if err == nil {
				break
			}
			if kills--; fmt.Sprint(err) != "signal: killed" {
				t.Fatalf("%v\n%s", err, said)
			}
		}
		if got, rig := seen(t, d.out); !maps.Equal(got, want) {
			t.Errorf("resumed, it observed %d cells, %d of them otherwise; rig: %v", len(got), differ(got, want), rig)
		}
	}
}

// differ counts what is not the same.
func differ(got, want map[string]string) (n int) {
	for name, text := range want {
		if got[name] != text {
			n++
		}
	}
	return n
}

// TestReliabilityStopped stops a QEMU, or all processes of a run, for ten seconds
// at random moments: a suspended laptop, a runner that is moved, a host that swaps.
// No cell may say what is not so. One that tells of trouble with the rig is
// observed again by --resume.
func TestReliabilityStopped(t *testing.T) {
	want, took := undisturbed(t)
	pause := time.Duration(times(6, 10)) * time.Second
	stops, rigged := times(2, 50), 0
	for stopped, runs := 0, 0; stopped < stops; runs++ {
		if runs > 2*stops {
			t.Fatalf("no QEMU to stop was found: %d stops in %d runs", stopped, runs)
		}
		d := disturb(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		cmd, said := d.start(ctx, reliable...)
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
		got, rig := seen(t, d.out)
		for name, text := range got {
			if text != want[name] {
				t.Errorf("%s, while it was stopped:\n%s\nundisturbed:\n%s", name, text, want[name])
			}
		}
		rigged += len(rig)
		for name, why := range rig {
			t.Logf("%s: %s", name, why)
		}
		switch {
		case len(rig) == 0 && err != nil:
			t.Errorf("%v\n%s", err, said)
		case len(rig) > 0:
			d.whole(append(reliable[:len(reliable):len(reliable)], "--resume")...)
			if got, _ := seen(t, d.out); !maps.Equal(got, want) {
				t.Errorf("resumed, %d cells are not as they were undisturbed", differ(got, want))
			}
		}
	}
	t.Logf("%d stops of %v; %d cells were trouble with the rig, and none was false", stops, pause, rigged)
}

// stop stops one QEMU, or all that runs with that TMPDIR, for a while. It is false
// where there is none.
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

// TestReliabilityBusy does runs while others want every core: whole ones with LONG=1.
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
		got, rig := seen(t, d.out)
		if want == nil {
			want = got
		}
		if !maps.Equal(got, want) || len(rig) > 0 {
			t.Errorf("run %d: %d cells are not as before; rig: %v", n+1, differ(got, want), rig)
		}
		t.Logf("run %d: %d cells in %v", n+1, len(got), time.Since(begun).Round(time.Second))
	}
}

// TestReliabilityRepeat observes the same again and again: 1,000 scenarios in a row
// on each of four kernels with LONG=1. --repeat makes what differs a finding.
func TestReliabilityRepeat(t *testing.T) {
	d := disturb(t)
	args := append(reliable[:len(reliable):len(reliable)], "--repeat=2")
	if isLong() {
		// 19 scenarios of every kind, each 56 times.
		args = append(reliable[:2:2], "--matrix=wide", "--repeat=56")
		for _, id := range []string{
			"dax/ext4/shared-*", "dax/ext4/private-*", "dax/xfs/shared-read", "dax/e820-ext4/pwrite", "dax/ext4/pread", "dax/ext4/pwrite",
			"pagecache/ext4/*", "blockdev/pmem/pread", "mce/ext4/srar-shared", "mce/anon/cow", "mce/anon/srar", "mce/ext4/ucna", "mce/nfit/page",
		} {
			args = append(args, "--scenario="+id)
		}
	}
	d.whole(args...)
	got, rig := seen(t, d.out)
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
			t.Errorf("%s: %s, and first %s", name, text, first[cell])
		}
	}
	if len(rig) > 0 {
		t.Errorf("rig: %v", rig)
	}
	t.Logf("%d cells, each as at its first attempt, which are %d", len(got), len(first))
}
