package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLongMails runs the programs of docs/mails/ on kernels with and without the bug.
func TestLongMails(t *testing.T) {
	long(t)
	for name, want := range map[string]struct {
		codes     map[string]int
		good, bad string // what the program prints
	}{
		"dax-4k-mapping-no-sigbus": {
			map[string]int{"apt:bookworm/6.12": 0, "apt:trixie-backports": 1},
			"SIGBUS, si_code 4, si_addr_lsb 12", "returned 0 without a signal",
		},
		"dax-huge-madvise-bad-pmd": {
			map[string]int{"apt:bookworm": 1, "apt:bookworm/6.12": 0, "apt:trixie-backports": 0},
			"the huge page is still mapped", "the huge page is not mapped any more",
		},
	} {
		program := filepath.Join(t.TempDir(), name)
		source := filepath.Join("..", "..", "docs", "mails", name+".c")
		if out, err := exec.Command("gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source).CombinedOutput(); err != nil {
			t.Fatalf("compile %s: %v: %s", source, err, out)
		}
		for kernel, code := range want.codes {
			cmd := command(t, "exec", "--accel=tcg", kernel, "--", program, "/mnt/pmem1/file")
			cmd.Path = filepath.Join(built, "faultline")
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			text := want.good
			if code != 0 {
				text = want.bad
			}
			if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), text) {
				t.Errorf("%s on %s: got exit code %d, want %d: %s", name, kernel, got, code, out)
			}
		}
	}
}
