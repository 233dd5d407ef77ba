package history_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

func of(t *testing.T, runs ...results.Run) history.History {
	t.Helper()
	var sources []history.Source
	for i, r := range runs {
		sources = append(sources, history.Source{Label: string(rune('a' + i)), Run: r})
	}
	h, err := history.Of(sources, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// kernels returns a run of kernels of these versions. One whose version begins with -
// shows what the older kernel of demo.Run shows, any other what the newer one shows.
func kernels(versions ...string) results.Run {
	from := demo.Run()
	run := from
	run.Kernels, run.Cells = nil, nil
	for _, v := range versions {
		k := from.Kernels[1]
		if w, old := strings.CutPrefix(v, "-"); old {
			k, v = from.Kernels[0], w
		}
		was := k.Name
		k.Name, k.Version, k.Release, k.Spec, k.Packages = "linux "+v, v, "", "dir:"+v, nil
		k.Digest = "sha256:" + v
		run.Kernels = append(run.Kernels, k)
		for _, c := range from.Cells {
			if c.Kernel == was {
				c.Kernel, c.Steps = k.Name, slices.Clone(c.Steps)
				run.Cells = append(run.Cells, c)
			}
		}
	}
	return run
}

func cell(run results.Run, scenario, version string) *observe.Cell {
	for i := range run.Cells {
		if run.Cells[i].Scenario == scenario && run.Cells[i].Kernel == "linux "+version {
			return &run.Cells[i]
		}
	}
	panic("no cell of " + scenario + " on " + version)
}

// show returns a history as text: the order of the kernels, and the moves.
func show(h history.History) string {
	var titles, moves []string
	for _, k := range h.Kernels {
		again := ""
		if k.Again {
			again = " again"
		}
		titles = append(titles, k.Title+again)
	}
	for _, m := range h.Moves {
		how := m.Change
		switch {
		case m.Lost:
			how += " lost"
		case m.Gone:
			how += " gone"
		case how == "":
			how = "unexplained"
		}
		moves = append(moves, fmt.Sprintf("%s > %s: %s in %d", h.Kernels[m.From].Title, h.Kernels[m.To].Title, how, len(m.Scenarios)))
	}
	return strings.Join(titles, ", ") + "; " + strings.Join(moves, "; ")
}

func TestOrder(t *testing.T) {
	demoB := kernels("6.12.117")
	demoB.Kernels[0].Digest = "sha256:other"
	revision := func(revisions ...string) results.Run {
		run := kernels("-6.1.192", "-6.1.192.")
		for i, r := range revisions {
			run.Kernels[i].Version, run.Kernels[i].Packages = "6.1.192", []results.Package{{Name: "linux-image", Version: r}}
			run.Kernels[i].Name = "linux " + r
			for j := range run.Cells {
				if j/15 == i {
					run.Cells[j].Kernel = run.Kernels[i].Name
				}
			}
		}
		return run
	}
	for name, test := range map[string]struct {
		runs []results.Run
		want string
	}{
		"by version, not as named": {[]results.Run{kernels("7.3-rc7", "6.12.117", "-6.1.192", "7.3")},
			"6.1.192, 6.12.117, 7.3-rc7, 7.3; 6.1.192 > 6.12.117: dax_fault_hwpoison in 7"},
		"a stable update with a backport": {[]results.Run{kernels("6.12.117", "6.1.193", "-6.1.192")},
			"6.1.192, 6.1.193, 6.12.117; 6.1.192 > 6.1.193: dax_fault_hwpoison in 7"},
		"several runs": {[]results.Run{kernels("6.12.117"), kernels("-5.10.262"), kernels("-6.1.192")},
			"5.10.262, 6.1.192, 6.12.117; 6.1.192 > 6.12.117: dax_fault_hwpoison in 7"},
		"the same kernel in two runs": {[]results.Run{kernels("-6.1.192", "6.12.117"), kernels("6.12.117")},
			"6.1.192, 6.12.117 of a, 6.12.117 of b again; 6.1.192 > 6.12.117 of a: dax_fault_hwpoison in 7"},
		"another kernel of the same version": {[]results.Run{kernels("6.12.117"), demoB},
			"6.12.117 of a, 6.12.117 of b; "},
		"two kernels of one version, twice": {[]results.Run{revision("6.1.192-2", "6.1.192-1"), revision("6.1.192-2", "6.1.192-1")},
			"linux 6.1.192-1 of a, linux 6.1.192-1 of b again, linux 6.1.192-2 of a, linux 6.1.192-2 of b again; "},
		"lost": {[]results.Run{kernels("-6.1.192", "6.5", "-6.12.117")},
			"6.1.192, 6.5, 6.12.117; 6.1.192 > 6.5: dax_fault_hwpoison in 7; 6.5 > 6.12.117: dax_fault_hwpoison lost in 7"},
		"one": {[]results.Run{kernels("6.12.117")}, "6.12.117; "},
	} {
		if diff := cmp.Diff(test.want, show(of(t, test.runs...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// A kernel that is claimed not to have it has not lost it.
	run := kernels("6.5", "-6.12.117")
	run.Kernels[1].Claims = map[string]bool{change.DaxFaultHWPoison.ID: false}
	if h, want := of(t, run), "6.5, 6.12.117; 6.5 > 6.12.117: dax_fault_hwpoison gone in 7"; show(h) != want || h.ExitCode() != 0 {
		t.Errorf("got %s, exit code %d; want %s, exit code 0", show(h), h.ExitCode(), want)
	}
}

// named is kernels, with each release (uname -r) after its version.
func named(names ...string) results.Run {
	var versions []string
	for _, n := range names {
		v, _, _ := strings.Cut(n, " ")
		versions = append(versions, v)
	}
	run := kernels(versions...)
	for i, n := range names {
		_, run.Kernels[i].Release, _ = strings.Cut(n, " ")
	}
	return run
}

// A change that only a kernel of another line has is gone, not lost; the run agrees.
func TestOtherLines(t *testing.T) {
	for _, test := range []struct {
		names []string
		code  int
		want  string
	}{
		{[]string{"5.14.0 5.14.0-611.el9.x86_64", "-6.1.192 6.1.0-56-amd64"}, 0, "gone"},
		{[]string{"5.15.0 5.15.0-305.176.4.el9uek.x86_64", "-5.15.190 5.15.190"}, 0, "gone"},
		{[]string{"6.1.200 6.1.200", "-6.4.0 6.4.0-150600.23.25-default"}, 0, "gone"},
		{[]string{"6.4.0 6.4.0-110-generic", "-6.4.5 6.4.5"}, 0, "gone"},
		{[]string{"6.1.190 6.1.0-55-amd64", "-6.1.192 6.1.0-56-amd64"}, 1, "lost"},
		{[]string{"6.1.190 6.1.190", "-6.1.192 6.1.192"}, 1, "lost"},
		{[]string{"6.4.0 6.4.0-150600.23.25-default", "-6.8.0 6.8.0-44-generic"}, 1, "lost"}, // against upstream
	} {
		run := named(test.names...)
		judge.Run(&run)
		h := of(t, run)
		if h.ExitCode() != test.code || run.Summary.ExitCode != test.code || !strings.HasSuffix(show(h), "dax_fault_hwpoison "+test.want+" in 7") {
			t.Errorf("%v: got the exit codes %d of the history and %d of the run, %s; want %d and dax_fault_hwpoison %s: %v",
				test.names, h.ExitCode(), run.Summary.ExitCode, show(h), test.code, test.want, run.Findings)
		}
	}
}

// Kernels without a version are listed, and not compared.
func TestUnplaced(t *testing.T) {
	h := of(t, kernels("-6.1.192", "next", "6.12.117"))
	const want = "6.1.192, 6.12.117; 6.1.192 > 6.12.117: dax_fault_hwpoison in 7"
	if show(h) != want || len(h.Unplaced) != 1 || h.Unplaced[0].Title != "linux next" {
		t.Errorf("got %s, unplaced %+v; want %s, unplaced linux next", show(h), h.Unplaced, want)
	}
	_, err := history.Of([]history.Source{{Run: kernels("next")}}, history.Options{})
	if err == nil || errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "linux next") {
		t.Errorf("got %v, want a request error that names linux next", err)
	}
}

// A scenario that a kernel did not observe is a gap, not a flip; the next kernel is
// compared with the last one that observed it.
func TestGaps(t *testing.T) {
	const id = "dax/ext4/shared-read"
	run := kernels("-5.10.262", "-6.1.192", "6.12.117", "7.3.4")
	set := func(version string, v observe.Verdict, message string) {
		c := cell(run, id, version)
		*c = observe.Cell{Scenario: c.Scenario, Kernel: c.Kernel, Accel: c.Accel, Verdict: v, Message: message}
	}
	flipOf := func(h history.History) (from, to int) {
		for _, f := range h.Flips {
			if f.Scenario == id {
				return f.From, f.To
			}
		}
		return -1, -1
	}
	set("6.1.192", observe.Skipped, "the kernel lacks CONFIG_FS_DAX")
	h := of(t, run)
	if from, to := flipOf(h); from != 0 || to != 2 {
		t.Errorf("got a flip between %d and %d, want 0 and 2", from, to)
	}
	want := []history.Gap{{Kernel: 1, Why: "skipped: the kernel lacks CONFIG_FS_DAX", Scenarios: []string{id}}}
	if diff := cmp.Diff(want, h.Gaps); diff != "" || h.ExitCode() != 0 {
		t.Errorf("got exit code %d, want 0; gaps mismatch (-want +got):\n%s", h.ExitCode(), diff)
	}
	set("6.12.117", observe.Infra, "QEMU ended")
	h = of(t, run)
	want = append(want, history.Gap{Kernel: 2, Why: "infrastructure failure: QEMU ended", Infra: true, Scenarios: []string{id}})
	if diff := cmp.Diff(want, h.Gaps); diff != "" || h.ExitCode() != 3 {
		t.Errorf("got exit code %d, want 3; gaps mismatch (-want +got):\n%s", h.ExitCode(), diff)
	}
	if from, to := flipOf(h); from != 0 || to != 3 {
		t.Errorf("got a flip between %d and %d, want 0 and 3", from, to)
	}
	// No older kernel observed it: no flip, and no gap on the kernel that did.
	set("5.10.262", observe.Infra, "QEMU ended")
	h = of(t, run)
	if from, to := flipOf(h); from != -1 || to != -1 {
		t.Errorf("got a flip between %d and %d, want none", from, to)
	}
	if n := len(h.Gaps); n != 3 || slices.ContainsFunc(h.Gaps, func(g history.Gap) bool { return g.Kernel == 3 }) {
		t.Errorf("got the gaps %+v, want 3, none of kernel 3", h.Gaps)
	}
}

// A run that was interrupted, another plan, another accelerator.
func TestRunsThatLackSomething(t *testing.T) {
	const id = "syscalls/pmem/read"
	drop := func(run *results.Run) {
		run.Cells = slices.DeleteFunc(run.Cells, func(c observe.Cell) bool { return c.Scenario == id })
	}
	old, now := kernels("-6.1.192"), kernels("6.12.117")
	drop(&now)
	if h := of(t, old, now); len(h.Gaps) != 1 || h.Gaps[0].Why != "no cell in b" || h.ExitCode() != 0 {
		t.Errorf("another shard's: got %+v, want a gap that has no cell in b, exit code 0", h.Gaps)
	}
	now.Interrupted = true
	if h := of(t, old, now); len(h.Gaps) != 1 || h.Gaps[0].Why != "not observed: the run was interrupted" || h.ExitCode() != 3 {
		t.Errorf("interrupted: got %+v, want a gap that was not observed, exit code 3", h.Gaps)
	}
	now.Scenarios = slices.DeleteFunc(slices.Clone(now.Scenarios), func(s results.Scenario) bool { return s.ID == id })
	if h := of(t, old, now); len(h.Gaps) != 1 || h.Gaps[0].Why != "not in b" || h.ExitCode() != 0 {
		t.Errorf("another plan: got %+v, want a gap that is not in b, exit code 0", h.Gaps)
	}
	kvm := kernels("6.12.117")
	for i := range kvm.Cells {
		kvm.Cells[i].Accel = "kvm"
	}
	h := of(t, old, kvm)
	if len(h.Flips) != 0 || len(h.Gaps) != 1 || h.Gaps[0].Why != "not compared with 6.1.192 (A): different accelerators: tcg in A, kvm in B" || len(h.Gaps[0].Scenarios) != 15 || h.ExitCode() != 3 {
		t.Errorf("another accelerator: got %+v, want a gap of 15 scenarios that are not compared, exit code 3", h.Gaps)
	}
	h, err := history.Of([]history.Source{{Label: "a", Run: old}, {Label: "b", Run: kvm}}, history.Options{AnyAccel: true})
	if err != nil || len(h.Flips) != 7 || len(h.Gaps) != 0 {
		t.Errorf("any accelerator: got error %v, gaps %+v; want 7 flips and no gap", err, h.Gaps)
	}
	// It is compared with the nearest comparable kernel.
	h = of(t, old, kvm, kernels("7.3.4"))
	if got, want := show(h), "6.1.192, 6.12.117, 7.3.4; 6.1.192 > 7.3.4: dax_fault_hwpoison in 7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A flip lists each field that differs, and may have two causes.
func TestFlip(t *testing.T) {
	const id = "dax/ext4/shared-read"
	run := kernels("-6.1.192", "6.12.117")
	cell(run, id, "6.12.117").Witnesses = map[string]string{"badblocks": "40 8", "log": cell(run, id, "6.12.117").Witnesses["log"]}
	h := of(t, run)
	const want = "6.1.192, 6.12.117; 6.1.192 > 6.12.117: unexplained in 1; 6.1.192 > 6.12.117: dax_fault_hwpoison in 7"
	if show(h) != want || h.ExitCode() != 1 {
		t.Errorf("got %s, exit code %d; want %s, exit code 1", show(h), h.ExitCode(), want)
	}
	i := slices.IndexFunc(h.Flips, func(f history.Flip) bool { return f.Scenario == id })
	f := h.Flips[i]
	if !f.Unexplained || !f.Finding() || !slices.Equal(f.Changes, []string{change.DaxFaultHWPoison.ID}) || len(f.Differences) != 4 {
		t.Errorf("got %+v, want an unexplained finding with dax_fault_hwpoison and 4 differences", f)
	}
	// A change that a user declares explains it.
	run.Changes = change.List{{ID: "mine", Witnesses: []change.WitnessEffect{{Scenarios: id, Witness: "badblocks", Before: "32 8", After: "40 8"}}}}
	if h := of(t, run); h.ExitCode() != 0 || h.Moves[len(h.Moves)-1].Change != "mine" && h.Moves[0].Change != "mine" {
		t.Errorf("got %s, exit code %d; want the change mine, exit code 0", show(h), h.ExitCode())
	}
}

// The flips of every run are its differences.
func TestAgreesWithTheRun(t *testing.T) {
	for name, run := range demo.Every() {
		if len(run.Kernels) != 2 {
			continue
		}
		h := of(t, run)
		var fields int
		for _, f := range h.Flips {
			fields += len(f.Differences)
		}
		if fields != len(run.Differences) {
			t.Errorf("%s: got %d fields that flipped, want %d, as many as differ", name, fields, len(run.Differences))
		}
	}
}

// A change lost between any two kernels is a finding of the run, too.
func TestLostIsTheRunsFinding(t *testing.T) {
	for _, versions := range [][]string{{"-5.10.262", "6.1.193", "-6.1.200"}, {"-6.1.200", "6.1.193"}, {"-5.10.262", "6.1.193", "-6.2"}, {"-5.10.262", "-6.1.192", "6.1.193"}} {
		run := kernels(versions...)
		judge.Run(&run)
		if h := of(t, run); h.ExitCode() != run.Summary.ExitCode {
			t.Errorf("%v: got the exit codes %d of the history (%s) and %d of the run, want the same: %v",
				versions, h.ExitCode(), show(h), run.Summary.ExitCode, run.Findings)
		}
	}
}
