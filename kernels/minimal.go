package kernels

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels/kconfig"
)

//go:embed minimal.config
var minimalConfig string

// MinimalConfig returns kernels/minimal.config: the symbols that a kernel needs, on
// top of tinyconfig, for the guest and for every scenario. The result does not have the
// file's comments, which do not affect the kernel.
func MinimalConfig() string {
	var b strings.Builder
	for line := range strings.Lines(minimalConfig) {
		if strings.HasPrefix(line, "CONFIG_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// loadable are those of its symbols that are modules in Debian's kernels, with the module:
// the guest loads them in time.
var loadable = []struct{ symbol, module string }{
	{"PVPANIC_MMIO", "pvpanic-mmio"},
	{"PVPANIC_PCI", "pvpanic-pci"},
	{"VIRTIO_PCI", "virtio_pci"},
	{"VIRTIO_NET", "virtio_net"},
	{"VIRTIO_CONSOLE", "virtio_console"},
	{"HW_RANDOM_VIRTIO", "virtio-rng"},
	{"LIBNVDIMM", "libnvdimm"},
	{"ACPI_NFIT", "nfit"},
	{"BLK_DEV_PMEM", "nd_pmem"},
	{"X86_PMEM_LEGACY", "nd_e820"},
	{"VIRTIO_PMEM", "virtio_pmem"},
	{"BLK_DEV_DM", "dm-mod"},
	{"DM_WRITECACHE", "dm-writecache"},
	{"DEV_DAX", "device_dax"},
	{"DEV_DAX_PMEM", "dax_pmem"},
	{"DEV_DAX_KMEM", "kmem"},
	{"EXT4_FS", "ext4"},
	{"XFS_FS", "xfs"},
	{"HWPOISON_INJECT", "hwpoison-inject"},
	{"X86_MCE_INJECT", "mce-inject"},
}

// module returns the module of a symbol in loadable, or "".
func module(symbol string) string {
	for _, l := range loadable {
		if l.symbol == strings.TrimPrefix(symbol, "CONFIG_") {
			return l.module
		}
	}
	return ""
}

// MinimalConfigFor is like MinimalConfig, for another base than tinyconfig. A symbol in
// loadable that is a module in base stays a module.
func MinimalConfigFor(base *kconfig.Config) string {
	var b strings.Builder
	for line := range strings.Lines(MinimalConfig()) {
		symbol, _, _ := strings.Cut(line, "=")
		if base.Get(symbol) == "m" && module(symbol) != "" {
			line = symbol + "=m\n"
		}
		b.WriteString(line)
	}
	for _, f := range Foreign(base) {
		b.WriteString(f.Line + "\n")
	}
	if NotByPVH(base) { // a bzImage, whose compression depends on the machine
		b.WriteString("CONFIG_KERNEL_GZIP=y\n")
	}
	return b.String()
}

// NotByPVH reports whether a kernel does not boot through its PVH entry: with KASAN, code
// called from there reads shadow memory (kasan_check_range, of memcpy) before it is
// mapped, if the compiler is older than gcc 13 (CC_HAS_KASAN_MEMINTRINSIC_PREFIX). The
// bzImage's entry maps it first.
func NotByPVH(c *kconfig.Config) bool { return c.Enabled("KASAN") }

// Unmet returns the symbols of MinimalConfig that a configuration made from it does not
// have. A module is sufficient if the guest can load it.
func Unmet(got *kconfig.Config) []kconfig.Unmet {
	asked, err := kconfig.ParseBytes([]byte(minimalConfig))
	if err != nil {
		panic(err) // impossible: a test parses the file
	}
	return slices.DeleteFunc(
		kconfig.Compare(asked, got),
		func(u kconfig.Unmet) bool { return u.Got == "m" && module(u.Symbol) != "" },
	)
}
