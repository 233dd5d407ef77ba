package history_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestWrite(t *testing.T) {
	run := kernels("-5.10.262", "-6.1.192", "6.12.117", "next\x1b[2J")
	*cell(run, "dax/ext4/shared-read", "6.1.192") = observe.Cell{Scenario: "dax/ext4/shared-read", Kernel: "linux 6.1.192", Accel: "tcg", Verdict: observe.Infra, Message: "QEMU ended"}
	h := of(t, run)
	var b strings.Builder
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"3 kernels, the oldest first: 5.10.262, 6.1.192, 6.12.117\n",
		"Not compared, because the version cannot be read: linux next\n",
		"\n5.10.262 → 6.12.117\n  dax_fault_hwpoison (1ea7ca1b0901, v6.5): 1 scenario\n    dax/ext4/shared-read\n",
		"\n6.1.192 → 6.12.117\n  dax_fault_hwpoison (1ea7ca1b0901, v6.5): 6 scenarios\n",
		"\n7 of 15 scenarios flipped, each by a known change.\n",
		"Unknown for 6.1.192: 1 scenario: infrastructure failure: QEMU ended\n    dax/ext4/shared-read\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	want := []string{"5.10.262 → 6.12.117: dax_fault_hwpoison in 1", "6.1.192 → 6.12.117: dax_fault_hwpoison in 6"}
	if diff := cmp.Diff(want, h.Steps()); diff != "" {
		t.Errorf("steps mismatch (-want +got):\n%s", diff)
	}
}

// Unexplained flips and lost changes are marked.
func TestWriteFindings(t *testing.T) {
	run := kernels("-6.1.192", "6.5", "-6.12.117")
	cell(run, "dax/ext4/shared-read", "6.5").Witnesses = map[string]string{"badblocks": "40 8"}
	var b strings.Builder
	h := of(t, run)
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"! no known change: 1 scenario\n", "! lost: dax_fault_hwpoison (1ea7ca1b0901, v6.5): ", " by no known change, or by a lost change.\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if !strings.Contains(h.Steps()[1], "lost: "+change.DaxFaultHWPoison.ID) {
		t.Errorf("got the step %q, want one with lost: %s", h.Steps()[1], change.DaxFaultHWPoison.ID)
	}
	b.Reset()
	if err := of(t, kernels("6.12.117", "7.3")).Write(&b); err != nil || !strings.Contains(b.String(), "0 of 15 scenarios flipped, of those that were compared.") {
		t.Errorf("got error %v, want a count of 0 flips:\n%s", err, b.String())
	}
}

// Of many kernels, those between which nothing flipped are one line, as are equal gaps.
func TestWriteMany(t *testing.T) {
	run := kernels("-6.1.170", "-6.1.172", "-6.1.180", "-6.1.192", "6.12.90", "6.12.95", "6.16.3", "6.17.8", "6.18.5", "6.19.2")
	for _, v := range []string{"6.12.90", "6.12.95", "6.16.3", "6.18.5"} {
		*cell(run, "dax/ext4/shared-read", v) = observe.Cell{
			Scenario: "dax/ext4/shared-read", Kernel: "linux " + v, Accel: "tcg", Verdict: observe.Infra, Message: "QEMU ended",
		}
	}
	cell(run, "dax/ext4/shared-write", "6.18.5").Witnesses = map[string]string{"badblocks": "40 8"}
	var b strings.Builder
	if err := of(t, run).Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"10 kernels, the oldest first. No flip was seen between kernels of one line:\n" +
			"  6.1.170 to 6.1.192 (4)\n  6.12.90 to 6.16.3 (3)\n  6.17.8\n  6.18.5\n  6.19.2\n",
		"! no known change: 1 scenario\n    dax/ext4/shared-write\n    faultline repro 'dax/ext4/shared-write@linux 6.18.5' --run ",
		"Unknown for 6.12.90 to 6.16.3 (3), 6.18.5: 1 scenario: infrastructure failure: QEMU ended\n    dax/ext4/shared-read\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// The stable update that brought a change is named if the kernel is known to contain it;
// a later update that does not show the change has lost it.
func TestWriteBackport(t *testing.T) {
	backported := change.DaxFaultHWPoison
	backported.ID, backported.Stable = "mine", []string{"6.4.9", "6.1.200"}
	mine := func(versions ...string) results.Run {
		run := kernels(versions...)
		run.Changes = change.List{backported}
		for _, c := range run.Cells {
			for _, s := range c.Steps {
				if s.Expected != nil && s.Expected.Change == change.DaxFaultHWPoison.ID {
					s.Expected.Change = "mine"
				}
			}
		}
		return run
	}
	var b strings.Builder
	if err := of(t, mine("-6.1.192", "6.1.210", "-6.4.3", "6.12.117")).Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  mine (1ea7ca1b0901, v6.5), backported in 6.1.200: 7 scenarios\n", "  gone: mine (1ea7ca1b0901, v6.5): 7 scenarios\n", "  mine (1ea7ca1b0901, v6.5): 7 scenarios\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, versions := range [][]string{{"6.1.205", "-6.1.210"}, {"-6.1.199", "-6.1.200"}} {
		run := mine(versions...)
		judge.Run(&run)
		if run.Summary.ExitCode != 1 || !strings.Contains(run.Findings[0].Message, "does not have mine (1ea7ca1b0901, in 6.1.200 and later)") {
			t.Errorf("%v: got exit code %d, findings %v; want 1, as one does not have mine", versions, run.Summary.ExitCode, run.Findings)
		}
	}
}
