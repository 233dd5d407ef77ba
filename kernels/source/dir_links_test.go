package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

// link creates links below dir, from files' keys to its values.
func (f files) link(t *testing.T, dir string) string {
	t.Helper()
	for name, to := range f {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, p); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Package managers make a kernel's directory of links, as a whole or file by file.
func TestDirLinks(t *testing.T) {
	needs(t, "depmod")
	images := files{"vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true), "config-" + rel: config}
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(dir, store string){
		"the release": func(dir, store string) { files{"lib/modules/" + rel: store}.link(t, dir) },
		"lib":         func(dir, store string) { files{"lib": filepath.Join(store, "../../../lib")}.link(t, dir) },
		"kernel": func(dir, store string) {
			files{"lib/modules/" + rel + "/kernel": store + "/kernel", "lib/modules/" + rel + "/modules.order": store + "/modules.order", "lib/modules/" + rel + "/modules.builtin": store + "/modules.builtin"}.link(t, dir)
		},
		"each file": func(dir, store string) {
			for name := range modulesOf(".", rel) {
				files{filepath.Join("lib/modules", rel, name): filepath.Join(store, name)}.link(t, dir)
			}
		},
		"a link to a link": func(dir, store string) {
			files{"there": store, "lib/modules/" + rel: filepath.Join(dir, "there")}.link(t, dir)
		},
		"a loop, and what it was built from": func(dir, store string) {
			files{"kernel/fs/self": "../../kernel", "kernel/up": store, "build": "/", "source": "/proc/self"}.link(t, store)
			files{"lib/modules/" + rel: store}.link(t, dir)
		},
		"a folder below": func(dir, store string) {
			files{"lib/modules/" + rel + "/kernel/fs": store + "/kernel/fs", "lib/modules/" + rel + "/kernel/crc32c_x.ko": store + "/kernel/crc32c_x.ko",
				"lib/modules/" + rel + "/modules.order": store + "/modules.order", "lib/modules/" + rel + "/modules.builtin": store + "/modules.builtin"}.link(t, dir)
		},
		"a merged /usr": func(dir, store string) {
			files{"usr/lib/modules/" + rel: store, "lib": "usr/lib"}.link(t, dir)
		},
		"a release of another name": func(dir, store string) { files{"lib/modules/0.0.0": store}.link(t, dir) },
		"nothing that is needed": func(dir, store string) {
			files{"kernel/gone": "/nowhere"}.link(t, store)
			files{"lib/modules/" + rel: store}.link(t, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, store := images.in(t, t.TempDir()), filepath.Join(modulesOf("lib/modules/"+rel, rel).in(t, t.TempDir()), "lib/modules", rel)
			make(dir, store)
			k, err := Resolve(t.Context(), "dir:"+dir, testOptions(t))
			if err != nil || k.Digest != want.Digest {
				t.Errorf("got error %v, %+v; want the digest %s", err, k, want.Digest)
			}
		})
	}
	linked := filepath.Join(t.TempDir(), "kernel")
	if err := os.Symlink(usual().in(t, t.TempDir()), linked); err != nil {
		t.Fatal(err)
	}
	if k, err := Resolve(t.Context(), "dir:"+linked, testOptions(t)); err != nil || k.Digest != want.Digest {
		t.Errorf("link to the whole directory: got error %v, %+v; want the digest %s", err, k, want.Digest)
	}
	dir := usual().in(t, t.TempDir())
	files{"lib/modules/" + rel + "/kernel/gone.ko": "/nowhere"}.link(t, dir)
	_, err = Resolve(t.Context(), "dir:"+dir, testOptions(t))
	wantSpecError(t, err, "gone.ko is a dangling link")
}

// All files of a store have the same time: a link to a different target is still a
// different kernel.
func TestDirLinkLeadsElsewhere(t *testing.T) {
	opts := testOptions(t)
	stores := []string{t.TempDir(), t.TempDir()}
	for i, text := range []string{"CONFIG_64BIT=y\nCONFIG_A=y\n", "CONFIG_64BIT=y\nCONFIG_B=y\n"} {
		files{"config": text}.in(t, stores[i])
		if err := os.Chtimes(filepath.Join(stores[i], "config"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	dir := files{"vmlinuz": bzImage(rel, "1", true)}.in(t, t.TempDir())
	for i, symbol := range []string{"A", "B"} {
		os.Remove(filepath.Join(dir, "config"))
		files{"config": filepath.Join(stores[i], "config")}.link(t, dir)
		k, err := Resolve(t.Context(), "dir:"+dir, opts)
		if err != nil || k.Lacks(symbol) != nil {
			t.Errorf("%s: got error %v, or it is not enabled", symbol, err)
		}
	}
}

// Files that are only named like an image or a configuration are ignored beside real
// ones.
func TestDirOtherFiles(t *testing.T) {
	needs(t, "depmod")
	image, elf := bzImage(rel, "6.1.192-1", true), strings.Repeat("x", 4096)
	uki := "MZ" + elf
	for name, more := range map[string]files{
		"GDB's scripts":               {"vmlinux-gdb.py": "import gdb", "vmlinuz-gdb.py": "import gdb"},
		"a unified image":             {"vmlinuz.efi": uki},
		"a compressed one":            {"vmlinuz-0.gz": "\x1f\x8b" + elf, "vmlinux.xz": "\xfd7zXZ" + elf},
		"notes":                       {"kernel-notes.txt": "x", "bzImage.txt": "x"},
		"a kernel's folder":           {"kernel/fs/x.c": "x"},
		"a configuration of others":   {"configure": "#!/bin/sh\n", "config.gz": "\x1f\x8b", "boot/config.txt": "x y z"},
		"one that is cut":             {"vmlinuz-old": image[:2200]},
		"the one of before":           {"vmlinuz.old": bzImage("5.10.0", "1", true), "boot/vmlinuz-5.10.0~": bzImage("5.10.0", "1", true)},
		"one for rescue":              {"vmlinuz-0-rescue-0123456789abcdef": bzImage("5.10.0", "1", true)},
		"an initramfs":                {"kernel-initramfs.img": "\x1f\x8b" + elf, "vmlinuz-initrd": "070701" + elf},
		"packages":                    {"kernel-" + rel + ".rpm": "\xed\xab\xee\xdb" + elf, "linux": "#!/bin/sh\n"},
		"signatures and checksums":    {"vmlinuz-" + rel + ".sig": "x", "vmlinuz.sha256": "0123 vmlinuz", ".vmlinuz-" + rel + ".hmac": "x"},
		"an image of another machine": {"vmlinuz-arm": "MZ\x00\x00zimg" + elf, "kernel8.img": "\x1f\x8b" + elf},
		"a dangling link":             {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := usual().and(more).in(t, t.TempDir())
			files{"vmlinuz": "/nowhere", "vmlinuz-self": "vmlinuz-self"}.link(t, dir)
			if k, err := Resolve(t.Context(), "dir:"+dir, testOptions(t)); err != nil || k.Release != rel {
				t.Errorf("got error %v, %+v; want release %s", err, k, rel)
			}
		})
	}
	for name, f := range map[string]files{
		"bzImage-HASH, kernel.config": {"bzImage-0123abcd": image, "kernel.config": config},
		"kernel-REL":                  {"kernel-" + rel: image, "config": config},
		"boot/kernel-REL":             {"boot/kernel-" + rel: image, "boot/config-" + rel: config},
		"kernel":                      {"kernel": image, "kernel-" + rel + ".config": config},
		"an ELF file beside others":   {"vmlinux": image, "vmlinux-gdb.py": "import gdb", "bzImage": "x", ".config": config},
		"linux, as of systemd-boot":   {"linux": image, "config": config},
		"kernel-genkernel-NAME":       {"boot/kernel-genkernel-x86_64-" + rel: image, "boot/config-genkernel-x86_64-" + rel: config},
		"bzImage of Yocto":            {"bzImage--6.1+git0+0123456789-r0-qemux86-64-20261129.bin": image, "kernel.config": config},
		"the one of before, alone":    {"vmlinuz.old": image, "config": config},
		"in the modules' folder":      {"usr/lib/modules/" + rel + "/vmlinuz": image, "usr/lib/modules/" + rel + "/config": config},
		"wide.config":                 {"vmlinuz": image, "wide.config": config},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Resolve(t.Context(), "dir:"+f.and(modulesOf("lib/modules/"+rel, rel)).in(t, t.TempDir()), testOptions(t))
			if err != nil || k.Release != rel {
				t.Errorf("got error %v, %+v; want release %s", err, k, rel)
			}
		})
	}
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"a unified image alone":  {files{"vmlinuz.efi": uki}, "objcopy -O binary --only-section=.linux"},
		"a compressed one alone": {files{"vmlinux.zst": "\x28\xb5\x2f\xfd" + elf}, "unzstd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Resolve(t.Context(), "dir:"+c.files.in(t, t.TempDir()), testOptions(t))
			wantSpecError(t, err, c.want)
		})
	}
}

// Links cost nothing, but their targets are copied each time.
func TestDirOfManyLinks(t *testing.T) {
	dir := usual().in(t, t.TempDir())
	large := filepath.Join(t.TempDir(), "large.ko")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 200<<20); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "lib/modules", rel, "kernel")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 90 {
		if err := os.Symlink(large, filepath.Join(to, fmt.Sprintf("m%d.ko", i))); err != nil {
			t.Fatal(err)
		}
	}
	opts := testOptions(t)
	_, err := Resolve(t.Context(), "dir:"+dir, opts)
	if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "exceed 16 GiB in total; install the modules without") {
		t.Errorf("18 GB of links to 200 MiB: got %v, want a request error of more than 16 GiB", err)
	}
	if n := cache.DiskUse(opts.Cache.Dir()); n > 1<<20 {
		t.Errorf("wrote %d bytes, want at most %d", n, 1<<20)
	}
}
