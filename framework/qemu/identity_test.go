package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What QEMU consists of is known by the file itself and by its firmware, from the
// folder that QEMU takes it from.
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
		t.Errorf("%s, then %s", last, again)
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
		t.Errorf("no QEMU has an identity: %v", err)
	}
}

// Libraries count, as the real QEMU has them.
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
		t.Errorf("%q, %v", all, err)
	}
}
