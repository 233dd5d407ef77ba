package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/faultline/faultline/internal/cache"
)

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hostFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func module(name, content string) ModuleFile {
	return ModuleFile{Name: name, Digest: cache.Key(content), Open: func() ([]byte, error) { return []byte(content), nil }}
}

func mustInitramfs(t *testing.T, c *cache.Cache, s InitramfsSpec) *Image {
	t.Helper()
	img, err := Initramfs(t.Context(), c, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInitramfsContents(t *testing.T) {
	spec := InitramfsSpec{
		Init:     hostFile(t, "init!"),
		Modules:  []ModuleFile{module("nd_pmem", "second"), module("ext4", "first by name")},
		OnDemand: map[string][]ModuleFile{"later": {module("nd_pmem", "second"), module("xfs", "third")}},
		Files:    []ExtraFile{{Path: "/bin/tool", Host: hostFile(t, "tool")}, {Path: "/etc/key", Host: hostFile(t, ""), Mode: 0o400}},
	}
	img := mustInitramfs(t, newCache(t), spec)
	if !img.Built {
		t.Error("got a cached image from an empty cache")
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(mustRead(t, img.Path))))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range records {
		if r.Ino != uint64(i+1) || r.NLink != 1 || r.UID != 0 || r.GID != 0 || r.MTime != 0 {
			t.Errorf("got %+v, want it canonical, with inodes in order", r.Info)
		}
		line := fmt.Sprintf("%06o %s", r.Mode, r.Name)
		if r.Mode&cpio.S_IFMT == cpio.S_IFCHR {
			line += fmt.Sprintf(" %d:%d", r.Rmajor, r.Rminor)
		}
		if r.Mode&cpio.S_IFMT == cpio.S_IFREG {
			b, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
			if err != nil {
				t.Fatal(err)
			}
			line += fmt.Sprintf(" %q", b)
		}
		got = append(got, line)
	}
	want := []string{
		`040755 bin`,
		`100755 bin/tool "tool"`,
		`040755 dev`,
		`020600 dev/console 5:1`,
		`040755 etc`,
		`040755 etc/faultline`,
		`100644 etc/faultline/modules "/lib/modules/nd_pmem.ko\n/lib/modules/ext4.ko\n"`,
		`100644 etc/faultline/modules.later "/lib/modules/nd_pmem.ko\n/lib/modules/xfs.ko\n"`,
		`100400 etc/key ""`,
		`100755 init "init!"`,
		`040755 lib`,
		`040755 lib/modules`,
		`100644 lib/modules/ext4.ko "first by name"`,
		`100644 lib/modules/nd_pmem.ko "second"`,
		`100644 lib/modules/xfs.ko "third"`,
		`040755 mnt`, `040755 proc`, `040700 root`, `040755 run`, `040755 sys`, `041777 tmp`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("contents (-want +got):\n%s", d)
	}
}

func TestInitramfsReproducible(t *testing.T) {
	spec := func() InitramfsSpec {
		return InitramfsSpec{Init: hostFile(t, "init!"), Modules: []ModuleFile{module("a", "A"), module("b", "B")}}
	}
	c := newCache(t)
	one, other := mustInitramfs(t, c, spec()), mustInitramfs(t, newCache(t), spec())
	if !bytes.Equal(mustRead(t, one.Path), mustRead(t, other.Path)) {
		t.Error("two builds differ")
	}
	again := spec()
	for i := range again.Modules {
		again.Modules[i].Open = func() ([]byte, error) { t.Error("Open called for a cached image"); return nil, nil }
	}
	if img := mustInitramfs(t, c, again); img.Built || img.Path != one.Path {
		t.Error("not taken from the cache")
	}
	again.Modules[0], again.Modules[1] = again.Modules[1], again.Modules[0]
	again.Modules[0].Open, again.Modules[1].Open = module("b", "B").Open, module("a", "A").Open
	if img := mustInitramfs(t, c, again); img.Key == one.Key {
		t.Error("a different load order has the same key")
	}
}

func TestInitramfsRefuses(t *testing.T) {
	init := hostFile(t, "init!")
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		spec InitramfsSpec
		want string
	}{
		{"no init", InitramfsSpec{}, "no program for /init"},
		{"missing init", InitramfsSpec{Init: "/nonexistent/init"}, "/nonexistent/init"},
		{"module twice", InitramfsSpec{Init: init, Modules: []ModuleFile{module("a", "A"), module("a", "A")}}, "module a is listed twice"},
		{"module name", InitramfsSpec{Init: init, Modules: []ModuleFile{module("../a", "A")}}, `bad name "../a"`},
		{"module without digest", InitramfsSpec{Init: init, Modules: []ModuleFile{{Name: "a"}}}, "module a: no digest"},
		{"module broken", InitramfsSpec{Init: init, Modules: []ModuleFile{{Name: "a", Digest: "d",
			Open: func() ([]byte, error) { return nil, broken }}}}, "module a: broken"},
		{"relative file", InitramfsSpec{Init: init, Files: []ExtraFile{{Path: "a/../b", Host: init}}}, "not an absolute"},
		{"file twice", InitramfsSpec{Init: init, Files: []ExtraFile{{Path: "/init", Host: init}}}, "/init is in the initramfs twice"},
		{"file on a folder", InitramfsSpec{Init: init, Files: []ExtraFile{{Path: "/dev", Host: init}}}, "/dev is in the initramfs twice"},
		{"folder on a file", InitramfsSpec{Init: init, Files: []ExtraFile{{Path: "/init/x", Host: init}}}, "/init is a file in the initramfs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCache(t)
			_, err := Initramfs(t.Context(), c, tc.spec)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if items, err := c.List(); err != nil || len(items) != 0 {
				t.Errorf("got cache entries %v, %v; want none", items, err)
			}
		})
	}
}
