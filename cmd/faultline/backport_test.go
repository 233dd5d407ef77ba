package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/fake"
)

// tutorialTree creates the input of the tutorial's commands, next to their working
// directory: a scripted tree with a branch 6.1, and patches. The patch with the whole
// change builds a kernel that has it; the one that leaks does not change the kernel here.
func tutorialTree(t *testing.T, dir string) {
	t.Helper()
	images, err := realImages(t.Context(), filepath.Join(userCache(t), "faultline"), t.Cleanup)
	if err != nil {
		t.Fatal(err)
	}
	variants, patches := filepath.Join(dir, "variants"), filepath.Join(dir, "patches")
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", variants}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	err = errors.Join(writeScripted(variants, images[0]), os.Mkdir(patches, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	git("branch", "-m", "6.1")
	for _, p := range []struct{ name, file, text string }{{"6.1-backport", "image", images[1]}, {"6.1-read-leaks", "doc", "words"}, {"6.1-backport-and-more", "image", images[1] + "\n"}} {
		git("checkout", "-q", "-b", p.name, "6.1")
		if err := commitFile(variants, p.name, p.file, p.text); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(patches, p.name+".mbox"), []byte(git("format-patch", "-1", "--stdout")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The layout of Debian's package.
	files := fake.Tree(images[0])
	files[".gitignore"] = "*\n"
	for name, text := range files {
		p := filepath.Join(dir, "here", "linux-source-6.1", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackportTutorial runs the commands of the tutorial in docs/guides/backports.md, with
// scripted builds and one scenario.
func TestBackportTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	dir := t.TempDir()
	tutorialTree(t, dir)
	here := filepath.Join(dir, "here")
	if err := os.Symlink(built, filepath.Join(here, "bin")); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/guides/backports.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tutorial, found := strings.Cut(string(doc), "\n## A tree and patches to try it on\n")
	if !found {
		t.Fatal("docs/guides/backports.md has no tutorial")
	}
	var codes []int
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(tutorial, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			if strings.HasPrefix(line, "go run ") || strings.HasPrefix(line, "apt-get ") || strings.HasPrefix(line, "dpkg-deb ") {
				continue // their output exists already
			}
			line = strings.TrimSpace(line)
			ours := strings.HasPrefix(line, "bin/faultline ")
			if ours {
				line += " --accel tcg --scenario dax/ext4/shared-read"
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", line)
			cmd.Dir = here
			cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@localhost", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@localhost")
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); err != nil && !(ours && errors.As(err, &exit)) {
				t.Fatalf("%s: %v: %s", line, err, out)
			}
			if ours {
				codes = append(codes, cmd.ProcessState.ExitCode())
				t.Logf("%s\n%s", line, out)
			}
		}
	}
	if want := []int{0, 1, 0, 0, 0}; !slices.Equal(codes, want) {
		t.Errorf("got exit codes %v, want %v", codes, want)
	}
}

// TestBackportStopped interrupts a backport check, which then has no verdict, and
// resumes it.
func TestBackportStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	dir := t.TempDir()
	tutorialTree(t, dir)
	run := func(more ...string) (*exec.Cmd, *bytes.Buffer) {
		// The patched kernel is 6.12, which has other changes, too.
		cmd := command(t, append([]string{"backport", "--tree=variants", "--base=6.1", "--commit=6.1-backport", "--change=dax_fault_hwpoison", "--accel=tcg",
			"--scenario=dax/ext4/*", "--label=!change: containsAny {madvise_action_required}", "--out=out"}, more...)...)
		cmd.Path, cmd.Dir = filepath.Join(built, "faultline"), dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		return cmd, &stderr
	}
	cmd, stderr := run()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	out := filepath.Join(dir, "out")
	cells := func() int {
		n, _ := filepath.Glob(filepath.Join(out, "kernels", "*", "cells", "*.json"))
		return len(n)
	}
	for cells() < 2 {
		select {
		case err := <-ended:
			t.Fatalf("the run ended (%v) before two cells had: %s", err, stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := os.WriteFile(filepath.Join(out, results.MailFile), []byte("of another run"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "run the same command with --resume to continue") {
		t.Errorf("got exit code %d, want 130 and how to continue: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(out, results.MailFile)); err == nil {
		t.Error("an interrupted run has a verdict")
	}
	cmd, stderr = run("--resume")
	output, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(output), "Backport of dax_fault_hwpoison on 6.1: COMPLETE\n") {
		t.Fatalf("resumed: got error %v, want COMPLETE: %s%s", err, output, stderr)
	}
	f, err := results.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := f.LoadRun(judge.Run); err != nil || r.Interrupted || len(r.Kernels) != 2 {
		t.Errorf("got error %v, interrupted %t, %d kernels, %+v; want a complete run of 2 kernels",
			err, r.Interrupted, len(r.Kernels), r.Summary)
	}
}
