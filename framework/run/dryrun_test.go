package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/matrix"
)

// A dry run builds no kernel, and says what it would build; one that is not available
// it names.
func TestDryRunBuildsNothing(t *testing.T) {
	noArchive(t)
	if err := build.Tools(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	root, image := filepath.Join(t.TempDir(), "linux"), filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(image, fake.Vmlinux("6.1.5", "#1", true), 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "mine.config")
	if err := os.WriteFile(config, []byte("CONFIG_64BIT=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range fake.Tree(image) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := dry{opt: Options{Accel: "tcg", Cache: c, Progress: &heard{}}}
	var b strings.Builder
	for _, spec := range []string{"tree:" + root, "tree:" + root + "?config=" + config, "apt:bookworm"} {
		if _, err := d.kernel(t.Context(), &b, matrix.Entry{Spec: spec}); err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
	}
	for _, want := range []string{
		"# tree:" + root + " would be built: linux, with tinyconfig and what guests and scenarios need, compiled by gcc",
		"# tree:" + root + "?config=" + config + " would be built: linux, with " + config + " and",
		"# apt:bookworm is not available, which costs its cells: ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if logs, err := filepath.Glob(filepath.Join(c.Dir(), "tree/*/*.log")); err != nil || len(logs) > 0 {
		t.Errorf("%v, make was run: %v", err, logs)
	}
}
