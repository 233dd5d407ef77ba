package images

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

const mib = 1 << 20

// makeOrSkip skips the test if mkfs is not installed; `make test` installs it.
func makeOrSkip(t *testing.T, c *cache.Cache, spec PmemSpec) *Pmem {
	t.Helper()
	p, err := MakePmem(t.Context(), c, spec)
	var missing *execx.MissingError
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func readAt(t *testing.T, name string, off int64, n int) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	return b
}

func diskBytes(t *testing.T, name string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// sameBytes reports whether two sparse files have the same data at the same offsets.
func sameBytes(t *testing.T, names ...string) bool {
	t.Helper()
	var data [2]map[int64]string // by page, without pages of zeros
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data[i] = map[int64]string{}
		err = eachData(t.Context(), f, func(at, n int64) error {
			b := make([]byte, n)
			if _, err := f.ReadAt(b, at); err != nil {
				return err
			}
			for ; len(b) > 0; at += pageBytes {
				page := b[:min(pageBytes, len(b))]
				if b = b[len(page):]; len(bytes.Trim(page, "\x00")) > 0 {
					data[i][at] = string(page)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return maps.Equal(data[0], data[1])
}

func TestMakePmem(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spec   PmemSpec
		offset int64
	}{
		{"empty raw", PmemSpec{Size: 16 * mib}, 0},
		{"empty fsdax", PmemSpec{Size: 16 * mib, Mode: FSDAX}, 2 * mib},
		{"ext4 raw", PmemSpec{Size: 64 * mib, FS: Ext4}, 0},
		{"ext4 fsdax", PmemSpec{Size: 256 * mib, FS: Ext4, Mode: FSDAX, Label: "fl-ext4"}, 6 * mib},
		{"xfs raw", PmemSpec{Size: 320 * mib, FS: XFS}, 0},
		{"xfs fsdax", PmemSpec{Size: 320 * mib, FS: XFS, Mode: FSDAX, Label: "fl-xfs"}, 6 * mib},
		{"xfs reflink rmapbt", PmemSpec{Size: 320 * mib, FS: XFS, Mode: FSDAX, Reflink: true, RMapBT: true}, 6 * mib},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // the test sleeps
			c := newCache(t)
			p := makeOrSkip(t, c, tc.spec)
			if p.DataOffset != tc.offset {
				t.Errorf("got data offset %#x, want %#x", p.DataOffset, tc.offset)
			}
			if info, err := os.Stat(p.Path); err != nil || info.Size() != tc.spec.Size {
				t.Fatalf("got %v, error %v; want a file of %d bytes", info, err, tc.spec.Size)
			}
			if n := diskBytes(t, p.Path); n > mib {
				t.Errorf("got %d bytes on disk, want at most %d", n, mib)
			}
			info, err := decodePFNInfo(readAt(t, p.Path, pfnInfoOffset, pfnInfoBytes))
			switch {
			case tc.spec.Mode == FSDAX && (err != nil || int64(info.DataOffset) != tc.offset):
				t.Errorf("got info block %+v, error %v; want data offset %#x", info, err, tc.offset)
			case tc.spec.Mode == Raw && !errors.Is(err, errNoPFNInfo):
				t.Errorf("raw image: got info block %+v, %v; want errNoPFNInfo", info, err)
			}
			switch tc.spec.FS {
			case Ext4: // ext4_super_block.s_magic
				if m := readAt(t, p.Path, tc.offset+1024+56, 2); !bytes.Equal(m, []byte{0x53, 0xef}) {
					t.Errorf("got ext4 magic %x, want 53ef", m)
				}
			case XFS:
				if m := readAt(t, p.Path, tc.offset, 4); string(m) != "XFSB" {
					t.Errorf("got xfs magic %q, want XFSB", m)
				}
			}
			// Times in the image must not depend on the clock: a superblock's resolution
			// is a second.
			time.Sleep(1100 * time.Millisecond)
			other := makeOrSkip(t, newCache(t), tc.spec)
			if !other.Built || !sameBytes(t, p.Path, other.Path) {
				t.Error("two builds differ")
			}
			if again := makeOrSkip(t, c, tc.spec); again.Built || again.Path != p.Path {
				t.Error("not taken from the cache")
			}
		})
	}
}

// TestFsck runs the file systems' own checkers on mkfs's output as changed by canonXFS
// and copyNonZero.
func TestFsck(t *testing.T) {
	for _, tc := range []struct {
		tool, pkg string
		args      []string
		spec      PmemSpec
	}{
		{"e2fsck", "e2fsprogs", []string{"-fn"}, PmemSpec{FS: Ext4, Size: 64 * mib}},
		{"xfs_repair", "xfsprogs", []string{"-n", "-f"}, PmemSpec{FS: XFS, Size: 320 * mib}},
		{"xfs_repair", "xfsprogs", []string{"-n", "-f"}, PmemSpec{FS: XFS, Size: 320 * mib, Reflink: true, RMapBT: true}},
	} {
		t.Run(tc.tool, func(t *testing.T) {
			tool, err := execx.Find(tc.tool, tc.pkg)
			if err != nil {
				t.Skip(err)
			}
			p := makeOrSkip(t, newCache(t), tc.spec)
			if out, err := runTool(t.Context(), nil, tool, append(tc.args, p.Path)...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestPmemRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec PmemSpec
		want string
	}{
		{"no size", PmemSpec{}, "multiple of 2 MiB"},
		{"odd size", PmemSpec{Size: 3 * mib, Mode: FSDAX}, "multiple of 2 MiB"},
		{"too small", PmemSpec{Size: 2 * mib, Mode: FSDAX}, "no room"},
		{"small xfs", PmemSpec{Size: 302 * mib, FS: XFS, Mode: FSDAX}, "use 320 MiB"},
		{"label", PmemSpec{Size: 64 * mib, FS: Ext4, Label: "thirteen-char"}, "longer than 12"},
		{"reflink", PmemSpec{Size: 64 * mib, FS: Ext4, Reflink: true}, "xfs only"},
		{"file system", PmemSpec{Size: 64 * mib, FS: "btrfs"}, `"btrfs"`},
		{"mode", PmemSpec{Size: 64 * mib, Mode: "devdax"}, `"devdax"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := MakePmem(t.Context(), newCache(t), tc.spec); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestPmemUUIDs(t *testing.T) {
	c := newCache(t)
	seen := map[string]string{}
	for _, label := range []string{"a", "b"} {
		p := makeOrSkip(t, c, PmemSpec{FS: Ext4, Mode: FSDAX, Size: 64 * mib, Label: label})
		for what, off := range map[string]int64{"pfn": pfnInfoOffset + 16, "ext4": p.DataOffset + 1024 + 104} {
			id := hex.EncodeToString(readAt(t, p.Path, off, 16))
			if other := seen[id]; other != "" {
				t.Errorf("%s of %s: got the UUID of %s", what, label, other)
			}
			seen[id] = what + " of " + label
		}
	}
}
