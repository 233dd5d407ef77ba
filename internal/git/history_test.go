package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// history is a user's repository.
type history struct {
	t    *testing.T
	root string
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{t, filepath.Join(t.TempDir(), "linux")}
	if err := os.MkdirAll(h.root, 0o755); err != nil {
		t.Fatal(err)
	}
	h.git("init", "-q", "-b", "main")
	return h
}

// git runs the user's git, with an environment that is independent of the test's.
func (h *history) git(args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.root, "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "gc.auto=0"}, args...)...)
	cmd.Env = environ(nil)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func (h *history) write(name, text string) {
	h.t.Helper()
	p := filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// commit writes files (names and contents alternate) and commits them.
func (h *history) commit(subject string, files ...string) string {
	h.t.Helper()
	for i := 0; i < len(files); i += 2 {
		h.write(files[i], files[i+1])
	}
	h.git("add", "-A")
	h.git("commit", "-q", "--allow-empty", "-m", subject)
	return h.git("rev-parse", "HEAD")
}

func (h *history) open() *Tree {
	h.t.Helper()
	tree, err := Open(h.t.Context(), h.root)
	if err != nil {
		h.t.Fatal(err)
	}
	return tree
}

func (h *history) borrow(dir string) *Repo {
	h.t.Helper()
	r, err := h.open().Borrow(h.t.Context(), dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// repo returns a new repository of ours that borrows from the history.
func (h *history) repo() *Repo {
	h.t.Helper()
	return h.borrow(filepath.Join(h.t.TempDir(), "git"))
}

// file creates a file outside of the repository and returns its path.
func (h *history) file(name, text string) string {
	h.t.Helper()
	p := filepath.Join(h.t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return p
}
