package kernels

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/modules"
)

// Kernel is a bootable kernel with its modules and its configuration.
// Package source makes it. Its files are in the cache and must not be changed.
type Kernel struct {
	// Spec is the spec that it was resolved from ("apt:bookworm").
	Spec string `json:"spec"`
	// Name is a label for a table's column: the matrix entry's name, or the
	// version and the spec ("6.1.192 (apt:bookworm)").
	Name string `json:"name"`
	// Release is what uname -r prints, and the name of the modules directory.
	Release string `json:"release"`
	// Version is the upstream version with its patch level ("6.1.192"), from the
	// package or the kernel's banner, or else the leading numbers of the release.
	Version string `json:"version"`
	// Packages are the packages it was unpacked from; empty for
	// a source without packages.
	Packages []Package `json:"packages,omitempty"`
	// Arch is the architecture as a GOARCH value.
	Arch string `json:"arch"`
	// Digest is the SHA-256, in hex, of the original image, the configuration and the
	// module files, but not of depmod's output.
	Digest string `json:"digest"`
	// Image is the file for QEMU's -kernel: the ELF vmlinux if PVH is true, else the
	// bzImage.
	Image string `json:"image"`
	// PVH reports whether Image boots through the PVH entry.
	PVH bool `json:"pvh"`
	// ModulesDir is .../lib/modules/RELEASE, with modules.dep; "" for a kernel
	// without modules.
	ModulesDir string `json:"modules_dir,omitempty"`
	// Has maps changes to whether the matrix declares them present (true) or absent
	// (false); nil if it declares nothing.
	Has map[string]bool `json:"has,omitempty"`
	// Unmet lists the requested Kconfig symbols that have other values; only for a kernel
	// that was built for its spec.
	Unmet []kconfig.Unmet `json:"-"`
	// Config is the kernel's configuration.
	Config *kconfig.Config `json:"-"`

	entry *cache.Entry
	index struct { // of ModulesDir, read on first use
		once sync.Once
		x    *modules.Index
		err  error
	}
}

// Package is a package (Debian or rpm) that a kernel was unpacked from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Suite is the suite where apt found it ("bookworm-security"); "" for a file.
	Suite string `json:"suite,omitempty"`
}

// Close allows the kernel's files to be pruned from the cache. Until then, and while
// the process lives, they are protected.
func (k *Kernel) Close() error { return k.entry.Close() }

// Check checks that the content of the kernel's files has not changed since it was
// unpacked. If it has, the kernel is unpacked again next time.
func (k *Kernel) Check() error {
	if k.entry == nil {
		return nil
	}
	return k.entry.Check()
}

// Fresh reports whether the kernel was unpacked just now, not found in the cache.
func (k *Kernel) Fresh() bool { return k.entry.Built }

// Lacks returns those of the symbols that are neither built in nor a module, in the given
// order; nil if there are none. The prefix CONFIG_ is optional.
func (k *Kernel) Lacks(symbols ...string) []string { return k.Config.Missing(symbols...) }

// NoModule returns the first of the symbols that the kernel is built with as a module of
// which it has no file, and the module's name: packages of distributions leave some to other
// packages. It returns "" if there is none, or it is not known whether there is one.
func (k *Kernel) NoModule(symbols ...string) (symbol, name string) {
	for _, s := range symbols {
		name := module(s)
		if name == "" || k.Config.Get(s) != "m" || k.ModulesDir == "" {
			continue
		}
		_, err := k.Modules(name)
		if errors.As(err, new(*modules.UnknownError)) {
			return strings.TrimPrefix(s, "CONFIG_"), name
		}
	}
	return "", ""
}

// Modules returns the files to load for the named modules, in load order (see
// modules.Index.Modules and its *modules.UnknownError).
func (k *Kernel) Modules(names ...string) ([]modules.File, error) {
	if k.ModulesDir == "" {
		// Without modules everything is built in, and no file lists it.
		return nil, nil
	}
	k.index.once.Do(func() { k.index.x, k.index.err = modules.Open(k.ModulesDir) })
	if k.index.err != nil {
		return nil, k.index.err
	}
	return k.index.x.Modules(names...)
}

// BzImage returns the original image, for callers that also need the decompressor; "" if
// the kernel came as a vmlinux.
func (k *Kernel) BzImage() string {
	if !k.PVH {
		return k.Image
	}
	if k.entry == nil || !exists(filepath.Join(k.entry.Path, FileVmlinuz)) {
		return ""
	}
	return filepath.Join(k.entry.Path, FileVmlinuz)
}
