package kernels

import "github.com/faultline/faultline/internal/arch"

// PageShift returns the binary logarithm of the kernel's page size (PAGE_SHIFT):
// si_addr_lsb for poison in a small page.
func (k *Kernel) PageShift() int {
	a, err := arch.Named(k.Arch)
	if err != nil {
		a = arch.AMD64 // a kernel made by a test, without an architecture
	}
	return a.PageShiftOf(k.Lacks)
}

// HugePageShift returns the same for a huge page (PMD_SHIFT). A page table is a page
// of 8-byte entries, each of which maps a page.
func (k *Kernel) HugePageShift() int { return 2*k.PageShift() - 3 }
