package build_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels/build"
)

// tree is a fake tree of some source files, and a build of it.
type tree struct {
	t *testing.T
	*build.Build
	seen []string // calls of Progress
}

func newTree(t *testing.T, sources ...string) *tree {
	t.Helper()
	if err := build.Tools(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	b := &tree{t: t, Build: &build.Build{Source: filepath.Join(dir, "source"), Objects: filepath.Join(dir, "objects"), Log: filepath.Join(dir, "log")}}
	b.Progress = func(files, of int) { b.seen = append(b.seen, fmt.Sprintf("%d/%d", files, of)) }
	image := filepath.Join(dir, "vmlinux")
	if err := os.WriteFile(image, fake.Vmlinux("6.1.5", "#1", true), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range fake.Tree(image) {
		b.write(name, text)
	}
	for _, s := range sources {
		b.write("src/"+s, "")
	}
	return b
}

func (b *tree) write(name, text string) {
	b.t.Helper()
	p := filepath.Join(b.Source, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// build builds, and returns the calls of Progress.
func (b *tree) build() string {
	b.t.Helper()
	fresh := *b.Build // as in the next process
	b.seen, fresh.Progress = nil, b.Progress
	if err := fresh.Configure(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := fresh.Compile(b.t.Context(), "vmlinux"); err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(b.seen, " ")
}

func TestProgress(t *testing.T) {
	b := newTree(t, "a.c", "b.c", "c.c", "all.h")
	for _, step := range []struct{ name, file, want string }{
		{"all", "", "1/4 2/4 3/4 4/4"},
		{"nothing", "", ""},
		{"one source", "src/b.c", "1/1"},
		{"a header", "src/all.h", "1/3 2/3 3/3"},
		{"a new source", "src/d.c", "1/0"},
		{"changed again", "src/d.c", "1/1"},
	} {
		time.Sleep(10 * time.Millisecond) // make compares modification times
		if step.file != "" {
			b.write(step.file, step.name)
		}
		if got := b.build(); got != step.want {
			t.Errorf("%s: got progress %q, want %q", step.name, got, step.want)
		}
	}
	// If make can't list anything, there is no total.
	b = newTree(t, "a.c")
	b.write("Makefile", strings.ReplaceAll(fake.Tree("")["Makefile"], "prepare", "nothing"))
	if got := b.build(); got != "1/0 2/0" {
		t.Errorf("got progress %q, want 1/0 2/0", got)
	}
	if log, err := os.ReadFile(b.Log); err != nil || strings.Contains(string(log), "No rule") {
		t.Errorf("the log: got error %v, want it without the failed attempt:\n%s", err, log)
	}
}

func TestStale(t *testing.T) {
	b := newTree(t, "a.c", "b.c", "c.c", "all.h")
	b.build()
	for _, c := range []struct {
		changed string
		want    int
	}{{"", 0}, {"src/a.c", 1}, {"src/all.h", 3}, {"doc", 0}, {"a.c", 0}} {
		stale, all, err := build.Stale(b.Source, b.Objects, map[string]bool{c.changed: true})
		if err != nil || stale != c.want || all != 3 {
			t.Errorf("%q changed: got %v, %d of %d stale; want %d of 3", c.changed, err, stale, all, c.want)
		}
	}
	// With ccache, included files are named relative to the build directory.
	cmd := filepath.Join(b.Objects, "src/.a.o.cmd")
	data, err := os.ReadFile(cmd)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.ReplaceAll(string(data), filepath.Join(b.Source, "src/all.h"), "../source/src/all.h")
	if err := os.WriteFile(cmd, []byte(named), 0o644); err != nil || named == string(data) {
		t.Fatalf("got error %v, %s; want a name below ../source", err, named)
	}
	if stale, _, err := build.Stale(b.Source, b.Objects, map[string]bool{"src/all.h": true}); err != nil || stale != 3 {
		t.Errorf("header relative to the build directory: got error %v, %d stale; want 3", err, stale)
	}
	// A missing object is compiled again, independent of its inputs.
	if err := os.Remove(filepath.Join(b.Objects, "src/a.o")); err != nil {
		t.Fatal(err)
	}
	if stale, _, err := build.Stale(b.Source, b.Objects, nil); err != nil || stale != 1 {
		t.Errorf("missing object: got error %v, %d stale; want 1", err, stale)
	}
	if _, _, err := build.Stale(b.Source, filepath.Join(b.Objects, "none"), nil); err == nil {
		t.Error("no objects: got no error")
	}
}

func TestFull(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "objects/x", Err: unix.ENOSPC}
	if err := build.Full(full); !errors.Is(err, build.ErrFull) || !strings.Contains(err.Error(), "objects/x") || !strings.Contains(err.Error(), "XDG_CACHE_HOME") {
		t.Errorf("got %v, want ErrFull, with the path and XDG_CACHE_HOME", err)
	}
	if build.Full(nil) != nil || errors.Is(build.Full(os.ErrClosed), build.ErrFull) {
		t.Error("another error became ErrFull")
	}
}

// TestEnvironment sets variables that would change the kernel, or make itself.
func TestEnvironment(t *testing.T) {
	b := newTree(t)
	b.write("Makefile", "ifneq ($(ARCH)$(LLVM)$(KBUILD_OUTPUT)$(GIT_DIR)$(GIT_INDEX_FILE)$(filter k,$(MAKEFLAGS)),)\n$(error foreign: $(ARCH) $(GIT_DIR) $(MAKEFLAGS))\nendif\n"+fake.Tree("")["Makefile"])
	t.Setenv("ARCH", "arm64")
	t.Setenv("LLVM", "1")
	t.Setenv("KBUILD_OUTPUT", "/nowhere")
	t.Setenv("MAKEFLAGS", "k")
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_INDEX_FILE", "/nowhere/index")
	b.build()
}
