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
	for name, want := range map[string]map[string]int{
		"dax-4k-mapping-no-sigbus": {"apt:bookworm/6.12": 0, "apt:trixie-backports": 1},
	} {
		program := filepath.Join(t.TempDir(), name)
		source := filepath.Join("..", "..", "docs", "mails", name+".c")
		if out, err := exec.Command("gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source).CombinedOutput(); err != nil {
			t.Fatalf("compile %s: %v: %s", source, err, out)
		}
		for kernel, code := range want {
			cmd := command(t, "exec", "--accel=tcg", kernel, "--", program, "/mnt/pmem1/file")
			cmd.Path = filepath.Join(built, "faultline")
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			signaled := strings.Contains(string(out), "SIGBUS, si_code 4, si_addr_lsb 12")
			if got := cmd.ProcessState.ExitCode(); got != code || signaled != (code == 0) {
				t.Errorf("%s on %s: got exit code %d, want %d: %s", name, kernel, got, code, out)
			}
		}
	}
}
