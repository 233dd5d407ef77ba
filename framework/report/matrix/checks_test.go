package matrix_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

// The checks alone decide the run's exit code.
func TestColumnsDecideOnTheExitCode(t *testing.T) {
	codes := map[matrix.State]int{matrix.Passed: 0, matrix.Skipped: 0, matrix.NotJudged: 3, matrix.Failed: 1, matrix.Stopped: 130}
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			worst := matrix.Passed
			for _, col := range matrix.Columns(run) {
				seen := map[string]bool{}
				for _, c := range col.Checks {
					worst = max(worst, c.State)
					if seen[c.Name] {
						t.Errorf("%s is a duplicate", c.Name)
					}
					seen[c.Name] = true
					if quiet := c.State == matrix.Passed; quiet != (c.Why == "") || quiet != (len(c.Reasons) == 0) {
						t.Errorf("%s: got the state %d, why %q, reasons %q; want both exactly if it has not passed", c.Name, c.State, c.Why, c.Reasons)
					}
				}
			}
			if codes[worst] != run.Summary.ExitCode {
				t.Errorf("got exit code %d of the checks, want %d, as of the run", codes[worst], run.Summary.ExitCode)
			}
		})
	}
}

// notPassed returns the checks that are not Passed, one line each.
func notPassed(name string) []string {
	var out []string
	for _, col := range matrix.Columns(demo.Every()[name]) {
		for _, s := range col.Suites() {
			for _, c := range s.Checks {
				if c.State != matrix.Passed {
					out = append(out, fmt.Sprintf("%s, %s, %s: %s: %s", col.Kernel.Version, s.Name, c.Name, c.Why, strings.Join(c.Reasons, " / ")))
				}
			}
		}
	}
	return out
}

func TestColumns(t *testing.T) {
	for name, want := range map[string][]string{
		"as expected":          nil,
		"infra":                {"6.12.117, dax, dax/ext4/pread: infra: the guest gave no answer within 30s"},
		"infra, once of twice": {"6.1.192, dax, dax/ext4/pread: infra: QEMU ended"},
		"not compared in one scenario": {"6.12.117, dax, dax/ext4/pread: uncompared: not compared with 6.1.192 (apt:bookworm): " +
			"different accelerators: tcg on 6.1.192 (apt:bookworm), kvm on 6.12.117 (apt:bookworm, 6.12)"},
		"skipped": {"6.12.117, dax, dax/ext4/pread: skipped: the kernel lacks CONFIG_EXT4_FS"},
		"contradicted claim": {"6.1.192, findings, contradicted-claim/dax_fault_hwpoison: contradicted_claim: " +
			"6.1.192 (apt:bookworm) is claimed to have dax_fault_hwpoison, but does not show it in dax/ext4/private-cow, dax/ext4/second-process, dax/ext4/shared-read, dax/ext4/shared-write and 3 more"},
		"unexplained difference": {"6.12.117, findings, unexplained-difference/dax/ext4/pread: unexplained_difference: " +
			"dax/ext4/pread differs between 6.1.192 (apt:bookworm) and 6.12.117 (apt:bookworm, 6.12): no known change explains it: witness:badblocks: 32 8 / 40 8"},
		"interrupted":                   {"6.12.117, run, whole: interrupted: the run was interrupted before 2 of 15 scenarios could be observed: syscalls/ext4/pwrite-aligned, syscalls/pmem/read"},
		"interrupted when all was done": {"6.12.117, run, whole: interrupted: the run was interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, notPassed(name)); diff != "" {
				t.Errorf("checks mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// Another tool's record may name kernels and scenarios that it does not list.
func TestColumnsLoseNothing(t *testing.T) {
	run := demo.Run()
	run.Kernels, run.Scenarios = run.Kernels[:1], run.Scenarios[:1]
	n := 0
	for _, col := range matrix.Columns(run) {
		n += len(col.Checks)
	}
	if n != len(run.Cells) {
		t.Errorf("got %d checks, want %d, one of each cell", n, len(run.Cells))
	}
	run.Uncompared = []conclusion.Uncompared{{Scenario: "no/such", KernelA: demo.OldName, KernelB: "no such", Why: "x"}}
	all := matrix.Columns(run)
	if last := all[len(all)-1]; last.Kernel.Name != "no such" || len(last.Checks) != 1 || last.Checks[0].State != matrix.NotJudged {
		t.Errorf("got %+v, want one check on no such, which is not judged", last)
	}
}

// A cell of another shard is not missing in this one.
func TestInterruptedShard(t *testing.T) {
	run := demo.Run()
	run.Shard, run.Interrupted, run.Cells = results.Shard{Index: 4, Of: 5}, true, run.Cells[:0]
	var got []string
	for _, col := range matrix.Columns(run) {
		for _, c := range col.Checks {
			got = append(got, col.Kernel.Version+": "+c.Reasons[0])
		}
	}
	want := []string{"6.12.117: the run was interrupted before 6 of 6 scenarios could be observed: " +
		"dax/ext4/mapped-then-bad, dax/ext4/unwritten-write, dax/ext4/pread, dax/xfs/shared-read, dax/xfs/shared-write, dax/xfs/private-cow"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons mismatch (-want +got):\n%s", diff)
	}
}

func TestStory(t *testing.T) {
	run := demo.Every()["unexpected"]
	var got []string
	for _, col := range matrix.Columns(run) {
		for _, c := range col.Checks {
			if c.State == matrix.Failed {
				got = append(got, c.Story()...)
			}
		}
	}
	want := []string{"step 1, victim: pread file+0x4000 4096: ok 4096; expected: EIO", "badblocks: 32 8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("story mismatch (-want +got):\n%s", diff)
	}
	c := matrix.Check{Cells: []*observe.Cell{
		{Attempt: 1, Verdict: observe.Expected, KernelLog: []string{"one"}},
		{Attempt: 2, Verdict: observe.Infra, ConsoleTail: "two\nthree\n"},
	}}
	if diff := cmp.Diff([]string{"attempt 1, expected:", "attempt 2, infrastructure failure:"}, c.Story()); diff != "" {
		t.Errorf("story mismatch (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, c.KernelOutput()); diff != "" {
		t.Errorf("kernel output mismatch (-want +got):\n%s", diff)
	}
}
