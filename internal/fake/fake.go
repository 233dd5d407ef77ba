// Package fake creates small files for tests that look like those of a kernel: vmlinux,
// bzImage, modules, a source tree. They contain no code that runs.
package fake

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// Vmlinux returns an ELF vmlinux with a banner and, if pvh is set, with the PVH note.
func Vmlinux(release, version string, pvh bool) []byte {
	banner := fmt.Sprintf(
		"Linux version %%s (%%s)\n\x00Linux version %s (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP PREEMPT_DYNAMIC Debian %s (2026-11-01)\n\x00",
		release,
		version,
	)
	var note bytes.Buffer
	words := func(w ...uint32) { _ = binary.Write(&note, binary.LittleEndian, w) }
	words(4, 8, 3)
	note.WriteString("GNU\x00\x01\x02\x03\x04\x05\x06\x07\x08")
	if pvh {
		words(4, 4, 18)
		note.WriteString("Xen\x00\xd0\x0c\x00\x01")
	}
	const ehdr, phdr = 64, 56
	noteOff := uint64(ehdr + 2*phdr)
	textOff := noteOff + uint64(note.Len())
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	put(header(elf.ET_EXEC, ehdr, 2, 0, 0))
	put(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: 5, Off: textOff, Vaddr: 0xffffffff81000000, Paddr: 0x1000000,
		Filesz: uint64(len(banner)), Memsz: uint64(len(banner)), Align: 1})
	put(
		elf.Prog64{
			Type:   uint32(elf.PT_NOTE),
			Flags:  4,
			Off:    noteOff,
			Filesz: uint64(note.Len()),
			Memsz:  uint64(note.Len()),
			Align:  4,
		},
	)
	b.Write(note.Bytes())
	b.WriteString(banner)
	return b.Bytes()
}

func header(kind elf.Type, phoff uint64, phnum uint16, shoff uint64, shnum uint16) elf.Header64 {
	h := elf.Header64{
		Type:      uint16(kind),
		Machine:   uint16(elf.EM_X86_64),
		Version:   1,
		Ehsize:    64,
		Phoff:     phoff,
		Phentsize: 56,
		Phnum:     phnum,
		Shoff:     shoff,
		Shentsize: 64,
		Shnum:     shnum,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	if shnum > 0 {
		h.Shstrndx = shnum - 1
	}
	return h
}

// BzImage returns a bzImage with a payload, which is as the kernel build writes it:
// compressed, and for all formats but gzip followed by its size (see WithSize).
func BzImage(release string, payload []byte) []byte {
	const sects, offset = 3, 0x40
	b := make([]byte, (sects+1)*512+offset)
	le := binary.LittleEndian
	b[0x1f1] = sects
	le.PutUint16(b[0x1fe:], 0xaa55)
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x20f)
	le.PutUint16(b[0x20e:], 0x300-0x200)
	copy(b[0x300:], release+" (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC\x00")
	le.PutUint32(b[0x248:], offset)
	le.PutUint32(b[0x24c:], uint32(len(payload)))
	return append(b, payload...)
}

// WithSize appends the uncompressed size to a payload.
func WithSize(payload []byte, inside int) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(payload), uint32(inside))
}

// Module returns a relocatable ELF file with the .modinfo that depmod reads, including
// info ("softdep=pre: x", "alias=x").
func Module(name, release string, info ...string) []byte {
	modinfo := "license=GPL\x00name=" + name + "\x00vermagic=" + release + " SMP preempt mod_unload modversions \x00"
	for _, i := range info {
		modinfo += i + "\x00"
	}
	names := "\x00.modinfo\x00.shstrtab\x00"
	shoff := uint64(64 + len(modinfo) + len(names))
	pad := (8 - shoff%8) % 8
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	put(header(elf.ET_REL, 0, 0, shoff+pad, 3))
	b.WriteString(modinfo + names)
	b.Write(make([]byte, pad))
	put(elf.Section64{})
	put(
		elf.Section64{
			Name:      1,
			Type:      uint32(elf.SHT_PROGBITS),
			Flags:     uint64(elf.SHF_ALLOC),
			Off:       64,
			Size:      uint64(len(modinfo)),
			Addralign: 1,
		},
	)
	put(
		elf.Section64{
			Name:      10,
			Type:      uint32(elf.SHT_STRTAB),
			Off:       64 + uint64(len(modinfo)),
			Size:      uint64(len(names)),
			Addralign: 1,
		},
	)
	return b.Bytes()
}
