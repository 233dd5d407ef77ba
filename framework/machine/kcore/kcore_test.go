package kcore

import (
	"encoding/binary"
	"strings"
	"testing"
)

// file returns the beginning of a /proc/kcore: a segment of the kernel's text, one
// without a physical address, and one of memory.
func file(base uint64) []byte {
	elf := make([]byte, 64+3*56)
	copy(elf, "\x7fELF\x02")
	le := binary.LittleEndian
	le.PutUint64(elf[32:], 64)
	le.PutUint16(elf[56:], 3)
	for i, s := range []struct{ virt, phys uint64 }{{0xffffffff81000000, 0x1000000}, {0xffffc90000000000, ^uint64(0)}, {base + 0x1000, 0x1000}} {
		p := elf[64+i*56:]
		le.PutUint32(p, 1)
		le.PutUint64(p[16:], s.virt)
		le.PutUint64(p[24:], s.phys)
	}
	return elf
}

func TestDirectMap(t *testing.T) {
	for name, base := range map[string]uint64{"4 levels": Base4, "5 levels": Base5, "KASLR": Base4 + 37<<30} {
		got, err := DirectMap(file(base))
		if err != nil || got != base {
			t.Errorf("%s: got %#x, error %v; want %#x", name, got, err, base)
		}
	}
	beyond := file(Base4)
	binary.LittleEndian.PutUint64(beyond[32:], ^uint64(13)) // so far that its sum with a header's size is small
	for name, elf := range map[string][]byte{"headers beyond the file": beyond, "nothing": nil, "no ELF": []byte(strings.Repeat("x", 200)), "cut": file(Base4)[:64+20], "no memory": file(Base4)[:64+2*56]} {
		if base, err := DirectMap(elf); err == nil {
			t.Errorf("%s: got %#x, want an error", name, base)
		}
	}
}

func FuzzDirectMap(f *testing.F) {
	f.Add(file(Base4))
	f.Add(file(Base5))
	f.Fuzz(func(t *testing.T, elf []byte) { DirectMap(elf) })
}
