package explain

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
)

func holds(t *testing.T, text string, want ...string) {
	t.Helper()
	at := 0
	for _, w := range want {
		n := strings.Index(text[at:], w)
		if n < 0 {
			t.Fatalf("no %q, or not in order, in:\n%s", w, text)
		}
		at += n + len(w)
	}
}

func words(say func(io.Writer)) string {
	var b bytes.Buffer
	say(&b)
	return b.String()
}

var info = scenario.Info{
	ID: "dax/ext4/shared-read", Doc: "tells a reader", Needs: []string{"FS_DAX", "EXT4_FS"}, Changes: []string{"dax_fault_hwpoison"}, Catalogue: []string{"A01"},
}

func TestChange(t *testing.T) {
	run := demo.Run()
	got := words(func(w io.Writer) { Change(w, change.DaxFaultHWPoison, []scenario.Info{info, {ID: "x/y"}}, &run) })
	holds(t, got,
		"dax_fault_hwpoison: dax: enable dax fault handler to report VM_FAULT_HWPOISON\n", "commit 1ea7ca1b0901", "first in v6.5",
		"BUS_MCEERR_AR", "CONFIG_MEMORY_FAILURE", "the log then has: MCE: Killing", "__pmem_direct_access → ", "effect here: A, B09",
		"dax/ext4/shared-read: tells a reader\n", "Observed in run ", "6.1.192 (apt:bookworm) does not have dax_fault_hwpoison", " has dax_fault_hwpoison", "explains ")
	if strings.Contains(got, "x/y") {
		t.Errorf("got %s, want it without x/y", got)
	}
	got = words(func(w io.Writer) { Change(w, change.CopyUserHighpageMC, nil, nil) })
	holds(t, got, "first in v6.2\n  backported to stable series, from 5.15.120 on\n")
	// A user's change may have little, and there may be no run and no suites.
	got = words(func(w io.Writer) { Change(w, change.Change{ID: "mine", Scenarios: []string{"a/*"}}, nil, nil) })
	if holds(t, got, "mine: ", "a/*"); strings.Contains(got, "commit") || strings.Contains(got, "Observed in run") || strings.Contains(got, "catalogue") {
		t.Errorf("got %s, want it without a commit, a run and the catalogue", got)
	}
}

func TestScenario(t *testing.T) {
	run := demo.Run()
	got := words(func(w io.Writer) { Scenario(w, info, change.All(), &run) })
	holds(t, got, "dax/ext4/shared-read: tells a reader\n", "needs CONFIG_FS_DAX, CONFIG_EXT4_FS", "Depends on dax_fault_hwpoison (1ea7ca1b0901, v6.5)",
		"A. DAX faults", "id: A01 shared-read", "why: dax_fault_iter, dax_fault_return, vmf_error",
		"6.1.192 (apt:bookworm): SIGBUS BUS_ADRERR (expected)", "BUS_MCEERR_AR lsb=12 (expected)", "the kernels differ by dax_fault_hwpoison")
	got = words(func(w io.Writer) { Scenario(w, scenario.Info{ID: "a/b", Skipped: "no kernel has it"}, nil, &run) })
	holds(t, got, "skipped: no kernel has it", "the run has no cell of this scenario")
}

func TestCell(t *testing.T) {
	run := demo.Run()
	c, _, err := run.FindCell("dax/ext4/shared-read@6.12")
	if err != nil {
		t.Fatal(err)
	}
	got := words(func(w io.Writer) { Cell(w, run, c, info) })
	holds(t, got, "dax/ext4/shared-read on 6.12", ": expected\n", "tells a reader", "Steps\n", "→ SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000",
		"si_signo     7 ", "07 00 00 00 ", "SIGBUS\n", "si_code      4 ", "BUS_MCEERR_AR\n", "si_addr      0x", "file+0x4000\n", "si_addr_lsb  12 ", "0c 00 ", "4 KiB are lost\n",
		"as with dax_fault_hwpoison: ", "Witnesses\n", "explained by dax_fault_hwpoison (1ea7ca1b0901, v6.5)", "Repeat\n", "faultline repro ")
}

// A guest's text cannot control the terminal, and an invalid payload is reported.
func TestHostile(t *testing.T) {
	run := demo.Hostile()
	for _, c := range run.Cells {
		demo.Inert(t, words(func(w io.Writer) { Cell(w, run, c, scenario.Info{Doc: demo.HostileText}) }))
	}
	for _, s := range run.Scenarios {
		demo.Inert(t, words(func(w io.Writer) { Scenario(w, scenario.Info{ID: s.ID, Doc: s.Doc}, run.Known(), &run) }))
	}
	got := words(func(w io.Writer) {
		Step(w, 0, observe.Step{Actor: "victim", Action: "load", Outcome: observe.Outcome{Signals: []observe.Signal{{Name: "SIGBUS", Raw: "07"}}}})
	})
	holds(t, got, "no payload is recorded")
}

func TestDifferencesOfEveryKind(t *testing.T) {
	all := ""
	for _, run := range demo.Every() {
		for _, c := range run.Cells {
			all += words(func(w io.Writer) { Cell(w, run, c, scenario.Info{}) })
		}
	}
	for _, want := range []string{"no known change explains it", "  no difference\n", "not compared: different accelerators", "finding, ", "End of the console"} {
		if !strings.Contains(all, want) {
			t.Errorf("no cell prints %q", want)
		}
	}
	var run results.Run
	if got := words(func(w io.Writer) { Cell(w, run, observe.Cell{Scenario: "a/b", Kernel: "k"}, scenario.Info{}) }); !strings.Contains(got, "Repeat") {
		t.Errorf("got %s, want it with Repeat", got)
	}
}

// The remains of a lost guest are printed, for each of two attempts.
func TestLost(t *testing.T) {
	run := demo.Run()
	c := run.Cells[0]
	c.Verdict, c.ConsoleTail, c.Registers, c.Template = observe.Infra, "the console's end", "RIP=1", "0123abcd"
	c.Earlier = &observe.Cell{Verdict: observe.Infra, Message: "it panicked", ConsoleTail: "an end before", Registers: "RIP=2", Template: "4567cdef"}
	got := words(func(w io.Writer) { Cell(w, run, c, scenario.Info{}) })
	holds(t, got, "the console's end\n", "Registers\n", "RIP=1\n", "0123abcd\n", "Earlier attempt", "it panicked\n", "an end before\n", "RIP=2\n", "4567cdef\n")
	c.Earlier = &observe.Cell{Verdict: observe.Expected, KernelLog: []string{"[ 48.5] its log"}, Witnesses: map[string]string{observe.WitnessSplats: "soft lockup in f"}}
	got = words(func(w io.Writer) { Cell(w, run, c, scenario.Info{}) })
	holds(t, got, "Earlier attempt, in which the kernel reported soft lockup in f\n", "[ 48.5] its log\n")
}
