package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// headOf names the repository whose HEAD a test process, started by git, writes to the
// file that headTo names.
const headOf, headTo = "FAULTLINE_TEST_HEAD_OF", "FAULTLINE_TEST_HEAD_TO"

// TestHeadWithin is the process that git starts in TestWithinGit.
func TestHeadWithin(t *testing.T) {
	root := os.Getenv(headOf)
	if root == "" {
		t.Skip("git starts this test in TestWithinGit")
	}
	tree, err := Open(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	head, err := tree.Commit(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv(headTo), []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWithinGit checks that it has no effect if git starts the program in another
// repository, in each way in which git does that: each sets other variables.
func TestWithinGit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := "'" + self + "' -test.run='^TestHeadWithin$' >&2"
	for name, of := range map[string]func(other *history) []string{
		"an alias": func(*history) []string { return []string{"-c", "alias.faultline=!" + run, "faultline"} },
		"an alias, with --git-dir": func(o *history) []string {
			return []string{"--git-dir=" + filepath.Join(o.root, ".git"), "--work-tree=" + o.root, "-c", "alias.faultline=!" + run, "faultline"}
		},
		"rebase --exec": func(*history) []string { return []string{"rebase", "--quiet", "--exec", run, "HEAD~1"} },
		"bisect run": func(o *history) []string {
			o.git("bisect", "start", "HEAD", "HEAD~2")
			return []string{"bisect", "run", "sh", "-c", run}
		},
		"a hook": func(o *history) []string {
			hook := filepath.Join(o.root, ".git/hooks/post-commit")
			if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(hook, []byte("#!/bin/sh\n"+run+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			return []string{"commit", "--quiet", "--allow-empty", "-m", "more"}
		},
		"a linked worktree": func(o *history) []string {
			linked := filepath.Join(t.TempDir(), "linked")
			o.git("worktree", "add", "-q", "--detach", linked)
			return []string{"-C", linked, "-c", "alias.faultline=!" + run, "faultline"}
		},
		"an editor": func(*history) []string {
			return []string{"-c", "core.editor=" + run + "; : ", "commit", "--quiet", "--allow-empty", "--edit", "-m", "more"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, other := newHistory(t), newHistory(t)
			want := h.commit("ours", "f", "1\n")
			for _, subject := range []string{"a", "b", "c"} {
				other.commit(subject, "f", subject)
			}
			to := filepath.Join(t.TempDir(), "head")
			cmd := exec.Command("git", of(other)...)
			cmd.Dir = other.root
			cmd.Env = append(os.Environ(), headOf+"="+h.root, headTo+"="+to, "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@localhost", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@localhost")
			out, err := cmd.CombinedOutput()
			got, _ := os.ReadFile(to)
			if string(got) != want {
				t.Errorf("HEAD: got %q, want %s; %v: %s", got, want, err, strings.TrimSpace(string(out)))
			}
		})
	}
}
