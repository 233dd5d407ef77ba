package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run/backport"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
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
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !regexp.MustCompile(want).MatchString(output.String()) {
					t.Errorf("%q is not in the output", want)
				}
			}
			builtKernels(t, args, c.code, output.String())
		})
	}
	if after := gitState(t, repo); after != before {
		t.Errorf("the repository changed from\n%s\nto\n%s", before, after)
	}
}

// builtKernels repeats a backport with the kernels that it built, the base as a folder, the
// patched one as an rpm package. Exit code and verdict are those with the tree.
func builtKernels(t *testing.T, args []string, code int, mail string) {
	t.Helper()
	out := args[slices.Index(args, "--out")+1]
	f, err := results.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	run, err := f.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	store, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, name := range []string{backport.Base, backport.Patched} {
		recorded, _ := run.Kernel(name)
		k, err := source.Resolve(t.Context(), recorded.Spec, kernels.Options{Cache: store, Cached: true})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Dir(k.Image))); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	rpm, err := fake.RPM(t.Context(), t.TempDir(), "kernel-core", "6.1.192-1", "x86_64", dirs[1], "")
	if err != nil {
		t.Fatal(err)
	}
	// What selects scenarios and the reference is last.
	again := append([]string{"backport", "--base", "dir:" + dirs[0], "--patched", "rpm:" + rpm, "--change", "dax_fault_hwpoison",
		"--out", out + "-built"}, args[slices.Index(args, "--out")+2:]...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "faultline"), again...)
	var output, log strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &log
	_ = cmd.Run() // the exit code is checked below
	t.Logf("%s\n%s", log.String(), output.String())
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("of built kernels: got exit code %d, want %d", got, code)
	}
	if diff := cmp.Diff(findings(mail), findings(output.String())); diff != "" {
		t.Errorf("of built kernels: mismatch (-from the tree +built):\n%s", diff)
	}
}

// findings returns a mail without its setup and without the names of kernels.
func findings(mail string) string {
	mail = regexp.MustCompile(`(?m)^(?:change|tree|base|patches|patched|reference|config|compiler|guests|tool|command) .*\n(?:           .*\n)*`).ReplaceAllString(mail, "")
	return regexp.MustCompile(`^(Backport of \S+ on )\S+:`).ReplaceAllString(mail, "$1K:")
}
