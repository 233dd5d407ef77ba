package repro

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

// The folder's path is not used as a pattern.
func TestConsoles(t *testing.T) {
	for _, name := range []string{"plain", "a[b]", "*", `a\?`} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"1.console": "first\n", "2.console": "second\n", "other": "no"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := consoles(dir); err != nil || got != "first\nsecond\n" {
			t.Errorf("%s: got %q, error %v; want first and second", name, got, err)
		}
	}
}

func TestStep(t *testing.T) {
	met, unmet := &observe.Expectation{Met: true}, &observe.Expectation{}
	steps := func(of ...*observe.Expectation) (out []observe.Step) {
		for _, e := range of {
			out = append(out, observe.Step{Expected: e})
		}
		return out
	}
	diff := func(kernel string, step int) conclusion.Difference {
		return conclusion.Difference{Scenario: "a/b", KernelA: "other", KernelB: kernel, Step: step}
	}
	for name, test := range map[string]struct {
		steps []observe.Step
		diffs []conclusion.Difference
		want  int
	}{
		"nothing":             {nil, nil, 1},
		"nothing expected":    {steps(nil, nil), nil, 1},
		"the first expected":  {steps(nil, met, met), nil, 2},
		"the first unmet":     {steps(nil, met, unmet), nil, 3},
		"the first different": {steps(nil, met, met, unmet), []conclusion.Difference{diff("mine", conclusion.WholeCell), diff("mine", 3), diff("mine", 2)}, 3},
		"another's":           {steps(nil, met, met), []conclusion.Difference{diff("theirs", 2)}, 2},
		"one that is not":     {steps(nil, met), []conclusion.Difference{diff("mine", 7)}, 2},
	} {
		c := observe.Cell{Scenario: "a/b", Kernel: "mine", Steps: test.steps}
		if got := Step(results.Run{Differences: test.diffs}, c); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

func TestDiffer(t *testing.T) {
	cell := func(addr, raw string) observe.Cell {
		return observe.Cell{Scenario: "a/b", Kernel: "k", Verdict: observe.Expected, Steps: []observe.Step{{Actor: "victim", Action: "load", Outcome: observe.Outcome{
			Signals: []observe.Signal{{Signo: 7, Name: "SIGBUS", Addr: addr, Raw: raw}},
		}}}}
	}
	zeros := strings.Repeat("00", 128)
	elsewhere := zeros[:32] + "11" + zeros[34:] // a byte of si_addr
	for _, test := range []struct {
		name  string
		now   observe.Cell
		other bool
		want  int
	}{
		{"the same", cell("file+0x0", zeros), false, 0},
		{"another address in the same place", cell("file+0x0", elsewhere), false, 1},
		{"another address on another kernel", cell("file+0x0", elsewhere), true, 0},
		{"another place", cell("file+0x1", zeros), true, 1},
		{"infra", observe.Cell{Verdict: observe.Infra}, false, 2},
	} {
		if got := differ(cell("file+0x0", zeros), test.now, test.other); len(got) != test.want {
			t.Errorf("%s: got %v, want %d differences", test.name, got, test.want)
		}
	}
	unexpected := cell("file+0x0", zeros)
	unexpected.Verdict = observe.Unexpected
	if got := differ(cell("file+0x0", zeros), unexpected, false); len(got) != 1 || got[0].Field != "verdict" {
		t.Errorf("got %v, want the verdict alone", got)
	}
}

func TestRefused(t *testing.T) {
	for want, opt := range map[string]Options{
		"a/b was skipped on k: it lacks CONFIG_X":  {Cell: observe.Cell{Scenario: "a/b", Kernel: "k", Verdict: observe.Skipped, Message: "it lacks CONFIG_X"}},
		"--pause=3: the recorded cell has 2 steps": {Pause: 3, Cell: observe.Cell{Scenario: "a/b", Kernel: "k", Verdict: observe.Expected, Steps: make([]observe.Step, 2)}},
	} {
		if _, err := Do(context.Background(), opt); err == nil || !strings.HasPrefix(err.Error(), want) || errkind.Of(err) != errkind.Request {
			t.Errorf("got %v, want a request error that begins %q", err, want)
		}
	}
}

// No kernel or program of a record of another installation is resolved or run without
// --trust.
func TestForeignRecord(t *testing.T) {
	dir := t.TempDir()
	pwned := filepath.Join(dir, "PWNED")
	tree := filepath.Join(dir, "evil")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "Makefile"), []byte("$(shell touch "+pwned+")\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open(filepath.Join(dir, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	cell := observe.Cell{Scenario: "program/t", Kernel: "6.1", Verdict: observe.Expected}
	opt := Options{Cache: store, Cell: cell, Kernel: results.Kernel{Name: "6.1", Spec: "tree:" + tree}}
	opt.Run = results.Run{
		Kernels: []results.Kernel{opt.Kernel}, Cells: []observe.Cell{cell}, Mark: strings.Repeat("0", 64),
		Scenarios: []results.Scenario{{ID: "program/t", Program: &program.Program{Path: "/no/such/program"}}},
	}
	_, err = Do(t.Context(), opt)
	for _, want := range []string{"another installation", opt.Kernel.Spec, "/no/such/program", "--trust"} {
		if err == nil || !strings.Contains(err.Error(), want) || errkind.Of(err) != errkind.Request {
			t.Errorf("got %v, want a request's error that names %q", err, want)
		}
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("code of the record's author ran")
	}
	gone := func(opt Options) {
		t.Helper()
		if _, err := Do(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "read the program of program/t") {
			t.Errorf("got %v, want an error about the program", err)
		}
	}
	trusted := opt
	trusted.Trust = true
	gone(trusted)
	installation, err := results.OpenInstallation(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	installation.Sign(&opt.Run)
	gone(opt)
}
