package kernels

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels/kconfig"
)

//go:embed minimal.config
var minimalConfig string

// MinimalConfig is kernels/minimal.config: what a kernel's build needs to set,
// on top of tinyconfig, for the guest and for every scenario. It is without the file's
// comments, which make no other kernel.
func MinimalConfig() string {
	var b strings.Builder
	for line := range strings.Lines(minimalConfig) {
		if strings.HasPrefix(line, "CONFIG_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// loadable are those of its symbols that Debian's kernels have as modules: the guest
// loads them in time.
var loadable = []string{
	"PVPANIC_MMIO", "PVPANIC_PCI", "VIRTIO_PCI", "VIRTIO_NET", "VIRTIO_CONSOLE", "HW_RANDOM_VIRTIO",
	"LIBNVDIMM", "ACPI_NFIT", "BLK_DEV_PMEM", "X86_PMEM_LEGACY", "VIRTIO_PMEM", "BLK_DEV_DM", "DM_WRITECACHE", "DEV_DAX", "DEV_DAX_PMEM", "EXT4_FS", "XFS_FS",
	"HWPOISON_INJECT", "X86_MCE_INJECT",
}

// MinimalConfigFor is MinimalConfig on top of another configuration than
// tinyconfig. What may be a module and is one there stays one.
func MinimalConfigFor(base *kconfig.Config) string {
	var b strings.Builder
	for line := range strings.Lines(MinimalConfig()) {
		symbol, _, _ := strings.Cut(line, "=")
		if base.Get(symbol) == "m" && slices.Contains(loadable, strings.TrimPrefix(symbol, "CONFIG_")) {
			line = symbol + "=m\n"
		}
		b.WriteString(line)
	}
	for _, f := range Foreign(base) {
		b.WriteString(f.Line + "\n")
	}
	if NotByPVH(base) { // a bzImage, packed by what each machine has
		b.WriteString("CONFIG_KERNEL_GZIP=y\n")
	}
	return b.String()
}

// NotByPVH reports whether a kernel does not start by its PVH entry: with KASAN, what that
// calls reads shadow memory (kasan_check_range, of memcpy) before any is mapped, where the
// compiler is older than gcc 13 (CC_HAS_KASAN_MEMINTRINSIC_PREFIX). The bzImage's entry
// maps it first.
func NotByPVH(c *kconfig.Config) bool { return c.Enabled("KASAN") }

// Unmet says what a configuration that was made of MinimalConfig lacks of it. As a
// module is as good as built in, where the guest can load it.
func Unmet(got *kconfig.Config) []kconfig.Unmet {
	asked, err := kconfig.ParseBytes([]byte(minimalConfig))
	if err != nil {
		panic(err) // a test reads the file
	}
	return slices.DeleteFunc(kconfig.Compare(asked, got), func(u kconfig.Unmet) bool { return u.Got == "m" && slices.Contains(loadable, u.Symbol) })
}
