package kernels

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fake"
)

// zeros returns n zeros, compressed by zstd.
func zeros(t *testing.T, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zero{}, n); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sections returns a vmlinux whose section 0 gives n as the number of sections (sh_size).
func sections(n uint64) []byte {
	const at = 4096
	b := append(fake.Vmlinux("6.1.0", "6.1", true), make([]byte, 2*at)...)
	binary.LittleEndian.PutUint64(b[0x28:], at) // e_shoff
	binary.LittleEndian.PutUint64(b[at+32:], n) // sh_size
	return b
}

// notes returns a vmlinux with n segments, all with the same notes: size bytes from the
// first megabyte on.
func notes(n uint16, size uint64) []byte {
	b := fake.Vmlinux("6.1.0", "6.1", false)
	binary.LittleEndian.PutUint64(b[0x20:], uint64(len(b))) // e_phoff
	binary.LittleEndian.PutUint16(b[0x38:], n)              // e_phnum
	for range n {
		p := make([]byte, 56)
		binary.LittleEndian.PutUint32(p, 4)         // PT_NOTE
		binary.LittleEndian.PutUint64(p[8:], 1<<20) // p_offset
		binary.LittleEndian.PutUint64(p[32:], size) // p_filesz
		b = append(b, p...)
	}
	return b
}

// Images that claim, or decompress to, more than a kernel can have are refused, with a
// reason, in bounded memory.
func TestHostileImages(t *testing.T) {
	const mib = 1 << 20
	bz := func(payload []byte) []byte { return fake.BzImage("6.1.0", payload) }
	lzma := append([]byte{0x5d, 0, 0, 0, 0xf0}, bytes.Repeat([]byte{0xff}, 100)...) // a dictionary of 3.75 GiB
	window := append([]byte("\x28\xb5\x2f\xfd\x00\xa8"), make([]byte, 100)...)      // one of 2 GiB
	for name, c := range map[string]struct {
		file string
		data []byte
		size int64 // of the sparse file; 0 if not sparse
		want string
	}{
		"a sparse bzImage":        {FileVmlinuz, bz(nil), 1 << 40, "larger than 256 MiB"},
		"a sparse vmlinux":        {FileVmlinux, fake.Vmlinux("6.1.0", "6.1", true), 2 << 30, "larger than 256 MiB"},
		"claims a gigabyte":       {FileVmlinuz, bz(fake.WithSize(zeros(t, 10), 1<<30)), 0, "1073741824 bytes inside, more than the 268435456"},
		"decompresses to more":    {FileVmlinuz, bz(fake.WithSize(zeros(t, 300*mib), 256*mib)), 0, "more than the 268435456 bytes"},
		"claims more than it has": {FileVmlinuz, bz(fake.WithSize(zeros(t, mib), 256*mib)), 0, "1048576 bytes inside, want 268435456"},
		"a large lzma dictionary": {FileVmlinuz, bz(fake.WithSize(lzma, mib)), 0, "dictionary"},
		"a large zstd window":     {FileVmlinuz, bz(fake.WithSize(window, mib)), 0, "window"},
		"millions of sections":    {FileVmlinux, sections(3_000_000), 250 * mib, "more sections than a kernel has"},
		"thousands of segments":   {FileVmlinux, notes(60_000, 0), 0, "60000 segments"},
		"notes of the whole size": {FileVmlinux, notes(250, 254*mib), 255 * mib, "no PVH note"},
		"endless banners":         {FileVmlinux, append(fake.Vmlinux("6%", "6.1", true), bytes.Repeat([]byte("Linux version 6% "), 4*mib)...), 0, "without a Linux version banner"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = Unpack(t.Context(), Options{Cache: store, Log: t.Logf}, []string{name}, func(_ context.Context, dir string) ([]Package, error) {
				file := filepath.Join(dir, c.file)
				if err := os.WriteFile(file, c.data, 0o644); err != nil || c.size == 0 {
					return nil, err
				}
				return nil, os.Truncate(file, c.size)
			})
			runtime.ReadMemStats(&after)
			var wrong *SpecError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) || wrong.Hint == "" {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) / mib; used > 700 {
				t.Errorf("got %d MiB of memory used, want at most 700", used)
			}
		})
	}
}

// Concurrent readers of images take turns.
func TestOneImageAtATime(t *testing.T) {
	file := filepath.Join(t.TempDir(), FileVmlinux)
	if err := os.WriteFile(file, fake.Vmlinux("6.1.0", "6.1", true), 0o644); err != nil {
		t.Fatal(err)
	}
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := WithImage(t.Context(), file, func([]byte) error {
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("got %d images at a time, want 1", most.Load())
	}
	stopped, cancel := context.WithCancelCause(t.Context())
	err := WithImage(t.Context(), file, func([]byte) error { // another reader waits until its context ends
		cancel(os.ErrDeadlineExceeded)
		return WithImage(stopped, file, func([]byte) error { t.Error("use was called"); return nil })
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want os.ErrDeadlineExceeded", err)
	}
}
