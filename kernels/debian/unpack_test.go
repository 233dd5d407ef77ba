package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
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

func FuzzUnpackTar(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"./boot/vmlinuz-6.1", "./lib/modules/6.1/kernel/a.ko", "../../x"} {
		_ = w.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o644, Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte("x"))
	}
	w.Close()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		parent := t.TempDir()
		dir := filepath.Join(parent, "entry")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := unpackTar(bytes.NewReader(data), dir)
		if errors.Is(err, io.EOF) {
			t.Errorf("the end of the archive is an error: %v", err)
		}
		if left, _ := os.ReadDir(parent); len(left) != 1 {
			t.Errorf("something was written beside the folder")
		}
	})
}
