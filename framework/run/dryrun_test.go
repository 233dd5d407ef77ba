package run

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/matrix"
)

// A dry run builds no kernel, and reports what it would build and which kernels are not
// available.
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
		"# apt:bookworm is not available; its cells are infrastructure failures: ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in:\n%s", want, b.String())
		}
	}
	if logs, err := filepath.Glob(filepath.Join(c.Dir(), "tree/*/*.log")); err != nil || len(logs) > 0 {
		t.Errorf("got error %v, logs of make %v; want none", err, logs)
	}
}

// The same holds for a revision, for a checkout with changes, and for patches on either. A
// kernel that is already built is not built again, and an impossible one is refused.
func TestDryRunOfEditsBuildsNothing(t *testing.T) {
	noArchive(t)
	if err := build.Tools(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	root, image := filepath.Join(t.TempDir(), "linux"), filepath.Join(t.TempDir(), "vmlinux")
	write := func(path, text string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", root, "-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	write(image, string(fake.Vmlinux("6.1.5", "#1", true)))
	for name, text := range fake.Tree(image) {
		write(filepath.Join(root, name), text)
	}
	git("init", "-q")
	for _, word := range []string{"one", "two"} {
		write(filepath.Join(root, "src/a.c"), word+"\n")
		git("add", "-A")
		git("commit", "-q", "-m", word)
	}
	patch := write(filepath.Join(t.TempDir(), "p.diff"), "--- a/src/a.c\n+++ b/src/a.c\n@@ -1 +1 @@\n-two\n+three\n")
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	made := func() (n int) {
		for _, pattern := range []string{"tree/*/*.log", "tree/*/*/builds", "tree/*/*/configured"} {
			files, err := filepath.Glob(filepath.Join(c.Dir(), pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				n += len(text)
			}
		}
		return n
	}
	d := dry{opt: Options{Accel: "tcg", Cache: c, Progress: &heard{}}}
	dryRun := func(spec string) (string, error) {
		var b strings.Builder
		_, err := d.kernel(t.Context(), &b, matrix.Entry{Spec: spec})
		return b.String(), err
	}
	t.Cleanup(func() {
		if d.host != nil {
			d.host.Close()
		}
	})
	specs := []string{"tree:" + root, "tree:" + root + "@HEAD", "tree:" + root + "@HEAD~1", "tree:" + root + "@HEAD?patch=" + patch, "tree:" + root + "?patch=" + patch,
		"tree:" + root + "@HEAD~1?pick=HEAD", "tree:" + root + "@HEAD?revert=HEAD", "tree:" + root + "?cc=gcc"}
	for _, spec := range specs {
		if said, err := dryRun(spec); err != nil || !strings.Contains(said, "would be built: ") {
			t.Errorf("%s: got error %v, %q; want would be built", spec, err, said)
		}
	}
	if _, err := dryRun("tree:" + root + "@HEAD~1?patch=" + patch); err == nil || !strings.Contains(err.Error(), "does not apply") {
		t.Errorf("a patch of another revision: got %v, want does not apply", err)
	}
	write(filepath.Join(root, "src/a.c"), "changed\n")
	if said, err := dryRun("tree:" + root + "?dirty=yes"); err != nil || !strings.Contains(said, "would be built: ") {
		t.Errorf("with changes: got error %v, %q; want would be built", err, said)
	}
	if n := made(); n > 0 {
		t.Errorf("got %d bytes of logs, want none, as make is not run", n)
	}
	k, err := matrix.Entry{Spec: specs[1]}.Resolve(t.Context(), kernels.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	before := made()
	if said, err := dryRun(specs[1]); err != nil || strings.Contains(said, "would be built") || !strings.Contains(said, "qemu-system-") {
		t.Errorf("what is built: got error %v, %q; want only the command of QEMU", err, said)
	}
	if made() != before || before == 0 {
		t.Errorf("got %d bytes of logs, then %d; want some, and no more", before, made())
	}
}
