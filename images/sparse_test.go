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

// sparseFile makes a file with data at its start and in its middle, and a hole at
// its end.
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
		t.Error("copy differs")
	}
	if n := diskBytes(t, dst); n > mib {
		t.Errorf("copy: got %d bytes on disk, want at most %d", n, mib)
	}
	if err := CopySparse(t.Context(), dst, src); !errors.Is(err, fs.ErrExist) {
		t.Errorf("copy to an existing file: got %v, want fs.ErrExist", err)
	}
	missing := filepath.Join(t.TempDir(), "x")
	if err := CopySparse(t.Context(), missing, missing+".src"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copy of a missing file: got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after an error: got %v, want no file", err)
	}
}

// tmpfs is a different file system: FICLONE fails, and copy_file_range may fail.
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
		t.Error("copy differs")
	}
	if n := diskBytes(t, dst); n > mib {
		t.Errorf("copy: got %d bytes of memory, want at most %d", n, mib)
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
				t.Errorf("got %d bytes on disk, want at most %d", n, mib)
			}
		})
	}
}

func TestCopySparseCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dst := filepath.Join(t.TempDir(), "dst")
	// A reflink is instantaneous, so cancelling has no effect.
	if err := CopySparse(ctx, dst, sparseFile(t)); err != nil {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after cancelling: got %v, want no file", err)
		}
	}
}
