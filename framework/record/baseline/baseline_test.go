package baseline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/internal/errkind"
)

func encode(t *testing.T, run results.Run) []byte {
	t.Helper()
	text, _, err := baseline.Encode(run)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) || !bytes.HasPrefix(text, []byte(baseline.Head)) {
		t.Fatalf("got %s, want JSON with the head of a baseline", text)
	}
	return text
}

func side(t *testing.T, text []byte) compare.Side {
	t.Helper()
	b, err := baseline.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return compare.Side{Label: "baseline", Run: b.Run, Baseline: b}
}

func differences(t *testing.T, a, b compare.Side) []conclusion.Difference {
	t.Helper()
	c, err := compare.Of(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []conclusion.Difference
	for _, p := range c.Pairs {
		out = append(out, p.Differences...)
		for _, l := range p.Left {
			if strings.Contains(l.Why, "baseline") {
				t.Errorf("%s: got it left out, as %s; want no reason of the baseline", l.Scenario, l.Why)
			}
		}
	}
	return out
}

// recorded returns a run after a round trip through JSON, which replaces invalid UTF-8.
func recorded(t *testing.T, run results.Run) (out results.Run) {
	t.Helper()
	text, err := json.Marshal(run)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A run does not differ from its own baseline.
func TestARunWithItsBaseline(t *testing.T) {
	for name, run := range demo.Every() {
		if len(run.Kernels) == 0 {
			continue
		}
		run = recorded(t, run)
		text := encode(t, run)
		demo.Seen(t, string(text))
		if d := differences(t, side(t, text), compare.Side{Run: run}); len(d) > 0 {
			t.Errorf("%s: got %d differences, such as %q; want none", name, len(d), d[0])
		}
		if d := differences(t, compare.Side{Run: run}, side(t, text)); len(d) > 0 {
			t.Errorf("%s, the other way round: got %d differences, such as %q; want none", name, len(d), d[0])
		}
	}
}

// Changes are found by field, and explained as between two runs.
func TestWhatMoved(t *testing.T) {
	run := demo.Run()
	old := run
	old.Kernels, old.Cells = run.Kernels[:1], nil
	for _, c := range run.Cells {
		if c.Kernel == demo.OldName {
			old.Cells = append(old.Cells, c)
		}
	}
	a := side(t, encode(t, old))
	got := differences(t, a, compare.Side{Run: run, Kernel: demo.NewName})
	if diff := cmp.Diff(run.Differences, got); diff != "" {
		t.Errorf("differences mismatch (-want +got):\n%s", diff)
	}
	every := demo.Every()
	for name, want := range map[string]string{
		"unexplained difference": "witness:badblocks: 32 8 / 40 8",
		"unexpected":             "step 1 (victim: pread file+0x4000 4096) ret: -1 / 4096",
		"splat":                  "witness:splats: not recorded / WARNING in dax_iomap_fault",
	} {
		d := differences(t, side(t, encode(t, run)), compare.Side{Run: every[name]})
		if len(d) == 0 || d[0].ExplainedBy != "" || !strings.HasSuffix(d[0].String(), want) && d[0].String() != want {
			t.Errorf("%s: got %v, want %s", name, d, want)
		}
	}
}

// A baseline contains every field of an outcome.
func TestEveryFieldMoves(t *testing.T) {
	ret := int64(7)
	raw := strings.Repeat("00", 40) + "01" + strings.Repeat("00", siginfo.Size-41)
	for name, o := range map[string]observe.Outcome{
		"nothing": {}, "ret": {Ret: &ret}, "errno": {Errno: "EIO"}, "data": {Data: "15"}, "digest": {Data: "15", Digest: "ab"}, "note": {Note: "ret=5\nx"},
		"exit": {Exit: &observe.Exit{Code: 3}}, "killed": {Exit: &observe.Exit{Code: -1, Signal: "SIGBUS"}}, "core": {Exit: &observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}},
		"signal":  {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_ADRERR", Addr: "file+0x4005"}}},
		"code":    {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "si_code 77", Addr: "file+0x4005"}}},
		"number":  {Signals: []observe.Signal{{Name: "signal 33", CodeName: "SI_QUEUE", Addr: "0x0"}}},
		"lsb":     {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", Addr: "file+0x4005", LSB: 12}}},
		"thread":  {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", Addr: "file+0x4005", LSB: -1, Thread: "second"}}},
		"raw":     {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_ADRERR", Addr: "file+0x4005", Raw: raw}}},
		"signals": {Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_ADRERR", Addr: "a+0x1"}, {Name: "SIGSEGV", CodeName: "SEGV_MAPERR", Addr: "a+0x2"}}, Errno: "EINTR"},
	} {
		run := demo.Run()
		moved := func(o observe.Outcome) results.Run {
			r := run
			r.Cells = append([]observe.Cell{}, run.Cells...)
			r.Cells[0].Steps = append([]observe.Step{}, r.Cells[0].Steps...)
			r.Cells[0].Steps[0].Outcome = o
			return r
		}
		with := encode(t, moved(o))
		if d := differences(t, side(t, with), compare.Side{Run: moved(o)}); len(d) > 0 {
			t.Errorf("%s: got the differences %v, want none", name, d)
		}
		if d := differences(t, side(t, with), compare.Side{Run: moved(observe.Outcome{Note: "other"})}); len(d) == 0 {
			t.Errorf("%s changes undetected", name)
		}
		if o.Ret == nil && o.Errno+o.Note == "" && name != "nothing" {
			if d := differences(t, side(t, with), compare.Side{Run: moved(observe.Outcome{})}); len(d) == 0 {
				t.Errorf("%s vanishes undetected", name)
			}
		}
	}
}

// A changed cell is one line of a diff, and each line has one cell.
func TestOneLineACell(t *testing.T) {
	run := demo.Large(demo.Run(), 109, 2)
	was := strings.Split(string(encode(t, run)), "\n")
	for name, change := range map[string]func(*observe.Cell){
		"an outcome":         func(c *observe.Cell) { c.Steps[0].Outcome.Errno = "EPERM" },
		"a witness":          func(c *observe.Cell) { c.Witnesses = map[string]string{"badblocks": "64 8"} },
		"a known line":       func(c *observe.Cell) { c.Witnesses = run.Cells[1].Witnesses },
		"a line never seen":  func(c *observe.Cell) { c.Witnesses = map[string]string{"log": "never seen"} },
		"a line with a mark": func(c *observe.Cell) { c.Witnesses = map[string]string{"log": "x ~01234567"} },
		"what was done":      func(c *observe.Cell) { c.Steps[0].Action = "something else" },
		"skipped": func(c *observe.Cell) {
			*c = observe.Cell{Scenario: c.Scenario, Kernel: c.Kernel, Verdict: observe.Skipped, Message: "no"}
		},
	} {
		r := run
		r.Cells = append([]observe.Cell{}, run.Cells...)
		c := &r.Cells[100]
		c.Steps = append([]observe.Step{}, c.Steps...)
		change(c)
		now := strings.Split(string(encode(t, r)), "\n")
		differ := 0
		for i := range min(len(was), len(now)) {
			if was[i] != now[i] {
				differ++
			}
		}
		if len(was) != len(now) || differ != 1 {
			t.Errorf("%s: got %d lines of %d that differ, and %d now; want 1, and as many", name, differ, len(was), len(now))
		}
	}
	if n := strings.Count(strings.Join(was, "\n"), `"did":`); n != 218 || len(was) > 218+20 {
		t.Errorf("got %d cells in %d lines, want 218 cells in at most 238 lines", n, len(was))
	}
}

// The baseline of a run of 109 scenarios on 6.1 and 6.12 is small, and a cell that shows
// the result of the other kernel is one line of its diff. When the format changes, save
// it again: faultline baseline save of such a run.
func TestRecorded(t *testing.T) {
	text, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	b, err := baseline.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	run := b.Run
	if len(run.Cells) != 218 || len(text) >= 60_000 {
		t.Errorf("got %d cells in %d bytes, want 218 cells in less than 60000 bytes", len(run.Cells), len(text))
	}
	was, moved := strings.Split(string(encode(t, run)), "\n"), 0
	for i := range 109 {
		r := run
		r.Cells = slices.Clone(run.Cells)
		r.Cells[i] = run.Cells[109+i]
		if r.Cells[i].Scenario != run.Cells[i].Scenario {
			t.Fatalf("got %s, want %s", r.Cells[i].Scenario, run.Cells[i].Scenario)
		}
		r.Cells[i].Kernel = run.Cells[i].Kernel
		differ := 0
		now := strings.Split(string(encode(t, r)), "\n")
		for j := range min(len(was), len(now)) {
			if was[j] != now[j] {
				differ++
			}
		}
		if len(was) != len(now) || differ > 1 {
			t.Errorf("%s: got %d lines of %d that differ, and %d now; want at most 1, and as many", r.Cells[i].Scenario, differ, len(was), len(now))
		}
		moved += differ
	}
	if moved < 40 {
		t.Errorf("got only %d scenarios that differ, want at least 40", moved)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(encode(t, demo.Run()))
	for name, text := range map[string]string{
		"no JSON":         good[:len(good)/2],
		"a record":        `{"schema": "faultline.run/3"}`,
		"another version": strings.Replace(good, `"faultline_baseline": 1`, `"faultline_baseline": 2`, 1),
		"an unknown key":  strings.Replace(good, `"did"`, `"done"`, 1),
		"an odd step":     strings.Replace(good, `"saw":{"3"`, `"saw":{"33"`, 1),
		"an odd count":    strings.Replace(good, `"did":"3-`, `"did":"x-`, 1),
		"a huge count":    strings.Replace(good, `"did":"3-`, `"did":"300000000-`, 1),
		"an odd outcome":  strings.Replace(good, `SIGBUS BUS_ADRERR at`, `SIGBUS at`, 1),
		"an odd number":   strings.Replace(good, `ret=-1`, `ret=x`, 1),
		"a kernel twice":  strings.Replace(good, demo.NewName, demo.OldName, 1),
	} {
		if text == good {
			t.Fatalf("%s: nothing replaced", name)
		}
		if _, err := baseline.Decode([]byte(text)); errkind.Of(err) != errkind.Request || err == nil {
			t.Errorf("%s: got %v, want a request error", name, err)
		}
	}
}

func TestTwoBaselines(t *testing.T) {
	b := side(t, encode(t, demo.Run()))
	if _, err := compare.Of(b, b, compare.Options{}); errkind.Of(err) != errkind.Request {
		t.Errorf("got %v, want a request error", err)
	}
}

func FuzzDecode(f *testing.F) {
	text, _, err := baseline.Encode(demo.Run())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := baseline.Decode(text)
		if err != nil {
			return
		}
		if _, _, err := baseline.Encode(b.Run); err != nil {
			t.Error(err)
		}
	})
}

// Step counts in a baseline are bounded.
func TestStepsAreBounded(t *testing.T) {
	var cells strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&cells, `"a/%d": {"did": "9999-0123abcd"},`, i)
	}
	text := baseline.Head + ` "said": {}, "kernels": [{"name": "k", "arch": "amd64", "accel": "tcg", "cells": {` + strings.TrimSuffix(cells.String(), ",") + `}}]}`
	if _, err := baseline.Decode([]byte(text)); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "more than 1000000 steps") {
		t.Errorf("got %v, want a request error with more than 1000000 steps", err)
	}
}

// The file has QEMU's version, and with KVM this machine's processor.
func TestHost(t *testing.T) {
	run := demo.Run()
	run.Host = results.Host{QEMU: `7.2 "x"`, CPU: "our processor"}
	if got := side(t, encode(t, run)).Run.Host; got != (results.Host{QEMU: run.Host.QEMU}) {
		t.Errorf("got %+v, want only QEMU %s", got, run.Host.QEMU)
	}
	run.Kernels[1].Accel = "kvm"
	if got := side(t, encode(t, run)).Run.Host; got != run.Host {
		t.Errorf("got %+v, want %+v", got, run.Host)
	}
	run.Host = results.Host{}
	if got := side(t, encode(t, run)).Run.Host; got != run.Host {
		t.Errorf("got %+v, want %+v", got, run.Host)
	}
}
