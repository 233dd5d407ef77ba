package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
)

func TestDir(t *testing.T) {
	needs(t, "depmod")
	opts := testOptions(t)
	dir := usual().in(t, t.TempDir())
	k, err := Resolve(t.Context(), "dir:"+dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != rel || k.Version != "6.1.0" || !k.PVH || filepath.Base(k.Image) != "vmlinux" ||
		!strings.HasSuffix(k.ModulesDir, "/lib/modules/"+rel) || k.Arch != "amd64" || len(k.Digest) != 64 {
		t.Errorf("got %+v, want release %s, version 6.1.0, PVH, vmlinux, its modules and a digest", k, rel)
	}
	if k.Name != rel+" (dir:"+filepath.Base(dir)+")" {
		t.Errorf("got name %q, want %q", k.Name, rel+" (dir:"+filepath.Base(dir)+")")
	}
	if got := k.Lacks("EXT4_FS", "CONFIG_FS_DAX"); len(got) != 1 || got[0] != "CONFIG_FS_DAX" {
		t.Errorf("Lacks: got %v, want CONFIG_FS_DAX", got)
	}
	mods, err := k.Modules("ext4", "virtio")
	var names []string
	for _, m := range mods {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "crc32c_x ext4" {
		t.Errorf("got modules %q, error %v; want crc32c_x and ext4", got, err)
	}
	if filepath.Base(k.BzImage()) != "vmlinuz" {
		t.Errorf("BzImage: got %q, want vmlinuz", k.BzImage())
	}

	again, err := Resolve(t.Context(), "dir:"+dir, opts)
	if err != nil || again.Fresh() || again.Digest != k.Digest {
		t.Errorf("second time: got built %v, error %v; want the same kernel from the cache", again.Fresh(), err)
	}
	cached, err := kernels.Cached(t.Context(), opts.Cache, k.Key())
	if err != nil || cached.Digest != k.Digest || cached.Image != k.Image || cached.Release != k.Release || len(cached.Lacks("EXT4_FS")) != 0 {
		t.Errorf("by its key: got %+v, error %v; want the same kernel", cached, err)
	}
	if _, err := kernels.Cached(t.Context(), opts.Cache, "0000"); !errors.Is(err, kernels.ErrNotCached) {
		t.Errorf("a key that is not in the cache: got %v, want ErrNotCached", err)
	}
	// The same files elsewhere: another entry, the same kernel.
	other, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), opts)
	if err != nil || other.Digest != k.Digest {
		t.Errorf("the same files: got error %v, or a different digest", err)
	}
	changed, err := Resolve(t.Context(), "dir:"+usual().and(files{"config-" + rel: config + "CONFIG_X=y\n"}).in(t, t.TempDir()), opts)
	if err != nil || changed.Digest == k.Digest {
		t.Errorf("a different configuration: got error %v, or the same digest", err)
	}
}

// A directory can have any name; the kernel's name is used in comments of scripts, on
// terminals and in logs.
func TestDirOfAnyName(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a\n::error::b\x1b[2J\u009b\u202e; rm x")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	k, err := Resolve(t.Context(), "dir:"+usual().in(t, root), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := rel + " (dir:a :·:error:·:b··; rm x)"; k.Name != want {
		t.Errorf("got %q, want %q", k.Name, want)
	}
}

func TestDirLayouts(t *testing.T) {
	needs(t, "depmod")
	image, elf := bzImage(rel, "6.1.192-1", true), string(fake.Vmlinux(rel, "6.1.192-1", true))
	for name, c := range map[string]struct {
		files   files
		image   string
		modules bool
	}{
		"as in packages":      {files{"boot/vmlinuz-" + rel: image, "boot/config-" + rel: config}.and(modulesOf("usr/lib/modules/"+rel, rel)), "vmlinux", true},
		"all in modules":      {files{"usr/lib/modules/" + rel + "/vmlinuz": image, "usr/lib/modules/" + rel + "/config": config}.and(modulesOf("usr/lib/modules/"+rel, rel)), "vmlinux", true},
		"modules directly":    {files{"vmlinuz": image, ".config": config}.and(modulesOf("modules", rel)), "vmlinux", true},
		"modules in the root": {files{"vmlinuz": image, "config": config}.and(modulesOf(".", rel)), "vmlinux", true},
		"a vmlinux":           {files{"vmlinux": elf, "config": config}.and(modulesOf("lib/modules/"+rel, rel)), "vmlinux", true},
		"KASAN":               {files{"vmlinuz": bzImage(rel, "1", true), "config": config + "CONFIG_KASAN=y\n"}.and(modulesOf("lib/modules/"+rel, rel)), "vmlinuz", true},
		"no PVH note":         {files{"vmlinuz": bzImage(rel, "1", false), "config": config}.and(modulesOf("lib/modules/"+rel, rel)), "vmlinuz", true},
		"without modules":     {files{"vmlinuz": image, "config": "CONFIG_64BIT=y\n"}, "vmlinux", false},
		"another beside":      {usual().and(modulesOf("lib/modules/5.10.0", "5.10.0")), "vmlinux", true},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Resolve(t.Context(), "dir:"+c.files.in(t, t.TempDir()), testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(k.Image) != c.image || k.PVH != (c.image == "vmlinux") || (k.ModulesDir != "") != c.modules {
				t.Errorf("got image %s, PVH %v, modules %q; want %s, modules %t", k.Image, k.PVH, k.ModulesDir, c.image, c.modules)
			}
		})
	}
}

func TestDirErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"nothing":                     {files{"readme": "x"}, "no kernel image in"},
		"no image":                    {files{"vmlinuz": "not a kernel", "config": config}, "neither a bzImage nor"},
		"image cut":                   {files{"vmlinuz": bzImage(rel, "1", true)[:2200], "config": config}, "truncated"},
		"image damaged":               {files{"vmlinuz": string(fake.BzImage(rel, []byte("\x1f\x8b\x08damaged"))), "config": "CONFIG_64BIT=y\n"}, "damaged"},
		"no config":                   {usual().and(files{"config-" + rel: ""}), "no kernel configuration"},
		"config is none":              {usual().and(files{"config-" + rel: "hello\n"}), "line 1"},
		"modules missing":             {files{"vmlinuz": bzImage(rel, "1", true), "config": config}, "no modules folder"},
		"modules of another":          {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("lib/modules/5.10.0", "5.10.0")), "the image is 6.1.0-56-amd64, but its modules were built for 5.10.0"},
		"modules of another, direct":  {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("modules", "5.10.0")), "its modules were built for 5.10.0"},
		"modules of another, renamed": {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("lib/modules/"+rel, "5.10.0")), "its modules were built for 5.10.0"},
		"two kernels of before":       {files{"vmlinuz.old": bzImage(rel, "1", true), "vmlinuz-b.old": bzImage("5.10.0", "1", true)}, "more than one kernel"},
		"two kernels":                 {files{"vmlinuz-a": bzImage(rel, "1", true), "vmlinuz-b": bzImage("5.10.0", "1", true)}, "more than one kernel"},
		"vmlinux without PVH":         {files{"vmlinux": string(fake.Vmlinux(rel, "1", false)), "config": config}, "no PVH note"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			_, err := Resolve(t.Context(), "dir:"+c.files.in(t, t.TempDir()), opts)
			wantSpecError(t, err, c.want)
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("got %v left in the cache, want none", left)
			}
		})
	}
}

func TestDirConfig(t *testing.T) {
	opts := testOptions(t)
	dir := usual().and(files{"config-" + rel: ""}).in(t, t.TempDir())
	file := filepath.Join(files{"100% & more?x=y": config}.in(t, t.TempDir()), "100% & more?x=y")
	k, err := Resolve(t.Context(), Set("dir:"+dir, "config", file), opts)
	if err != nil {
		t.Fatal(err)
	}
	if missing := k.Lacks("EXT4_FS", "XFS_FS"); fmt.Sprint(missing) != "[XFS_FS]" {
		t.Errorf("got no %v in the kernel, want it to lack XFS_FS alone", missing)
	}
}

// A file that claims to be large uses neither memory, time nor disk space of the cache.
func TestDirSparseFiles(t *testing.T) {
	module := "lib/modules/" + rel + "/kernel/fs/ext4.ko"
	for name, c := range map[string]struct{ file, want string }{
		"the image":         {"vmlinuz-" + rel, "larger than 256 MiB"},
		"the configuration": {"config-" + rel, "larger than 16 MiB"},
		"a module":          {module, "larger than 256 MiB"},
		"the modules' list": {"lib/modules/" + rel + "/modules.order", "larger than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			root := usual().in(t, t.TempDir())
			sparse, err := os.OpenFile(filepath.Join(root, c.file), os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			if err := sparse.Truncate(40 << 30); err != nil {
				t.Fatal(err)
			}
			sparse.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read := bytesRead(t)
			_, err = Resolve(t.Context(), "dir:"+root, opts)
			read = bytesRead(t) - read
			runtime.ReadMemStats(&after)
			wantSpecError(t, err, c.want)
			if used := after.TotalAlloc - before.TotalAlloc; read > 1<<30 || used > 100<<20 {
				t.Errorf("read %d MiB and used %d MiB of memory, want at most 1024 and 100", read>>20, used>>20)
			}
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("got %v left in the cache, want none", left)
			}
		})
	}
}

// bytesRead returns the bytes read by this process so far (rchar in proc_pid_io(5)).
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// One of several images in a boot directory, with its configuration and modules.
func TestDirImage(t *testing.T) {
	needs(t, "depmod")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	root := files{"boot/vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true), "boot/config-" + rel: config,
		"boot/vmlinuz-6.12.1": bzImage("6.12.1", "6.12.1-1", true), "boot/config-6.12.1": "CONFIG_SWAP=y\n",
		"boot/.config": "CONFIG_SWAP=y\n"}.and(modulesOf("lib/modules/"+rel, rel)).in(t, t.TempDir())
	k, err := Resolve(t.Context(), "dir:"+filepath.Join(root, "boot/vmlinuz-"+rel), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if k.Digest != want.Digest || k.Name != rel+" (dir:vmlinuz-"+rel+")" {
		t.Errorf("got %+v, want that of %+v", k, want)
	}
	_, err = Resolve(t.Context(), "dir:"+filepath.Join(root, "boot"), testOptions(t))
	wantSpecError(t, err, "more than one kernel")
}
