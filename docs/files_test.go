package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mostLines is the maximum length of a code file that does not begin with a reason.
const mostLines = 400

// TestFiles checks the length of code files, and that every package and command has
// a comment.
func TestFiles(t *testing.T) {
	described := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "results" || name == "variants" && filepath.Dir(path) == root) {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); d.IsDir() || ext != ".go" && ext != ".s" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, dir := string(data), filepath.Dir(path)
		described[dir] = described[dir] || strings.Contains("\n"+text, "\n// Package ") || strings.Contains("\n"+text, "\n// Command ")
		if n := strings.Count(text, "\n"); n > mostLines && !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(text, "// Longer than others because") {
			t.Errorf("%s has %d lines; split it by idea, or begin it with \"// Longer than others because …\"", path, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, ok := range described {
		if !ok {
			t.Errorf("%s has no package comment; add one that begins \"// Package\"", dir)
		}
	}
}
