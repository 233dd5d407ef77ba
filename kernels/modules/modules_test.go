package modules

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/faultline/faultline/internal/fake"
)

const dep = `# a comment
kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/drivers/nvdimm/nd_pmem.ko: kernel/drivers/nvdimm/nd_btt.ko kernel/drivers/nvdimm/libnvdimm.ko
kernel/drivers/nvdimm/nd_btt.ko: kernel/drivers/nvdimm/libnvdimm.ko
kernel/drivers/nvdimm/libnvdimm.ko:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
`

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModules(t *testing.T) {
	dir := folder(t, map[string]string{
		"modules.dep":     dep,
		"modules.builtin": "kernel/drivers/virtio/virtio.ko\nkernel/drivers/block/virtio-blk.ko\n",
		"modules.softdep": "# Soft dependencies\nsoftdep ext4 pre: crc32c post: nothing\nsoftdep b pre: a\n",
		"modules.alias":   "alias crc32c crc32c_intel\nalias crc32c crc32c_generic\nalias pci:v*d* nothing\nalias self self\n",
	})
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ask     []string
		want    string // names; soft ones in brackets
		unknown []string
	}{
		"nothing":                  {nil, "", nil},
		"dependencies first":       {[]string{"nd_pmem"}, "libnvdimm nd_btt nd_pmem", nil},
		"each once":                {[]string{"nd_btt", "nd-pmem", "libnvdimm"}, "libnvdimm nd_btt nd_pmem", nil},
		"soft dependencies":        {[]string{"ext4"}, "(crc32c_intel) (crc32c_generic) jbd2 mbcache crc16 ext4", nil},
		"soft, then asked for":     {[]string{"ext4", "crc32c_generic"}, "(crc32c_intel) crc32c_generic jbd2 mbcache crc16 ext4", nil},
		"built in":                 {[]string{"virtio", "virtio_blk", "libnvdimm"}, "libnvdimm", nil},
		"an alias":                 {[]string{"crc32c"}, "crc32c_intel crc32c_generic", nil},
		"unknown beside the known": {[]string{"nope", "libnvdimm", "self"}, "libnvdimm", []string{"nope", "self"}},
		"in a circle":              {[]string{"a"}, "b a", nil},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := x.Modules(c.ask...)
			var unknown *UnknownError
			if errors.As(err, &unknown) {
				if !slices.Equal(unknown.Names, c.unknown) {
					t.Errorf("got unknown %v, want %v", unknown.Names, c.unknown)
				}
			} else if err != nil || c.unknown != nil {
				t.Errorf("got error %v, want unknown %v", err, c.unknown)
			}
			var got []string
			for _, f := range files {
				if f.Soft {
					got = append(got, "("+f.Name+")")
				} else {
					got = append(got, f.Name)
				}
				if !strings.HasPrefix(f.Path, dir+"/kernel/") {
					t.Errorf("got path %s, want it below kernel/", f.Path)
				}
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("got  %s\nwant %s", g, c.want)
			}
		})
	}
	if !x.Builtin("virtio-blk") || x.Builtin("ext4") || !x.Has("ext4") || x.Has("nope") {
		t.Error("Builtin or Has is wrong")
	}
}

func TestOpenErrors(t *testing.T) {
	for name, in := range map[string]string{
		"no colon":     "kernel/a.ko\n",
		"absolute":     "/etc/a.ko:\n",
		"path outside": "kernel/a.ko: ../../b.ko\n",
		"not a module": "kernel/a.txt:\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(folder(t, map[string]string{"modules.dep": in}))
			if err == nil || !strings.Contains(err.Error(), "line 1") {
				t.Errorf("got error %v, want one with line 1", err)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "depmod") {
		t.Errorf("got error %v, want one with a hint", err)
	}
}

func TestRead(t *testing.T) {
	want := fake.Module("ext4", "6.1.0-56-amd64")
	var gz, zs, x bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, _ := zstd.NewWriter(&zs)
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	g.Write(want)
	z.Write(want)
	xw.Write(want)
	g.Close()
	z.Close()
	xw.Close()
	for name, data := range map[string][]byte{"m.ko": want, "m.ko.gz": gz.Bytes(), "m.ko.zst": zs.Bytes(), "m.ko.xz": x.Bytes()} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("the content differs")
			}
			if r := Release(got); r != "6.1.0-56-amd64" {
				t.Errorf("Release: got %q, want 6.1.0-56-amd64", r)
			}
			if name == "m.ko" {
				return
			}
			if err := os.WriteFile(file, data[:len(data)/2], 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(file); err == nil {
				t.Error("half a file: got no error")
			}
		})
	}
}

func TestNames(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/a/crc32c-intel.ko.xz": "crc32c_intel", "ext4.ko": "ext4", "x/y.ko.zst": "y", "plain": "plain",
	} {
		if got := Name(file); got != want {
			t.Errorf("Name(%q): got %q, want %q", file, got, want)
		}
	}
	for file, want := range map[string]bool{"a.ko": true, "a.ko.gz": true, "a.komodo": false, ".ko": false, "a.o": false} {
		if got := IsModule(file); got != want {
			t.Errorf("IsModule(%q): got %v, want %v", file, got, want)
		}
	}
}

func FuzzModulesDep(f *testing.F) {
	f.Add([]byte(dep), []byte("softdep a pre: b"), []byte("alias c a"))
	f.Fuzz(func(t *testing.T, dep, soft, alias []byte) {
		x, err := parseDep(dep)
		if err != nil {
			return
		}
		x.parseSoft(soft)
		x.parseAlias(alias)
		names := x.Names()
		files, err := x.Modules(names...)
		if err != nil {
			t.Errorf("own modules: got %v, want no error", err)
		}
		if len(files) != len(names) {
			t.Errorf("got %d files, want %d, one of each module", len(files), len(names))
		}
		for _, file := range files {
			if !filepath.IsLocal(file.Path) {
				t.Errorf("%s is outside the directory", file.Path)
			}
		}
	})
}

// A list in which each module needs the next one does not overflow the stack.
func TestModulesDeep(t *testing.T) {
	for n, ok := range map[int]bool{500: true, 200_000: false} {
		dir := t.TempDir()
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "kernel/m%d.ko: kernel/m%d.ko\n", i, i+1)
		}
		fmt.Fprintf(&b, "kernel/m%d.ko:\n", n)
		if err := os.WriteFile(filepath.Join(dir, "modules.dep"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		x, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, err := x.Modules("m0")
		if ok && (err != nil || len(files) != n+1) || !ok && (err == nil || !strings.Contains(err.Error(), "more than 1000 deep")) {
			t.Errorf("%d: got %d files, error %v; want all of them, or an error of more than 1000 deep", n, len(files), err)
		}
	}
}
