package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
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
		"./usr/usr/lib/modules/6.1/kernel/fs/ext4.ko": "",
	} {
		if got := wanted(name); got != want {
			t.Errorf("wanted(%q) = %q, want %q", name, got, want)
		}
	}
}

// tarball is a package's file system of regular files with these names, and a byte each.
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

// FuzzUnpackTar: whatever a package holds, what is written lies in the entry, is
// one of its files, and no larger than one may be. Nothing touches a disk: what a
// file system does is not the same twice, which keeps a fuzzer from going on.
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
				t.Fatalf("%q is written", to)
			}
			_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // a sparse file has more than the package
			return err
		})
		if errors.Is(err, io.EOF) {
			t.Errorf("the end of the archive is an error: %v", err)
		}
		if len(images) > written {
			t.Errorf("%d images of %d files", len(images), written)
		}
	})
}
