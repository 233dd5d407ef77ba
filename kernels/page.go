package kernels

import "github.com/faultline/faultline/internal/arch"

// PageShift is the binary logarithm of the size of the kernel's pages
// (PAGE_SHIFT): what si_addr_lsb says of poison in one.
func (k *Kernel) PageShift() int {
	a, err := arch.Named(k.Arch)
	if err != nil {
		a = arch.AMD64 // a kernel of a test, which has no architecture
	}
	return a.PageShiftOf(k.Lacks)
}

// HugePageShift is the same for a huge page (PMD_SHIFT). A page table is a page
// of entries of 8 bytes, each of which maps a page.
func (k *Kernel) HugePageShift() int { return 2*k.PageShift() - 3 }
