package cache

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWork(t *testing.T) {
	c := open(t)
	w, err := c.Work(t.Context(), "tree", "one", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.Path, "objects")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	items, err := c.List()
	if err != nil || len(items) != 1 || items[0].Kind != "tree" || items[0].Key != "one" || items[0].Bytes < 1<<20 || time.Since(items[0].Used) > time.Minute {
		t.Fatalf("got error %v, %+v; want one of the tree, of at least 1 MiB, used within a minute", err, items)
	}
	if left, err := c.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("got error %v, left over: %+v; want none", err, left)
	}
	if err := c.Remove(items[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("remove a work folder in use: got %v, want ErrInUse", err)
	}
	waited := 0
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("long enough"))
	defer cancel()
	if _, err := c.Work(ctx, "tree", "one", true, func() { waited++ }); err == nil || !strings.Contains(err.Error(), "long enough") || waited != 0 {
		t.Errorf("a folder that this process holds: got %v, %d calls of waits; want long enough, no call", err, waited)
	}
	// A program that inherits the lock keeps holding it.
	heir := exec.Command("sleep", "0.3")
	heir.ExtraFiles = []*os.File{w.Lock}
	if err := heir.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := c.Remove(items[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("remove a work folder that a child process holds: got %v, want ErrInUse", err)
	}
	heir.Wait()
	a, err := c.Work(t.Context(), "tree", "one", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Work(t.Context(), "tree", "one", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the content of the work folder is gone: %v", err)
	}
	a.Close()
	b.Close()
	if err := c.Remove(items[0]); err != nil {
		t.Error(err)
	}
	empty(t, c)
	if w, err = c.Work(t.Context(), "tree", "two", false, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(); err != nil {
		t.Error(err)
	}
	empty(t, c)
}

// A path with brackets is not a pattern: the entries below it are listed and pruned.
func TestBracketsInPath(t *testing.T) {
	for _, name := range []string{"a[b]", "[a-c]*", "a?", `back\[slash`} {
		c, err := Open(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		get(t, c).Close()
		w, err := c.Work(t.Context(), "tree", "one", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		items, err := c.List()
		if err != nil || len(items) != 2 {
			t.Errorf("%s: List: got %+v, error %v; want 2", name, items, err)
		}
		for _, it := range items {
			if err := c.Remove(it); err != nil {
				t.Error(err)
			}
		}
		half := filepath.Join(c.Dir(), "kind", "key"+tmpMark+"1")
		for _, path := range []string{half, filepath.Join(c.Dir(), "kind", "other"+lockSuffix)} {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := c.Leftovers(); err != nil || len(left) != 2 {
			t.Errorf("%s: Leftovers: got %+v, error %v; want 2", name, left, err)
		}
		get(t, c).Close()
		if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the partial entry: got %v, want os.ErrNotExist", name, err)
		}
	}
}

// empty fails the test unless the entries of the kind and their locks are gone.
func empty(t *testing.T, c *Cache) {
	t.Helper()
	if left, err := os.ReadDir(filepath.Join(c.Dir(), "tree")); err != nil || len(left) > 0 {
		t.Errorf("got error %v, left: %v; want none", err, left)
	}
}
