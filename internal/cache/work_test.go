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
		t.Fatalf("%v, %+v", err, items)
	}
	if left, err := c.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("%v, left over: %+v", err, left)
	}
	if err := c.Remove(items[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("remove what is worked in: %v", err)
	}
	waited := 0
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("long enough"))
	defer cancel()
	if _, err := c.Work(ctx, "tree", "one", true, func() { waited++ }); err == nil || !strings.Contains(err.Error(), "long enough") || waited != 0 {
		t.Errorf("shared what this process holds: %v, said %d times that it waits", err, waited)
	}
	// A program that inherits the lock holds it on.
	heir := exec.Command("sleep", "0.3")
	heir.ExtraFiles = []*os.File{w.Lock}
	if err := heir.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := c.Remove(items[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("remove what a program of a killed process works in: %v", err)
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
		t.Errorf("what was worked on is gone: %v", err)
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

// empty says whether nothing is left of a kind's entries, nor of their locks.
func empty(t *testing.T, c *Cache) {
	t.Helper()
	if left, err := os.ReadDir(filepath.Join(c.Dir(), "tree")); err != nil || len(left) > 0 {
		t.Errorf("%v, left: %v", err, left)
	}
}
