// Package kcore parses the headers and notes of /proc/kcore, for the address of a
// kernel's direct map and for vmcoreinfo. It parses bytes; the caller reads them from the
// guest.
package kcore

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bases of the direct map without KASLR (Documentation/arch/x86/x86_64/mm.rst);
// with it, the map lies anywhere from there on.
const (
	Base4 = 0xffff888000000000
	Base5 = 0xff11000000000000
)

// DirectMap returns the address at which the kernel maps physical memory
// (page_offset_base, which depends on the levels of page tables and on KASLR): the
// difference between the virtual and physical address of a memory segment. elf is the
// first page of /proc/kcore (kclist_add_private in arch/x86, fs/proc/kcore.c).
func DirectMap(elf []byte) (uint64, error) {
	const header, entry, load = 64, 56, 1 // sizes of Elf64_Ehdr, Elf64_Phdr; PT_LOAD
	if len(elf) < header || string(elf[:5]) != "\x7fELF\x02" {
		return 0, errors.New("it is not a 64-bit ELF file")
	}
	le := binary.LittleEndian
	start, n := le.Uint64(elf[32:]), int(le.Uint16(elf[56:]))
	rest := elf[min(start, uint64(len(elf))):] // a guest may send anything
	for range n {
		if len(rest) < entry {
			break
		}
		p := rest[:entry]
		rest = rest[entry:]
		virt, phys := le.Uint64(p[16:]), le.Uint64(p[24:])
		// The kernel's text and modules are at higher addresses; segments without a
		// single physical address have -1.
		if le.Uint32(p) != load || phys == ^uint64(0) || virt < Base5 || virt >= 0xffffffff80000000 {
			continue
		}
		base := virt - phys
		if base%(1<<30) == 0 && (base >= Base4 || base < Base5+1<<55) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("none of its %d segments is in the direct map", n)
}
