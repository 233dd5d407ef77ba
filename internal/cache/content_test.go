package cache

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flip changes a bit of a file and keeps its size and its time.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// sparse creates a file with two bytes that are far apart.
func sparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, at := range []int64{5, 100 << 20} {
		if _, err := f.WriteAt([]byte("x"), at); err != nil {
			return err
		}
	}
	return f.Truncate(1 << 30)
}

func TestFlippedBit(t *testing.T) {
	c := open(t)
	builds := 0
	get := func() *Entry {
		t.Helper()
		e, err := c.GetChecked(context.Background(), "kind", "key", func(_ context.Context, dir string) error {
			builds++
			return sparse(filepath.Join(dir, "memory"))
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	get().Close()
	get().Close()
	if builds != 1 {
		t.Errorf("got %d builds, want 1", builds)
	}
	for n, at := range []int64{5, 6, 100 << 20, 50 << 20, 1<<30 - 1} { // in data and in holes
		e := get()
		e.Close()
		flip(t, filepath.Join(e.Path, "memory"), at)
		if plain, err := c.Get(context.Background(), "kind", "key", nil); err != nil {
			t.Fatal(err) // size and time are unchanged
		} else if err := plain.Check(); err == nil || !strings.Contains(err.Error(), "checksum mismatch in memory") {
			t.Errorf("bit flipped in byte %d: got %v, want a checksum mismatch in memory", at, err)
		} else {
			plain.Close()
		}
		get().Close()
		if builds != n+2 {
			t.Errorf("bit flipped in byte %d: got %d builds, want %d", at, builds, n+2)
		}
	}
}

// sumOf returns both checksums of a file.
func sumOf(path string) (string, error) {
	m := manifest{filepath.Base(path): {}}
	err := m.sums(filepath.Dir(path))
	state := m[filepath.Base(path)]
	return state.CRC32C + " " + state.SHA256, err
}

func TestContent(t *testing.T) {
	dir := t.TempDir()
	sums := map[string]string{}
	for name, write := range map[string]func(path string) error{
		"empty":             func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"a byte":            func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"another":           func(p string) error { return os.WriteFile(p, []byte("y"), 0o644) },
		"the byte in block": func(p string) error { return os.WriteFile(p, append(make([]byte, block), 'x'), 0o644) },
		"sparse":            sparse,
		"many blocks": func(p string) error {
			return os.WriteFile(p, []byte(strings.Repeat("0123456789abcdef", 300_000)), 0o644)
		},
	} {
		path := filepath.Join(dir, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		sum, err := sumOf(path)
		if err != nil || sums[sum] != "" {
			t.Errorf("%s: got %s, as of %q, error %v; want another sum", name, sum, sums[sum], err)
		}
		sums[sum] = name
		if again, err := sumOf(path); again != sum || err != nil {
			t.Errorf("%s: got %s, then %s, error %v; want the same", name, sum, again, err)
		}
	}
	// Written zeros equal a hole.
	if err := os.WriteFile(filepath.Join(dir, "zeros"), make([]byte, 10*block), 0o644); err != nil {
		t.Fatal(err)
	}
	if sum, err := sumOf(filepath.Join(dir, "zeros")); err != nil || sums[sum] != "empty" {
		t.Errorf("zeros: got %s, error %v; want the sum of empty", sum, err)
	}
	if _, err := sumOf(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing file has content")
	}
}
