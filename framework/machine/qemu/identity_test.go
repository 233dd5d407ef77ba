package qemu

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The identity depends on QEMU's file and on its firmware, from the folder that QEMU
// uses.
func TestIdentity(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	b := script(t, "qemu", fmt.Sprintf("echo %s; echo %s\n", first, second))
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range firmware[:3] {
		put(filepath.Join(second, name), name)
	}
	identity := func() string {
		t.Helper()
		id, err := b.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	last := identity()
	if again := identity(); again != last {
		t.Errorf("got %s, then %s; want the same", last, again)
	}
	put(filepath.Join(second, "vgabios-stdvga.bin"), "x")
	if id := identity(); id != last {
		t.Error("firmware that no guest uses counts")
	}
	seen := map[string]bool{last: true}
	for _, c := range []struct {
		name   string
		change func()
	}{
		{"a ROM of another content", func() { put(filepath.Join(second, firmware[1]), "other") }},
		{"a ROM in an earlier folder", func() { put(filepath.Join(first, firmware[0]), "mine") }},
		{"a ROM that was not there", func() { put(filepath.Join(second, firmware[4]), "new") }},
		{"a ROM that is gone", func() { os.Remove(filepath.Join(second, firmware[2])) }},
		{"the file's time", func() { os.Chtimes(b.Path, time.Time{}, time.Unix(1e9, 0)) }},
		{"the version", func() { b.Version = "8.0" }},
	} {
		c.change()
		id := identity()
		if seen[id] {
			t.Errorf("%s makes no difference", c.name)
		}
		seen[id] = true
	}
	b.Path += "-gone"
	if _, err := b.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), b.Path) {
		t.Errorf("no QEMU: got %v, want an error that names its path", err)
	}
}

// A digest depends on the content only: two machines with the same digest have the same
// QEMU.
func TestDigest(t *testing.T) {
	folder := t.TempDir()
	b := script(t, "qemu", "echo "+folder+"\n")
	digest := func() string {
		t.Helper()
		sum, err := b.Digest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	first := digest()
	if err := os.Chtimes(b.Path, time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	if again := digest(); again != first {
		t.Error("the file's time counts")
	}
	if err := os.WriteFile(filepath.Join(folder, firmware[0]), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second := digest()
	if second == first {
		t.Error("the firmware does not count")
	}
	text, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.Path, append(text, '#'), 0o755); err != nil {
		t.Fatal(err)
	}
	if digest() == second {
		t.Error("the file does not count")
	}
}

// TestIdentityOfModules checks that only modules in the folders of QEMU's prefix count,
// by their content, even if QEMU's file is reached through a link.
func TestIdentityOfModules(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "qemu [1]")
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(prefix, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := script(t, "qemu", "exit 0\n")
	text, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	put("bin/qemu", string(text))
	b.Path = filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(prefix, "bin/qemu"), b.Path); err != nil {
		t.Fatal(err)
	}
	identity := func() string {
		t.Helper()
		id, err := b.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const tcg = "lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so"
	last := identity()
	for _, c := range []struct {
		name   string
		change func()
		counts bool
	}{
		{"a module", func() { put(tcg, "tcg") }, true},
		{"its content, of the same size", func() { put(tcg, "TCG") }, true},
		{"its time", func() { os.Chtimes(filepath.Join(prefix, tcg), time.Time{}, time.Unix(1e9, 0)) }, false},
		{"another one", func() { put("lib/qemu/hw-display-qxl.so", "qxl") }, true},
		{"one of a 64-bit system", func() { put("lib64/qemu/accel-qtest-x86_64.so", "qtest") }, true},
		{"one that is gone", func() { os.Remove(filepath.Join(prefix, tcg)) }, true},
		{"a helper beside them", func() { put("lib/qemu/qemu-bridge-helper", "x") }, false},
		{"a library of others", func() { put("lib/x86_64-linux-gnu/libz.so", "x") }, false},
	} {
		c.change()
		id := identity()
		if (id != last) != c.counts {
			t.Errorf("%s: got another identity %t, want %t", c.name, id != last, c.counts)
		}
		last = id
	}
}

// TestModulesLoaded makes the real QEMU load its modules, and checks that all are known.
func TestModulesLoaded(t *testing.T) {
	b, err := Find(t.Context(), "amd64")
	if missing := (*MissingError)(nil); errors.As(err, &missing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	modules, err := b.modules()
	if err != nil {
		t.Fatal(err)
	}
	// It loads all modules to list its devices. The dynamic linker prints each file
	// (ld.so(8)).
	cmd := exec.Command(b.Path, "-device", "help")
	cmd.Env = append(environment[:len(environment):len(environment)], "LD_DEBUG=files")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for line := range strings.Lines(string(out)) {
		_, path, ok := strings.Cut(strings.TrimSpace(line), "calling init: ")
		if !ok || filepath.Base(filepath.Dir(path)) != "qemu" {
			continue
		}
		loaded++
		if !slices.ContainsFunc(modules, func(m string) bool { return strings.HasSuffix(filepath.Clean(path), "/"+m) }) {
			t.Errorf("got %s, want one of %q", path, modules)
		}
	}
	t.Logf("it loaded %d of %d modules", loaded, len(modules)/2)
}

// The libraries of the real QEMU count.
func TestLibraries(t *testing.T) {
	b, err := Find(t.Context(), "amd64")
	if missing := (*MissingError)(nil); errors.As(err, &missing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := b.Identity(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("it took %v", time.Since(begun))
	all, err := b.libraries(t.Context())
	if err != nil || !slices.ContainsFunc(all, func(l string) bool { return strings.HasPrefix(l, "libglib-2.0.so") }) {
		t.Errorf("got %q, error %v; want libglib-2.0.so", all, err)
	}
}
