// Package arch describes the guest architectures: page sizes, QEMU machine and CPU,
// kernel image format, supported ways to inject memory errors. It holds constants
// only; their users decide what follows from them.
package arch

import (
	"debug/elf"
	"fmt"
	"strings"
)

// Arch is a guest architecture.
type Arch struct {
	Name    string // GOARCH: "amd64"
	Debian  string // Debian's name of the architecture
	Machine elf.Machine

	// PageShift is log2 of the page size of a kernel in the usual configuration, which
	// is si_addr_lsb for a poisoned base page. The huge page size follows from it.
	PageShift int
	// PageSymbols maps Kconfig symbols that select another page size to its log2.
	PageSymbols map[string]int

	QEMU QEMU
	// Console is the terminal of the first serial port.
	Console string
	// Image is the kernel image format that distributions ship.
	Image Image
	// Injects lists the ways to inject memory errors; empty if none was tested yet.
	Injects []Injection
	// NoGuests is the reason why guests are not supported yet; empty if they are.
	NoGuests string
}

// QEMU is the QEMU binary and configuration that run a guest.
type QEMU struct {
	Binary  string // in PATH
	Package string // Debian's
	// Machine is the value of -machine. It is versioned, because an unversioned
	// machine type changes between QEMU releases.
	Machine string
	CPU     string // -cpu for TCG
	HostCPU string // -cpu for KVM
}

// Image is a kernel image format.
type Image string

const (
	BzImage  Image = "bzImage" // Documentation/arch/x86/boot.rst; contains a vmlinux
	RawImage Image = "Image"   // Documentation/arch/arm64/booting.rst
)

// Injection is a way to inject a memory error.
type Injection string

const (
	BadBlocks    Injection = "badblocks"    // a disk's badblocks file
	HWPoison     Injection = "hwpoison"     // MADV_HWPOISON, hwpoison_inject
	MachineCheck Injection = "machinecheck" // QEMU's monitor command mce
	MCEInject    Injection = "mce-inject"   // arch/x86/kernel/cpu/mce/inject.c
	E820         Injection = "e820"         // memmap=SIZE!ADDR
)

// PageShiftAMD64 is AMD64.PageShift as a constant: all x86-64 kernels have 4 KiB pages.
const PageShiftAMD64 = 12

// AMD64 is x86-64.
var AMD64 = Arch{
	Name: "amd64", Debian: "amd64", Machine: elf.EM_X86_64,
	PageShift: PageShiftAMD64,
	QEMU: QEMU{
		// 7.2 is the oldest QEMU release whose TCG supports AVX2, which IceLake has.
		Binary: "qemu-system-x86_64", Package: "qemu-system-x86", Machine: "pc-q35-7.2",
		// Recoverable machine checks need an Intel CPU: with AMD's vendor id and
		// without SUCCOR the kernel panics (arch/x86/kernel/cpu/mce/severity.c).
		CPU: IceLake.String(),
		// KVM rejects model-specific registers of a vendor other than the host's.
		HostCPU: "host",
	},
	Console: "ttyS0", Image: BzImage,
	Injects: []Injection{BadBlocks, HWPoison, MachineCheck, MCEInject, E820},
}

// ARM64 is AArch64. Its values were tested by hand only.
var ARM64 = Arch{
	Name: "arm64", Debian: "arm64", Machine: elf.EM_AARCH64,
	PageShift:   12,
	PageSymbols: map[string]int{"ARM64_16K_PAGES": 14, "ARM64_64K_PAGES": 16},
	QEMU: QEMU{
		Binary: "qemu-system-aarch64", Package: "qemu-system-arm", Machine: "virt,gic-version=3",
		CPU:     "max,pauth=off", // pointer authentication triples the boot time
		HostCPU: "host",
	},
	Console: "ttyAMA0", Image: RawImage,
	NoGuests: "the victim has no signal handler for it, and no device tree describes persistent memory",
}

// All returns the known architectures.
func All() []Arch { return []Arch{AMD64, ARM64} }

// Named returns the architecture with that GOARCH name.
func Named(name string) (Arch, error) {
	var names []string
	for _, a := range All() {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Arch{}, fmt.Errorf("unknown guest architecture %q; known architectures: %s", name, strings.Join(names, ", "))
}

// PageShiftOf returns log2 of the page size of a kernel. missing returns those of the
// given Kconfig symbols that the kernel does not set.
func (a Arch) PageShiftOf(missing func(symbols ...string) []string) int {
	for symbol, shift := range a.PageSymbols {
		if len(missing(symbol)) == 0 {
			return shift
		}
	}
	return a.PageShift
}
