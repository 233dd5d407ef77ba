package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/internal/git"
)

// TestCommitFiles checks that a hook's environment does not select another repository.
func TestCommitFiles(t *testing.T) {
	elsewhere := t.TempDir()
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TEMPLATE_DIR"} {
		t.Setenv(name, filepath.Join(elsewhere, name))
	}
	tree := filepath.Join(t.TempDir(), "linux")
	for n := range 2 {
		if err := commitFiles(t.Context(), tree, n, map[string]string{"dir/file": string(rune('a' + n))}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := git.Run(t.Context(), tree, nil, nil, "log", "--format=%s %an", "--reverse", "main")
	if err != nil || string(out) != "0 faultline\n1 faultline\n" {
		t.Errorf("got %q, error %v; want 0 and 1, of faultline", out, err)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("another repository: got %v, error %v; want nothing written", left, err)
	}
}
