package cache

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// dirty returns the number of pages of a file that are not on the disk yet.
func dirty(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &stat, 0); err != nil {
		t.Skip("this kernel has no cachestat(2): ", err)
	}
	return stat.Dirty + stat.Writeback
}

// An entry that Get returns is on the disk, including its manifest.
func TestOnDisk(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if dirty(t, probe) == 0 {
		t.Skip("this file system has no writeback")
	}
	if err := withFile(probe, (*os.File).Sync); err != nil {
		t.Fatal(err)
	}
	if dirty(t, probe) > 0 {
		t.Skip("this file system has no disk")
	}
	c := open(t)
	e, err := c.Get(t.Context(), "kind", "key", func(_ context.Context, dir string) error {
		fill(dir)
		return sparse(filepath.Join(dir, "memory"))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = filepath.WalkDir(e.Path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if n := dirty(t, path); n > 0 {
				t.Errorf("%d pages of %s are not on the disk", n, d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
