// Package arch is the one table of what differs between architectures of guests:
// sizes of pages, QEMU's machine, formats of kernel images, ways to poison. It
// holds facts; what they are good for is decided where they are used.
package arch

import (
	"debug/elf"
	"fmt"
	"strings"
)

// Arch is an architecture of guests.
type Arch struct {
	Name    string // as GOARCH has it: "amd64"
	Debian  string // as Debian's packages have it
	Machine elf.Machine

	// PageShift is the binary logarithm of the size of a page in a kernel as it is
	// usually configured: si_addr_lsb of poison in one. That of a huge page follows
	// from it.
	PageShift int
	// PageSymbols are the configuration symbols of kernels with another size of
	// page, and its binary logarithm.
	PageSymbols map[string]int

	QEMU QEMU
	// Console is the name of the first serial port's terminal.
	Console string
	// Image is the format of a distribution's kernel image.
	Image Image
	// Injects are the ways in which memory can be made bad: empty where none was
	// shown to work yet.
	Injects []Injection
	// NoGuests says why no guest of the architecture runs yet; empty where they do.
	NoGuests string
}

// QEMU is what emulates a guest.
type QEMU struct {
	Binary  string // in PATH
	Package string // Debian's
	// Machine is -machine. It has a version, because what a guest sees of a machine
	// without one changes with QEMU's release.
	Machine string
	CPU     string // -cpu under TCG
	HostCPU string // -cpu with KVM
}

// Image is a format of kernel images.
type Image string

const (
	BzImage  Image = "bzImage" // Documentation/arch/x86/boot.rst; a vmlinux is inside
	RawImage Image = "Image"   // Documentation/arch/arm64/booting.rst
)

// Injection is a way to make memory bad.
type Injection string

const (
	BadBlocks    Injection = "badblocks"    // a disk's badblocks file
	HWPoison     Injection = "hwpoison"     // MADV_HWPOISON, hwpoison_inject
	MachineCheck Injection = "machinecheck" // QEMU's monitor command mce
	MCEInject    Injection = "mce-inject"   // arch/x86/kernel/cpu/mce/inject.c
	E820         Injection = "e820"         // memmap=SIZE!ADDR
)

// PageShiftAMD64 is AMD64.PageShift, for what is constant because no kernel of
// AMD64 has another.
const PageShiftAMD64 = 12

// AMD64 is x86-64.
var AMD64 = Arch{
	Name: "amd64", Debian: "amd64", Machine: elf.EM_X86_64,
	PageShift: PageShiftAMD64,
	QEMU: QEMU{
		// 7.2 is the oldest release of QEMU whose TCG has AVX2, which the processor has.
		Binary: "qemu-system-x86_64", Package: "qemu-system-x86", Machine: "pc-q35-7.2",
		// Machine checks that are survivable need an Intel processor: with AMD's vendor
		// id and no SUCCOR the kernel panics (arch/x86/kernel/cpu/mce/severity.c).
		CPU: IceLake.String(),
		// KVM refuses another vendor's model-specific registers than the host's.
		HostCPU: "host",
	},
	Console: "ttyS0", Image: BzImage,
	Injects: []Injection{BadBlocks, HWPoison, MachineCheck, MCEInject, E820},
}

// ARM64 is AArch64. What the row says was tried by hand.
var ARM64 = Arch{
	Name: "arm64", Debian: "arm64", Machine: elf.EM_AARCH64,
	PageShift:   12,
	PageSymbols: map[string]int{"ARM64_16K_PAGES": 14, "ARM64_64K_PAGES": 16},
	QEMU: QEMU{
		Binary: "qemu-system-aarch64", Package: "qemu-system-arm", Machine: "virt,gic-version=3",
		CPU:     "max,pauth=off", // pointer authentication makes a boot three times as long
		HostCPU: "host",
	},
	Console: "ttyAMA0", Image: RawImage,
	NoGuests: "there is no victim's signal handler and no device tree with persistent memory for it",
}

// All are the architectures that the table has.
func All() []Arch { return []Arch{AMD64, ARM64} }

// Named is the architecture that GOARCH calls so.
func Named(name string) (Arch, error) {
	var names []string
	for _, a := range All() {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Arch{}, fmt.Errorf("no guests of architecture %q: known are %s", name, strings.Join(names, ", "))
}

// PageShiftOf is the binary logarithm of the size of a page in a kernel of which
// it is known what configuration symbols it lacks.
func (a Arch) PageShiftOf(lacks func(symbols ...string) []string) int {
	for symbol, shift := range a.PageSymbols {
		if len(lacks(symbol)) == 0 {
			return shift
		}
	}
	return a.PageShift
}

// PageBytes is the size of a page in a kernel as it is usually configured.
func (a Arch) PageBytes() int64 { return 1 << a.PageShift }
