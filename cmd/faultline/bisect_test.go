package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// scriptedTree creates a git repository with a source tree whose make copies a real
// kernel: the one that the file image names. The first commit names $OLD_IMAGE, which
// does not have dax_fault_hwpoison; $NEW_IMAGE has it. Usage: scriptedtree DIR.
func scriptedTree(ts *testscript.TestScript, neg bool, args []string) {
	images, err := realImages(context.Background(), filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "faultline"), ts.Defer)
	ts.Check(err)
	ts.Setenv("OLD_IMAGE", images[0])
	ts.Setenv("NEW_IMAGE", images[1])
	ts.Check(writeScripted(ts.MkAbs(args[0]), images[0]))
}

// realImages returns the vmlinux files of a kernel without the change and one with it.
func realImages(ctx context.Context, dir string, after func(func())) (images [2]string, err error) {
	store, err := cache.Open(dir)
	if err != nil {
		return images, err
	}
	for i, spec := range []string{"apt:bookworm", "apt:bookworm/6.12"} {
		k, err := source.Resolve(ctx, spec, kernels.Options{Cache: store})
		if err != nil {
			return images, err
		}
		after(func() { k.Close() })
		images[i] = k.Image
	}
	return images, nil
}

func writeScripted(dir, image string) error {
	for name, text := range fake.Tree(image) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"config", "user.name", "t"}, {"config", "user.email", "t@localhost"}, {"config", "gc.auto", "0"},
		{"add", "-A"}, {"commit", "-qm", "First"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// addCommit writes a file and commits it: addcommit DIR SUBJECT FILE TEXT.
func addCommit(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(commitFile(ts.MkAbs(args[0]), args[1], args[2], args[3]))
}

func commitFile(dir, subject, file, text string) error {
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-qm", subject}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// variants creates branches of the repository of test kernels, which stays in the user's
// cache, and a folder with their patches.
func variants(t *testing.T, names ...string) (repo, patches string) {
	t.Helper()
	repo = filepath.Join(userCache(t), "faultline-variants")
	patches = filepath.Join(repo, "patches")
	args := append([]string{"run", "../../tools/variants", "-patches", patches, repo}, names...)
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return repo, patches
}

// long skips a test that takes minutes, unless FAULTLINE_LONG is set.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it")
	}
}

// TestLongBisect runs the example of docs/guides/bisecting.md: real builds of a real tree, with
// a commit that does not build, some that do not boot, and a merge.
func TestLongBisect(t *testing.T) {
	long(t)
	repo, _ := variants(t, "6.1", "history")
	before := gitState(t, repo)
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "faultline"), "bisect", "--tree", repo, "--old", "6.1", "--new", "history",
		"--scenario", "dax/ext4/shared-*", "--scenario", "dax/ext4/pread", "--scenario", "dax/ext4/past-eof", "--out", filepath.Join(t.TempDir(), "out"))
	var output, log strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &log
	err := cmd.Run()
	t.Logf("%s\n%s", log.String(), output.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`3 scenarios: [0-9a-f]{12} "dax: Tell a fault that it met poison" is the first new commit`, `dax/ext4/shared-read: SIGBUS BUS_ADRERR → SIGBUS BUS_MCEERR_AR lsb=12`,
		`reverted on history .* shows the other result: confirmed`, `does not build: make vmlinux: .*nd_claims`, `does not boot: boot: .*the kernel of [0-9a-f]{12} panicked`,
	} {
		if !regexp.MustCompile(want).MatchString(output.String()) {
			t.Errorf("%q is not in the output", want)
		}
	}
	if after := gitState(t, repo); after != before {
		t.Errorf("the repository changed from\n%s\nto\n%s", before, after)
	}
}

// TestLongBisectHang finds the commit after which a system call hangs.
func TestLongBisectHang(t *testing.T) {
	long(t)
	repo, _ := variants(t, "6.1", "history")
	first, err := exec.CommandContext(t.Context(), "git", "-C", repo, "rev-list", "--first-parent", "--reverse", "6.1..history").Output()
	if err != nil {
		t.Fatal(err)
	}
	old, _, _ := strings.Cut(string(first), "\n")
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "faultline"), "bisect", "--tree", repo, "--old", old, "--new", "history",
		"--scenario", "pagecache/ext4/populate-read", "--out", filepath.Join(t.TempDir(), "out"))
	var output, log strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &log
	err = cmd.Run()
	t.Logf("%s\n%s", log.String(), output.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`[0-9a-f]{12} "madvise: Populate until it works" is the first new commit`, `pagecache/ext4/populate-read: EFAULT → did not return`,
		`reverted on history .* shows the other result: confirmed`,
	} {
		if !regexp.MustCompile(want).MatchString(output.String()) {
			t.Errorf("%q is not in the output", want)
		}
	}
}

// gitState returns the parts of a user's repository that must not change.
func gitState(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "git for-each-ref && git worktree list && git --no-optional-locks status --porcelain | head && git reflog && if test -e .git/index; then sha256sum .git/index; fi")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestReliabilityLongBisectKilled kills a bisection at random moments and resumes it: it
// must find the same commit, repeat no finished step, and leave no processes or files.
func TestReliabilityLongBisectKilled(t *testing.T) {
	long(t)
	images, err := realImages(t.Context(), filepath.Join(userCache(t), "faultline"), t.Cleanup)
	if err != nil {
		t.Fatal(err)
	}
	tree, tmp := filepath.Join(t.TempDir(), "linux"), filepath.Join(os.TempDir(), fmt.Sprint("fltk", os.Getpid()))
	if err := writeScripted(tree, images[0]); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 16; i++ {
		file, text := fmt.Sprint("file", i), "x"
		switch i {
		case 5:
			file, text = "error", "x.c:1: error: no such thing\n"
		case 6:
			file, text = "error2", "" // kept by the next commits
		case 9:
			file, text = "image", images[1]
		}
		if i == 7 {
			if err := os.Remove(filepath.Join(tree, "error")); err != nil {
				t.Fatal(err)
			}
		}
		if err := commitFile(tree, fmt.Sprint("commit ", i), file, text); err != nil {
			t.Fatal(err)
		}
	}
	before := gitState(t, tree)
	args := []string{"bisect", "--tree", tree, "--old", "main~15", "--new", "main", "--scenario", "dax/ext4/shared-*", "--out"}
	run := func(out string, resume bool, after time.Duration) (string, bool) {
		t.Helper()
		if err := os.MkdirAll(tmp, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(built, "faultline"), append(args[:len(args):len(args)], out)...)
		if resume {
			cmd.Args = append(cmd.Args, "--resume")
		}
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		var output strings.Builder
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if after > 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		}
		err := cmd.Wait()
		if err != nil && !strings.Contains(err.Error(), "killed") {
			t.Fatalf("%v: %s", err, output.String())
		}
		return output.String(), err == nil
	}
	whole := filepath.Join(t.TempDir(), "whole")
	begun := time.Now()
	output, _ := run(whole, false, 0)
	took := time.Since(begun)
	answer := func(output string) string {
		for line := range strings.Lines(output) {
			if strings.Contains(line, "is the first new commit") {
				return line
			}
		}
		return "none in " + output
	}
	want := answer(output)
	if !strings.Contains(want, `"commit 9"`) {
		t.Fatalf("undisturbed: got %s, want \"commit 9\"", want)
	}
	t.Logf("took %v without kills", took)
	for kills := 0; kills < 20; {
		out := filepath.Join(t.TempDir(), "killed")
		finished := map[string]bool{}
		for resume := false; ; resume = true {
			// If it is killed before the folder exists, there is nothing to resume.
			after := 300*time.Millisecond + rand.N(took)
			if kills >= 20 {
				after = 0
			}
			if _, err := os.Stat(filepath.Join(out, "bisect.json")); err != nil {
				resume = false
			}
			output, ended := run(out, resume, after)
			for line := range strings.Lines(output) {
				kernel, _, done := strings.Cut(strings.TrimSpace(strings.TrimLeft(line, " 0123456789.s")), " shows ")
				if !done {
					continue
				}
				if finished[kernel] {
					t.Errorf("%s was observed again", kernel)
				}
				finished[kernel] = true
			}
			if ended {
				if got := answer(output); got != want {
					t.Errorf("after kills: got %s, want %s", got, want)
				}
				break
			}
			kills++
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); len(processes(tmp)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got the processes %v left behind, want none", processes(tmp))
		}
	}
	if after := gitState(t, tree); after != before {
		t.Errorf("the user's tree changed from\n%s\nto\n%s", before, after)
	}
	os.RemoveAll(tmp)
}
