package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/internal/cache"
)

// TestDigestHasTheCode checks that a change of code that decides a cell changes the
// digest of the command, which is part of the key of cells in the cache: a scenario,
// and the language of scenarios.
func TestDigestHasTheCode(t *testing.T) {
	if testing.Short() {
		t.Skip("links the command several times; not with -short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	digest := func(changed string) string {
		t.Helper()
		dir := t.TempDir()
		text, err := os.ReadFile(filepath.Join(root, changed))
		if err == nil {
			text = append(text, "\nvar changed = new(int)\n\nfunc init() { *changed = 7 }\n"...)
			err = os.WriteFile(filepath.Join(dir, "changed.go"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, changed): filepath.Join(dir, "changed.go")}})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-overlay="+filepath.Join(dir, "overlay.json"),
			"-ldflags=-X main.version=v0-test", "-o", dir+"/", ".").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", changed, err, out)
		}
		sum, err := cache.FileSum(filepath.Join(dir, "faultline"))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	same, err := cache.FileSum(filepath.Join(built, "faultline"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"suites/dax/fault.go", "framework/pattern.go"} {
		if digest(file) == same {
			t.Errorf("a change in %s does not change the digest", file)
		}
	}
}
