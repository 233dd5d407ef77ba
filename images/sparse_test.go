package images

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// sparseFile has data at its start, in its middle and a hole at its end.
func sparseFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "src")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(40<<20 + 5); err != nil {
		t.Fatal(err)
	}
	for off, s := range map[int64]string{0: "start", 20<<20 + 4095: "middle", 30 << 20: "more"} {
		if _, err := f.WriteAt([]byte(s), off); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func TestCopySparse(t *testing.T) {
	src := sparseFile(t)
	dst := filepath.Join(t.TempDir(), "dst")
	if err := CopySparse(t.Context(), dst, src); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, src), mustRead(t, dst)) {
		t.Error("the copy differs")
	}
	if n := diskBytes(t, dst); n > mib {
		t.Errorf("the copy takes %d bytes on disk", n)
	}
	if err := CopySparse(t.Context(), dst, src); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "x")
	if err := CopySparse(t.Context(), missing, missing+".src"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("from nothing: %v", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// tmpfs is another file system: FICLONE gives up, and copy_file_range may.
func TestCopySparseAcross(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "faultline")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	src, dst := sparseFile(t), filepath.Join(dir, "dst")
	if err := CopySparse(t.Context(), dst, src); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustRead(t, src), mustRead(t, dst)) {
		t.Error("the copy differs")
	}
	if n := diskBytes(t, dst); n > mib {
		t.Errorf("the copy takes %d bytes of memory", n)
	}
}

func TestCopySparseAt(t *testing.T) {
	src := sparseFile(t)
	for name, copyAt := range map[string]func(context.Context, *os.File, int64, string) error{
		"data": CopySparseAt, "non-zero": copyNonZero,
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "dst"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(64 * mib); err != nil {
				t.Fatal(err)
			}
			if err := copyAt(t.Context(), f, 8*mib, src); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 64*mib)
			copy(want[8*mib:], mustRead(t, src))
			if !bytes.Equal(want, mustRead(t, f.Name())) {
				t.Error("contents differ")
			}
			if n := diskBytes(t, f.Name()); n > mib {
				t.Errorf("takes %d bytes on disk", n)
			}
		})
	}
}

func TestCopySparseCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dst := filepath.Join(t.TempDir(), "dst")
	// A reflink is done at once; then there is nothing to stop.
	if err := CopySparse(ctx, dst, sparseFile(t)); err != nil {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %v", err)
		}
	}
}
