// Package kallsyms converts a running kernel's /proc/kallsyms to an ELF file for a
// debugger, which contains only the symbols. Distributions strip the vmlinux that they
// ship, and provide its symbols in packages of many times its size; the running kernel
// has the names and addresses.
package kallsyms

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// Symbol is a symbol of the kernel or of a module.
type Symbol struct {
	Addr uint64
	Type byte // as nm(1) prints it: t is code, the rest data; a capital is global
	Name string
}

// Code reports whether the symbol is a function.
func (s Symbol) Code() bool { return strings.ContainsRune("tTwW", rune(s.Type)) }

// ErrHidden is returned if the kernel hides the addresses (kptr_restrict, or the reader
// was not root).
var ErrHidden = errors.New("/proc/kallsyms has no addresses")

// maxLine limits a line: KSYM_NAME_LEN is 512, and a module's name follows.
const maxLine = 4096

// Parse parses /proc/kallsyms: lines like "ffffffff81000000 T _text", followed by a tab
// and the module, if any. It returns the symbols in the order of their addresses.
func Parse(r io.Reader) ([]Symbol, error) {
	var out []Symbol
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	hidden := true
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 3 || len(f[1]) != 1 {
			return nil, fmt.Errorf("read /proc/kallsyms: %.80q is not a symbol", lines.Text())
		}
		addr, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("read /proc/kallsyms: %.80q: %w", lines.Text(), err)
		}
		hidden = hidden && addr == 0
		// Values outside the upper half are not kernel addresses, but offsets into
		// per-CPU memory, or sizes.
		if addr >= 1<<63 {
			out = append(out, Symbol{addr, f[1][0], f[2]})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read /proc/kallsyms: %w", err)
	}
	if hidden {
		return nil, ErrHidden
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Addr < out[j].Addr })
	return out, nil
}

// Indices of the sections that WriteELF writes.
const (
	text = iota + 1
	symtab
	strtab
	shstrtab
	sections
)

// WriteELF writes the symbols as an ELF file for a debugger (elf(5)): one section without
// content that spans all of them, and the symbol table. machine is the kernel's machine,
// from which gdb derives the architecture.
func WriteELF(w io.Writer, machine elf.Machine, symbols []Symbol) error {
	if len(symbols) == 0 {
		return errors.New("write the kernel's symbols: there are none")
	}
	names := bytes.NewBuffer([]byte{0})
	table := make([]elf.Sym64, 1, len(symbols)+1) // the first is the null symbol
	for i, s := range symbols {
		kind := elf.STT_OBJECT
		size := uint64(0)
		if s.Code() {
			kind = elf.STT_FUNC
			// Up to the next one; the end of the last one is unknown.
			if i+1 < len(symbols) {
				size = symbols[i+1].Addr - s.Addr
			}
		}
		table = append(
			table,
			elf.Sym64{Name: uint32(names.Len()), Info: elf.ST_INFO(elf.STB_LOCAL, kind), Shndx: text, Value: s.Addr, Size: size},
		)
		names.WriteString(s.Name)
		names.WriteByte(0)
	}
	headings := []byte("\x00.text\x00.symtab\x00.strtab\x00.shstrtab\x00")
	heading := func(name string) uint32 { return uint32(bytes.Index(headings, []byte(name+"\x00"))) }

	const header, sectionHeader, symbol = 64, 64, 24 // bytes of elf.Header64, elf.Section64, elf.Sym64
	at := uint64(header)
	place := func(bytes int) (off, size uint64) {
		off, size = at, uint64(bytes)
		at += (size + 7) &^ 7
		return off, size
	}
	first, last := symbols[0].Addr, symbols[len(symbols)-1].Addr
	heads := [sections]elf.Section64{
		text: {
			Name:      heading(".text"),
			Type:      uint32(elf.SHT_NOBITS),
			Flags:     uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR),
			Addr:      first,
			Off:       header,
			Size:      last - first + 1,
			Addralign: 1,
		},
		symtab: {
			Name:      heading(".symtab"),
			Type:      uint32(elf.SHT_SYMTAB),
			Link:      strtab,
			Info:      uint32(len(table)),
			Addralign: 8,
			Entsize:   symbol,
		},
		strtab:   {Name: heading(".strtab"), Type: uint32(elf.SHT_STRTAB), Addralign: 1},
		shstrtab: {Name: heading(".shstrtab"), Type: uint32(elf.SHT_STRTAB), Addralign: 1},
	}
	heads[symtab].Off, heads[symtab].Size = place(len(table) * symbol)
	heads[strtab].Off, heads[strtab].Size = place(names.Len())
	heads[shstrtab].Off, heads[shstrtab].Size = place(len(headings))
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Shoff: at, Ehsize: header, Shentsize: sectionHeader, Shnum: sections, Shstrndx: shstrtab,
	}
	b := bufio.NewWriter(w)
	var err error
	put := func(v any, bytes uint64) {
		if err == nil {
			err = binary.Write(b, binary.LittleEndian, v)
		}
		for pad := (8 - bytes%8) % 8; pad > 0 && err == nil; pad-- {
			err = b.WriteByte(0)
		}
	}
	put(h, header)
	put(table, heads[symtab].Size)
	put(names.Bytes(), heads[strtab].Size)
	put(headings, heads[shstrtab].Size)
	put(heads, sections*sectionHeader)
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the kernel's symbols: %w", err)
	}
	return nil
}
