package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What make install installs works without Go and without the source, and is static.
func TestMakeInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command; not with -short")
	}
	dest := t.TempDir()
	make := exec.CommandContext(t.Context(), "make", "--no-print-directory", "install", "DESTDIR="+dest, "PREFIX=/opt/f")
	make.Dir = root
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{
		"lib/faultline/guest/agent", "lib/faultline/guest/init", "lib/faultline/guest/victim32", "share/man/man1/faultline.1.gz",
		"share/bash-completion/completions/faultline", "share/zsh/site-functions/_faultline",
		"share/fish/vendor_completions.d/faultline.fish", "share/doc/faultline/copyright", "share/doc/faultline/licenses.gz",
		"share/doc/faultline/README.md", "share/doc/faultline/docs/guides/trees.md", "share/doc/faultline/docs/matrix.svg",
	} {
		if info, err := os.Stat(filepath.Join(dest, "opt/f", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: got error %v, or an empty file", name, err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dest, "opt/f/bin/faultline"), "list", "--json")
	cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH=/nowhere", "HOME=" + t.TempDir()}
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), `"dax/ext4/shared-read"`) {
		t.Errorf("list --json: got error %v, want dax/ext4/shared-read: %.200s", err, out)
	}
}

// Two clones in two folders give the same packages.
func TestLongPackage(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it")
	}
	var sums []string
	for _, name := range []string{"one", "another folder"} {
		dir := filepath.Join(t.TempDir(), name)
		if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", root, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		make := exec.CommandContext(t.Context(), "make", "--no-print-directory", "package")
		make.Dir = dir
		if out, err := make.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, "dist/SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(data))
		archives, err := filepath.Glob(filepath.Join(dir, "dist/*.tar.gz"))
		if err != nil || len(archives) != 1 {
			t.Fatalf("got archives %v, error %v; want 1", archives, err)
		}
		unpacked := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archives[0], "--strip-components=1", "-C", unpacked).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := exec.CommandContext(t.Context(), filepath.Join(unpacked, "bin/faultline"), "version").CombinedOutput(); err != nil {
			t.Errorf("the command of the archive: %v\n%s", err, out)
		}
	}
	if n := strings.Count(sums[0], "\n"); n != 4 || sums[0] != sums[1] {
		t.Errorf("got %d files, want 4:\n%s\n%s", n, sums[0], sums[1])
	}
}
