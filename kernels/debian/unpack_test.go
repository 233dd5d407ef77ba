package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels"
)

func TestWanted(t *testing.T) {
	for name, want := range map[string]string{
		"./boot/vmlinuz-6.1.0-56-amd64":               "vmlinuz",
		"./boot/config-6.1.0-56-amd64":                "config",
		"./boot/System.map-6.1.0-56-amd64":            "",
		"./lib/modules/6.1/kernel/a.ko":               "lib/modules/6.1/kernel/a.ko",
		"./usr/lib/modules/7.3/kernel/a.ko.xz":        "lib/modules/7.3/kernel/a.ko.xz",
		"./usr/lib/modules/7.3/vmlinuz":               "vmlinuz",
		"./usr/lib/modules/7.3/config":                "config",
		"./usr/lib/modules/7.3/System.map":            "",
		"./lib/modules/6.1/../../../etc/passwd":       "",
		"../lib/modules/6.1/a":                        "",
		"./usr/share/doc/linux-image/copyright":       "",
		"./usr/lib/debug/boot/vmlinux-6.1.0-56-amd64": "",
		"./lib/modules/6.1":                           "",
		"./lib/modules/6.1/build/Makefile":            "",
		"./usr/lib/debug/lib/modules/6.1/kernel/a.ko": "",
		"./lib/modules/6.1/modules.builtin":           "lib/modules/6.1/modules.builtin",
		"./lib/modules/6.1/vdso/vdso64.so":            "",
		"./lib/modules/6.1/kernel/modules.x":          "",
		"./lib/modules/6.1/f1":                        "",
		"./lib/modules/6.1/build/a.ko":                "",
		"./usr/usr/lib/modules/6.1/kernel/fs/ext4.ko": "",
	} {
		if got := wanted(name); got != want {
			t.Errorf("wanted(%q): got %q, want %q", name, got, want)
		}
	}
}

// tarball makes a package's file system of regular one-byte files with these names.
func tarball(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// endless is a package's file system with an endless number of files of one size.
type endless struct {
	name   string // format of the n-th name
	size   int64
	n      int
	buffer bytes.Buffer
	left   int64 // remaining zeros
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left > 0 {
		n := int(min(int64(len(p)), e.left))
		clear(p[:n])
		e.left -= int64(n)
		return n, nil
	}
	if e.buffer.Len() == 0 {
		e.n++
		w := tar.NewWriter(&e.buffer)
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf(e.name, e.n), Size: e.size, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			return 0, err
		}
	}
	n, err := e.buffer.Read(p)
	if e.buffer.Len() == 0 {
		e.left = (e.size + 511) / 512 * 512
	}
	return n, err
}

// A package of a few KiB can unpack to any size: unpacking ends at the limits of a
// kernel, before the disk is full.
func TestUnpackTarBounds(t *testing.T) {
	for name, c := range map[string]struct {
		from  endless
		files int // written at most
		want  string
	}{
		"bytes":                     {endless{name: "./lib/modules/6.1/kernel/a%d.ko", size: 200 << 20}, mostBytes / (200 << 20), "more than a kernel has"},
		"files":                     {endless{name: "./lib/modules/6.1/kernel/a%d.ko"}, mostFiles, "more than a kernel has"},
		"a module":                  {endless{name: "./lib/modules/6.1/kernel/a%d.ko", size: 257 << 20}, 0, "has 269484032 bytes"},
		"lists, which may be large": {endless{name: "./lib/modules/6.1/modules.%d", size: 64 << 20}, mostBytes / (64 << 20), "more than a kernel has"},
	} {
		t.Run(name, func(t *testing.T) {
			files := 0
			_, err := unpackTar(&c.from, func(to string, r io.Reader) error {
				files++
				return nil // unread data is skipped
			})
			if err == nil || !errors.Is(err, tar.ErrHeader) || !strings.Contains(err.Error(), c.want) || files > c.files {
				t.Errorf("got %d files, %v; want at most %d, and %q", files, err, c.files, c.want)
			}
		})
	}
}

// A sparse file is small in a package, and may be huge on disk.
func TestUnpackTarSparse(t *testing.T) {
	bin, err := exec.LookPath("tar")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	const name = "lib/modules/6.1/kernel/a.ko"
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(64<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]string{{"--format=pax", "--sparse-version=1.0"}, {"--format=pax", "--sparse-version=0.1"}, {"--format=pax", "--sparse-version=0.0"}, {"--format=gnu"}} {
		data, err := exec.Command(bin, append([]string{"-C", dir, "-c", "--sparse", name}, form...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 1<<20 {
			t.Skip("the file system does not support holes")
		}
		_, err = unpackTar(bytes.NewReader(data), func(to string, r io.Reader) error { t.Errorf("%v: %s was written", form, to); return nil })
		if !errors.Is(err, tar.ErrHeader) || !strings.Contains(err.Error(), "is sparse") {
			t.Errorf("%v: got %v", form, err)
		}
	}
}

// FuzzUnpackTar checks that, for any package, written files are in the entry, are among
// its files, and are within the size limit. It does not touch the disk: file system
// operations vary between runs, which keeps a fuzzer from making progress.
func FuzzUnpackTar(f *testing.F) {
	f.Add(tarball(f, "./boot/vmlinuz-6.1", "./lib/modules/6.1/kernel/a.ko", "../../x"))
	f.Add(tarball(f, "./usr/lib/modules/7.3/vmlinuz", "./usr/lib/modules/7.3/config", "./boot/config-7.3", "/etc/passwd"))
	f.Add(tarball(f, "./lib/modules/6.1/"+strings.Repeat("long/", 40)+"a.ko")) // a PAX header
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		written := 0
		images, err := unpackTar(bytes.NewReader(data), func(to string, r io.Reader) error {
			written++
			if !filepath.IsLocal(filepath.FromSlash(to)) || to != kernels.FileVmlinuz && to != kernels.FileConfig && !strings.HasPrefix(to, kernels.DirModules+"/") {
				t.Fatalf("%q was written", to)
			}
			_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // a sparse file has more than the package
			return err
		})
		if errors.Is(err, io.EOF) {
			t.Errorf("end of archive: got error %v", err)
		}
		if len(images) > written {
			t.Errorf("got %d images of %d files", len(images), written)
		}
	})
}
