package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/modules"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// A cache entry of kind "kernel" is a directory with these files, and lib/modules/REL. A
// source puts FileVmlinuz or FileVmlinux, FileConfig and the modules there.
const (
	entryKind   = "kernel"
	entryFormat = "1" // part of every key: raise it when the layout changes

	FileVmlinuz = "vmlinuz" // the original bzImage
	FileVmlinux = "vmlinux" // the ELF file: original, or extracted from the bzImage
	FileConfig  = "config"
	fileRecord  = "kernel.json"
	DirModules  = "lib/modules"
)

// Unpack makes a kernel from the files that fill puts into a directory of the cache, or
// takes it from there. parts are everything that determines those files, the source's
// scheme first. fill returns the packages that the files are from, if any.
func Unpack(
	ctx context.Context,
	opts Options,
	parts []string,
	fill func(ctx context.Context, dir string) ([]Package, error),
) (*Kernel, error) {
	entry, err := opts.Cache.Get(ctx, entryKind, entryKey(parts), func(ctx context.Context, dir string) error {
		packages, err := fill(ctx, dir)
		if err != nil {
			return err
		}
		return finish(ctx, dir, packages, opts)
	})
	if err != nil {
		return nil, err
	}
	return load(entry)
}

// Unpacked reports whether Unpack would find the kernel in the cache.
func Unpacked(opts Options, parts []string) bool {
	return exists(filepath.Join(opts.Cache.Dir(), entryKind, entryKey(parts), fileRecord))
}

func entryKey(parts []string) string { return cache.Key(append([]string{entryFormat}, parts...)...) }

// finish completes a kernel from the files that a source put into dir: vmlinuz or
// vmlinux, config, and lib/modules/REL. It extracts the vmlinux, generates
// modules.dep, and records the data that Resolve returns.
func finish(ctx context.Context, dir string, packages []Package, opts Options) error {
	k := &Kernel{Packages: packages, Arch: arch.AMD64.Name, Image: FileVmlinuz}
	if !exists(filepath.Join(dir, FileVmlinuz)) {
		k.Image = FileVmlinux
	}
	var banner string
	var isELF bool
	err := WithImage(ctx, filepath.Join(dir, k.Image), func(data []byte) error {
		image, err := vmlinuz.Parse(data)
		if err != nil {
			return &SpecError{Problem: "its kernel image is not bootable", Err: err,
				Hint: "give a complete x86-64 bzImage or vmlinux"}
		}
		k.Release, banner, isELF = image.Release, image.Banner, image.ELF
		return elfImage(dir, k, image, opts)
	})
	if large := (*limitread.Error)(nil); errors.As(err, &large) {
		return TooLarge(large)
	}
	if err != nil {
		return err
	}
	k.Version = imageVersion(k.Release, banner)
	for _, p := range packages {
		if strings.HasSuffix(p.Name, k.Release) || strings.HasSuffix(strings.TrimSuffix(p.Name, "-unsigned"), k.Release) {
			k.Version = UpstreamVersion(p.Version)
		}
	}

	config, err := kernelConfig(dir)
	if err != nil {
		return err
	}
	if k.ModulesDir, err = modulesDir(ctx, dir, k.Release, config); err != nil {
		return err
	}
	if k.Digest, err = digest(dir, isELF); err != nil {
		return err
	}
	record, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileRecord), append(record, '\n'), 0o644)
}

// elfImage chooses the image for QEMU, and writes the vmlinux if that is it.
func elfImage(dir string, k *Kernel, image *vmlinuz.Image, opts Options) error {
	elf, err := image.Vmlinux()
	if errors.Is(err, vmlinuz.ErrCompression) {
		opts.Logf("kernel %s boots from its bzImage: %v", image.Release, err)
		return nil
	}
	if err != nil {
		return &SpecError{Problem: "its kernel image is damaged", Err: err, Hint: "get the file again"}
	}
	if k.PVH, err = vmlinuz.PVH(elf); err != nil {
		return &SpecError{Problem: "its kernel image is damaged", Err: err, Hint: "get the file again"}
	}
	if !exists(filepath.Join(dir, FileConfig)) {
		if c := vmlinuz.Config(elf); c != nil {
			if err := os.WriteFile(filepath.Join(dir, FileConfig), c, 0o644); err != nil {
				return err
			}
		}
	}
	config, err := kernelConfig(dir)
	if err != nil {
		config = nil // finish reports the error
	}
	switch {
	case k.PVH && !image.ELF && NotByPVH(config):
		k.PVH = false
		opts.Logf("kernel %s boots from its bzImage: it has CONFIG_KASAN", image.Release)
		return nil
	case k.PVH && !image.ELF:
		k.Image = FileVmlinux
		return os.WriteFile(filepath.Join(dir, FileVmlinux), elf, 0o644)
	case k.PVH:
		return nil
	case image.ELF:
		return &SpecError{Problem: "its vmlinux has no PVH note, so QEMU can't boot it",
			Hint: "build it with CONFIG_PVH=y, or give the bzImage (arch/x86/boot/bzImage) as vmlinuz"}
	}
	opts.Logf("kernel %s boots from its bzImage: its vmlinux has no PVH note", image.Release)
	return nil
}

func kernelConfig(dir string) (*kconfig.Config, error) {
	data, err := limitread.ReadFile(filepath.Join(dir, FileConfig), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SpecError{
			Problem: "it has no kernel configuration",
			Hint: "add the config-RELEASE file (or .config) that the kernel was built with, " +
				"or for a folder use dir:PATH?config=FILE",
		}
	}
	if err != nil {
		return nil, err
	}
	c, err := kconfig.ParseBytes(data)
	if err != nil {
		return nil, &SpecError{
			Problem: "cannot read its kernel configuration",
			Err:     err,
			Hint:    "give the .config as the build wrote it",
		}
	}
	if c.Len() == 0 {
		return nil, &SpecError{
			Problem: "its kernel configuration has no symbols set",
			Hint:    "give the .config as the build wrote it",
		}
	}
	return c, nil
}

// modulesDir checks the modules directory against the image's release and returns
// its path below dir, "" if the kernel needs none.
func modulesDir(ctx context.Context, dir, release string, config *kconfig.Config) (string, error) {
	var found []string
	entries, err := os.ReadDir(filepath.Join(dir, DirModules))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if len(found) == 0 {
		if config.Get("MODULES") == "y" {
			return "", &SpecError{Problem: fmt.Sprintf("kernel %s is built with modules, but has no modules folder", release),
				Hint: "add lib/modules/" + release + ", or build the kernel with CONFIG_MODULES unset"}
		}
		return "", nil
	}
	if !slices.Contains(found, release) {
		return "", OtherRelease(release, found[0])
	}
	base := filepath.Join(DirModules, release)
	if symbol := firstModule(config); symbol != "" && !hasModule(filepath.Join(dir, base)) {
		return "", &SpecError{
			Problem: fmt.Sprintf("kernel %s is built with modules (CONFIG_%s=m), but has none", release, symbol),
			Hint:    "give the package with its modules, too, such as kernel-modules or linux-modules",
		}
	}
	if built := BuiltFor(ctx, filepath.Join(dir, base)); built != "" && built != release {
		return "", OtherRelease(release, built)
	}
	if exists(filepath.Join(dir, base, "modules.dep")) {
		return base, nil
	}
	depmod, err := execx.Find("depmod", "kmod")
	if err != nil {
		return "", err
	}
	// A depmod built for a merged /usr looks below usr/lib (kmod 32 and later).
	if err := os.Mkdir(filepath.Join(dir, "usr"), 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink("../lib", filepath.Join(dir, "usr/lib")); err != nil {
		return "", err
	}
	if _, err := execx.Run(ctx, "", nil, depmod, "-b", dir, release); err != nil {
		return "", fmt.Errorf("generate modules.dep: %w", err)
	}
	if _, err := modules.Open(filepath.Join(dir, base)); err != nil {
		return "", err
	}
	return base, nil
}

// firstModule returns a symbol that a guest or a scenario needs and that a configuration
// builds as a module, or "".
func firstModule(config *kconfig.Config) string {
	for _, l := range loadable {
		if config.Get(l.symbol) == "m" {
			return l.symbol
		}
	}
	return ""
}

// hasModule reports whether a modules directory has a module.
func hasModule(dir string) (has bool) {
	_ = Walk(dir, func(rel string, _ fs.FileInfo) error {
		if has = modules.IsModule(rel); has {
			return fs.SkipAll
		}
		return nil
	})
	return has
}

// TooLarge returns the error for a file that is larger than a kernel's can be.
func TooLarge(err *limitread.Error) error {
	return &SpecError{Problem: err.Error(),
		Hint: "give the file as the build wrote it, without debug information (objcopy --strip-debug)"}
}

// OtherRelease returns the error for an image and modules of different builds.
func OtherRelease(release, other string) error {
	return &SpecError{Problem: fmt.Sprintf("the image is %s, but its modules were built for %s", release, other),
		Hint: "give the image and the lib/modules folder of the same build"}
}

// BuiltFor returns the release of the first module that can be read, or "".
func BuiltFor(ctx context.Context, dir string) string {
	if whole.Acquire(ctx, 1) != nil {
		return ""
	}
	defer whole.Release(1)
	release := ""
	_ = Walk(dir, func(rel string, info fs.FileInfo) error {
		if !info.Mode().IsRegular() || !modules.IsModule(rel) {
			return nil
		}
		if data, err := modules.Read(filepath.Join(dir, rel)); err == nil {
			release = modules.Release(data)
		}
		if release == "" {
			return nil
		}
		return fs.SkipAll
	})
	return release
}

// ErrNotCached reports that a kernel is no longer in the cache.
var ErrNotCached = errors.New("the kernel is no longer in the cache")

// Key returns the key of the kernel's cache entry, for Cached; "" if it has none.
func (k *Kernel) Key() string {
	if k.entry == nil {
		return ""
	}
	return filepath.Base(k.entry.Path)
}

// Cached returns the kernel of a key that Key returned, so that a process does not
// resolve what another one has resolved. Spec, Name, Has and Unmet are not in the
// cache; Name is the version.
func Cached(ctx context.Context, c *cache.Cache, key string) (*Kernel, error) {
	entry, err := c.Get(ctx, entryKind, filepath.Base(key), func(context.Context, string) error { return ErrNotCached })
	if err != nil {
		return nil, err
	}
	k, err := load(entry)
	if err == nil {
		k.Name = k.Version
	}
	return k, err
}

// load reads a Kernel from its cache entry.
func load(entry *cache.Entry) (*Kernel, error) {
	fail := func(err error) (*Kernel, error) {
		entry.Close()
		return nil, fmt.Errorf("read the unpacked kernel in the cache: %w; remove %s", err, entry.Path)
	}
	data, err := limitread.ReadFile(filepath.Join(entry.Path, fileRecord), maxList)
	if err != nil {
		return fail(err)
	}
	k := &Kernel{entry: entry}
	if err := json.Unmarshal(data, k); err != nil {
		return fail(err)
	}
	k.Image = filepath.Join(entry.Path, k.Image)
	if k.ModulesDir != "" {
		k.ModulesDir = filepath.Join(entry.Path, k.ModulesDir)
	}
	if data, err = limitread.ReadFile(filepath.Join(entry.Path, FileConfig), maxConfig); err != nil {
		return fail(err)
	}
	if k.Config, err = kconfig.ParseBytes(data); err != nil {
		return fail(err)
	}
	return k, nil
}
