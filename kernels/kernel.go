package kernels

import (
	"path/filepath"
	"sync"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/modules"
)

// Kernel is something bootable, with its modules and its configuration. Resolve
// makes it. Its files lie in the cache and must not be changed.
type Kernel struct {
	// Spec is what was asked for ("apt:bookworm").
	Spec string `json:"spec"`
	// Name is a label for a table's column: the matrix entry's name, else the
	// version and the spec ("6.1.192 (apt:bookworm)").
	Name string `json:"name"`
	// Release is what uname -r prints, and the name of the modules folder.
	Release string `json:"release"`
	// Version is the upstream version with its patch level ("6.1.192"), as the
	// package or the kernel's banner says; else the release's leading numbers.
	Version string `json:"version"`
	// Packages are those it was unpacked from; none for a dir: spec.
	Packages []Package `json:"packages,omitempty"`
	// Arch is the architecture in Go's words (GOARCH).
	Arch string `json:"arch"`
	// Digest is the SHA-256, in hex, over the image as it came, the
	// configuration and the module files; not over what depmod makes of them.
	Digest string `json:"digest"`
	// Image is the file for QEMU's -kernel: the ELF vmlinux where PVH is true,
	// else the bzImage.
	Image string `json:"image"`
	// PVH says that Image boots through the PVH entry.
	PVH bool `json:"pvh"`
	// ModulesDir is .../lib/modules/REL, with modules.dep; "" for a kernel
	// without modules.
	ModulesDir string `json:"modules_dir,omitempty"`
	// Has says which changes the matrix declares present (true) or absent
	// (false); nil where it declares nothing.
	Has map[string]bool `json:"has,omitempty"`
	// Unmet is what was asked of its Kconfig and came out otherwise; of a kernel that
	// was built for its spec only.
	Unmet []kconfig.Unmet `json:"-"`
	// Config is the kernel's configuration.
	Config *kconfig.Config `json:"-"`

	entry *cache.Entry
	index struct { // of ModulesDir, read when it is first asked for
		once sync.Once
		x    *modules.Index
		err  error
	}
}

// Package is a Debian package that a kernel was unpacked from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Suite is where apt found it ("bookworm-security"); "" for a file.
	Suite string `json:"suite,omitempty"`
}

// Close lets the kernel's files be pruned from the cache. Until then, and as
// long as the process lives, they stay.
func (k *Kernel) Close() error { return k.entry.Close() }

// Check says whether the content of the kernel's files is what it was when it was
// unpacked. Where it is not, the kernel is unpacked anew the next time.
func (k *Kernel) Check() error {
	if k.entry == nil {
		return nil
	}
	return k.entry.Check()
}

// Fresh says that the kernel was unpacked just now, and not found in the cache.
func (k *Kernel) Fresh() bool { return k.entry.Built }

// Lacks returns those of the configuration symbols that the kernel has neither
// built in nor as a module, in their order; nil when it has them all. A symbol
// may be written with or without CONFIG_.
func (k *Kernel) Lacks(symbols ...string) []string { return k.Config.Missing(symbols...) }

// Modules returns the files to load, in that order, for the named modules to
// work (see modules.Index.Modules and its *modules.UnknownError).
func (k *Kernel) Modules(names ...string) ([]modules.File, error) {
	if k.ModulesDir == "" {
		// Without modules all that is there is built in, and no file says what.
		return nil, nil
	}
	k.index.once.Do(func() { k.index.x, k.index.err = modules.Open(k.ModulesDir) })
	if k.index.err != nil {
		return nil, k.index.err
	}
	return k.index.x.Modules(names...)
}

// BzImage is the image as it came, for who wants the decompressor's path too;
// "" when the kernel came as a vmlinux.
func (k *Kernel) BzImage() string {
	if !k.PVH {
		return k.Image
	}
	if k.entry == nil || !exists(filepath.Join(k.entry.Path, FileVmlinuz)) {
		return ""
	}
	return filepath.Join(k.entry.Path, FileVmlinuz)
}
