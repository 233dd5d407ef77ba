package kernels

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ar(members ...string) string {
	b := "!<arch>\n"
	for i := 0; i+1 < len(members); i += 2 {
		b += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", members[i], 0, 0, 0, "100644", len(members[i+1]), members[i+1])
		if len(members[i+1])%2 == 1 {
			b += "\n"
		}
	}
	return b
}

func TestCheckDebFile(t *testing.T) {
	whole := ar("debian-binary", "2.0\n", "control.tar.xz/", "odd", "data.tar.xz", "some data")
	for name, c := range map[string]struct{ data, want string }{
		"whole":                   {whole, ""},
		"empty":                   {"", "not a Debian package"},
		"text":                    {"this is no package", "not a Debian package"},
		"cut in the magic":        {"!<ar", "truncated"},
		"cut in a header":         {whole[:40], "truncated"},
		"cut in data":             {whole[:len(whole)-4], "truncated: data.tar.xz has 6 of 9 bytes"},
		"cut between the members": {ar("debian-binary", "2.0\n", "control.tar.gz", "1"), "it has no data.tar"},
		"an archive of objects":   {ar("a.o", "x"), "not a Debian package"},
		"bad header":              {strings.Replace(whole, "`", "'", 1), "not a Debian package"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.deb")
			if err := os.WriteFile(file, []byte(c.data), 0o644); err != nil {
				t.Fatal(err)
			}
			err := checkDebFile(file)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var spec *SpecError
			if !errors.As(err, &spec) || !strings.Contains(err.Error(), c.want) || spec.WayOut == "" {
				t.Errorf("error %v, want a SpecError with %q", err, c.want)
			}
		})
	}
}

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

func FuzzListAr(f *testing.F) {
	f.Add([]byte(ar("debian-binary", "2.0\n", "control.tar.xz", "1", "data.tar.xz", "22")))
	f.Add([]byte("!<arch>\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := listAr(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		total := int64(0)
		for _, m := range members {
			total += m.size
		}
		if total > int64(len(data)) {
			t.Errorf("members of %d bytes in a file of %d", total, len(data))
		}
	})
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
