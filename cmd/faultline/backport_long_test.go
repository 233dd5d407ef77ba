package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLongBackport checks backports with a known effect, with real builds: the complete
// one in all scenarios and against a reference, as in docs/guides/backports.md, the others in
// the scenarios that show the defect.
func TestLongBackport(t *testing.T) {
	long(t)
	names := []string{"6.1", "6.1-backport", "6.1-errno-only", "6.1-fault-only", "6.1-all-leak", "6.1-wrong-lsb", "6.1-backport-and-more", "6.1-warns"}
	repo, patches := variants(t, names...)
	before := gitState(t, repo)
	some := []string{"--scenario", "dax/ext4/*", "--scenario", "blockdev/*"}
	for _, c := range []struct {
		name string
		more []string
		code int
		want []string
	}{
		{"6.1-backport", []string{"--reference", "apt:bookworm/6.12"}, 0, []string{
			`^Backport of dax_fault_hwpoison on 6\.1: COMPLETE\n`, `Nothing else changed`, `without\s+unexplained\s+differences`, `dax/ext4/shared-read`}},
		{"6.1-errno-only", some, 1, []string{`: INCOMPLETE`, `shows only a part of it: .*EHWPOISON`, `dax/ext4/pread`, `did not flip: .*BUS_ADRERR`}},
		{"6.1-fault-only", some, 1, []string{`: INCOMPLETE\n`, `0 of \d+ flipped from before\s+to\s+after`, `dax/ext4/shared-read`}},
		{"6.1-all-leak", some, 1, []string{`: INCOMPLETE`, `shows only a part of it: .*EHWPOISON`, `dax/ext4/pread`}},
		{"6.1-wrong-lsb", some, 1, []string{`: INCOMPLETE`, `shows something else: SIGBUS BUS_ADRERR -> SIGBUS BUS_MCEERR_AR lsb=21`, `dax/ext4/shared-read`}},
		{"6.1-backport-and-more", some, 1, []string{`: COLLATERAL\n`, `Also changed \(1 cell\)`, `dax/ext4/past-eof\n +base: +SIGBUS BUS_ADRERR\n +patched: +SIGBUS BUS_MCEERR_AR lsb=12`}},
		{"6.1-warns", some, 1, []string{`: INCOMPLETE AND COLLATERAL`, `WARNING`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"backport", "--tree", repo, "--base", "6.1", "--patch", filepath.Join(patches, c.name+".mbox"),
				"--change", "dax_fault_hwpoison", "--out", filepath.Join(t.TempDir(), "out")}, c.more...)
			cmd := exec.CommandContext(t.Context(), filepath.Join(built, "faultline"), args...)
			var output, log strings.Builder
			cmd.Stdout, cmd.Stderr = &output, &log
			_ = cmd.Run() // the exit code is checked below
			t.Logf("%s\n%s", log.String(), output.String())
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, not %d", code, c.code)
			}
			for _, want := range c.want {
				if !regexp.MustCompile(want).MatchString(output.String()) {
					t.Errorf("%q is not in the output", want)
				}
			}
		})
	}
	if after := gitState(t, repo); after != before {
		t.Errorf("the repository changed:\n%s\n%s", before, after)
	}
}
