// Package rewind computes the registers of an x86-64 CPU before a memory access from
// those after it.
//
// A watchpoint of QEMU's gdb stub stops a guest after the access: a plain instruction has
// completed, and so have some iterations of a repeated one (rep movsb): one before QEMU
// 10, all of them since. A CPU that consumes poison raises the machine check at the
// instruction, with the registers from before it, or from before the iteration that read
// the poison (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3B,
// "Machine-Check Architecture", section 15.9.3.2, and volume 2, REP). A kernel recovers by that address
// (fixup_exception in arch/x86/mm/extable.c) and by the remaining length of a copy in
// RCX.
//
// The package does not access a guest: the caller provides bytes and registers. It
// returns an error for registers that it cannot compute, never a guess.
package rewind

import (
	"errors"
	"fmt"

	"golang.org/x/arch/x86/x86asm"

	"github.com/faultline/faultline/framework/machine/gdb"
)

// Behind and Ahead are the numbers of bytes of code that Before needs before RIP and from
// RIP on.
const (
	Behind = 96
	Ahead  = 16
)

// maxInstruction is the maximum length of an instruction in bytes.
const maxInstruction = 15

// directionFlag is DF in RFLAGS: string instructions proceed to lower addresses.
const directionFlag = 1 << 10

// ErrUnknown is returned if the registers before the access cannot be computed.
var ErrUnknown = errors.New("the state before the access can't be computed")

func unknown(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}

// Before returns the registers before a read of some or all of n bytes at addr, with RIP
// at the instruction that reads. code is Behind bytes before RIP and Ahead bytes from RIP
// on. A register that a plain instruction loads keeps the loaded value.
func Before(code []byte, after gdb.Registers, addr uint64, n int) (gdb.Registers, error) {
	if len(code) != Behind+Ahead {
		return after, unknown("%d bytes of code instead of %d", len(code), Behind+Ahead)
	}
	done, known := previous(code[:Behind])
	if inst, under := underWay(code, after, done); under && repeated(inst) {
		before, err := rounds(inst, after, addr)
		switch {
		case !known || !mayRead(done, after, addr, n):
			return before, err
		case err == nil:
			return after, unknown("either %v or %v read %#x", done, inst, addr)
		}
	}
	var before gdb.Registers
	var err error
	switch {
	case !known:
		return after, unknown("no instruction ends for certain at RIP %#x", after.RIP)
	case element[done.Op] == 0:
		before, err = plain(done, after, addr, n)
	case repeated(done) && after.RCX != 0:
		return after, unknown("%v ended early", done)
	default:
		before, err = rounds(done, after, addr)
	}
	if err == nil {
		before.RIP -= uint64(done.Len)
	}
	return before, err
}

// mayRead reports whether an instruction may have just read some or all of n bytes at
// addr, even if it cannot be rewound. After a repeated instruction RCX is 0, and none is
// in progress.
func mayRead(inst x86asm.Inst, after gdb.Registers, addr uint64, n int) bool {
	if size := element[inst.Op]; size != 0 {
		return !repeated(inst) && overlap(after.RSI-size, int(size), addr, n)
	}
	for i, arg := range inst.Args {
		if m, ok := arg.(x86asm.Mem); ok {
			stores := i == 0 && idempotent[inst.Op] && !compares[inst.Op]
			at, ok := effective(m, after)
			return !stores && ok && overlap(at, max(inst.MemBytes, 1), addr, n)
		}
	}
	return false
}

// Reads reports whether the instruction at RIP, which is the start of code, is about to
// read some or all of n bytes at addr.
func Reads(code []byte, now gdb.Registers, addr uint64, n int) bool {
	inst, err := x86asm.Decode(code, 64)
	if err != nil {
		return false
	}
	if size := element[inst.Op]; size != 0 {
		return overlap(now.RSI, int(size), addr, n)
	}
	now.RIP += uint64(inst.Len)
	m, err := operand(inst)
	at, ok := effective(m, now)
	return err == nil && ok && overlap(at, inst.MemBytes, addr, n)
}

// Wrote returns the start and end of the write that included the byte at addr: that of
// the instruction before RIP, or of the iterations of a repeated one, beginning with the
// one that wrote addr. code is as for Before.
func Wrote(code []byte, after gdb.Registers, addr uint64) (from, end uint64, err error) {
	if len(code) != Behind+Ahead {
		return 0, 0, unknown("%d bytes of code instead of %d", len(code), Behind+Ahead)
	}
	done, known := previous(code[:Behind])
	inst, under := underWay(code, after, done)
	if known {
		from, end, err = wrote(done, after, addr)
	}
	if !under {
		if !known {
			err = unknown("no instruction ends for certain at RIP %#x", after.RIP)
		}
		return from, end, err
	}
	first, last, also := wrote(inst, after, addr)
	switch {
	case !known || err != nil:
		return first, last, also
	case also == nil && (first != from || last != end):
		return 0, 0, unknown("either %v or %v wrote %#x", done, inst, addr)
	}
	return from, end, nil
}

// wrote is Wrote for one of the two instructions.
func wrote(inst x86asm.Inst, after gdb.Registers, addr uint64) (from, end uint64, err error) {
	size := fills[inst.Op]
	if stores[inst.Op] {
		size = element[inst.Op]
	}
	if size == 0 {
		if m, ok := inst.Args[0].(x86asm.Mem); ok && !compares[inst.Op] {
			at, ok := effective(m, after)
			if ok && overlap(at, inst.MemBytes, addr, 1) {
				return at, at + uint64(inst.MemBytes), nil
			}
		}
		return 0, 0, unknown("where %v wrote", inst)
	}
	switch {
	case after.Flags&directionFlag != 0:
		return 0, 0, unknown("%v runs towards lower addresses", inst)
	case after.RDI <= addr:
		return 0, 0, unknown("%v wrote up to %#x, and not %#x", inst, after.RDI, addr)
	}
	rounds := (after.RDI - addr + size - 1) / size
	if !repeat(inst) && rounds != 1 {
		return 0, 0, unknown("%v wrote %#x, not %#x", inst, after.RDI-size, addr)
	}
	return after.RDI - rounds*size, after.RDI, nil
}

// underWay returns the repeated instruction in progress: RIP is at it. QEMU before 10
// tests RCX again after the last iteration, so that RCX may be 0. If RCX is 0 after
// another completed string instruction, done, the instruction at RIP does not begin.
func underWay(code []byte, now gdb.Registers, done x86asm.Inst) (x86asm.Inst, bool) {
	inst, err := x86asm.Decode(code[Behind:], 64)
	return inst, err == nil && repeat(inst) && (now.RCX != 0 || !repeat(done))
}

// previous returns the instruction that ends where code ends, if it is certain. Machine
// code cannot be decoded backwards, but decoding from almost any byte synchronises after
// a few instructions, so that most starts agree.
func previous(code []byte) (x86asm.Inst, bool) {
	var votes [maxInstruction + 1]int
	var last [maxInstruction + 1]x86asm.Inst
	all, best := 0, 0
	for start := range len(code) {
		for at := start; at < len(code); {
			inst, err := x86asm.Decode(code[at:], 64)
			if err != nil {
				break
			}
			if at += inst.Len; at == len(code) {
				all++
				last[inst.Len] = inst
				if votes[inst.Len]++; votes[inst.Len] > votes[best] {
					best = inst.Len
				}
			}
		}
	}
	return last[best], 2*votes[best] > all
}

// plain returns the registers before a completed instruction that reads once; the caller
// sets RIP.
func plain(inst x86asm.Inst, after gdb.Registers, addr uint64, n int) (gdb.Registers, error) {
	m, err := operand(inst)
	if err != nil {
		return after, err
	}
	if dst, ok := inst.Args[0].(x86asm.Reg); ok && !compares[inst.Op] {
		switch {
		case same(dst, m.Index):
			return after, unknown("%v overwrites the register that it addresses by", inst)
		case same(dst, m.Base):
			return based(inst, m, after, addr)
		}
	}
	at, ok := effective(m, after)
	if !ok {
		return after, unknown("the address in %v", inst)
	}
	if !overlap(at, inst.MemBytes, addr, n) {
		return after, unknown("%v reads %#x, not %#x", inst, at, addr)
	}
	return after, nil
}

// operand returns the memory that an instruction reads, if it can be run twice.
func operand(inst x86asm.Inst) (x86asm.Mem, error) {
	if !idempotent[inst.Op] {
		return x86asm.Mem{}, unknown("%v is none of the instructions that can be run twice", inst)
	}
	for i, arg := range inst.Args {
		m, ok := arg.(x86asm.Mem)
		switch {
		case !ok:
		case i == 0 && !compares[inst.Op]:
			return m, unknown("%v writes the memory", inst)
		default:
			return m, nil
		}
	}
	return x86asm.Mem{}, unknown("%v reads no memory", inst)
}

// based is plain for an instruction that overwrites its base register (mov (%rdx),%edx).
// If addr is at the start of a page, the read begins there: one that begins before it would
// not be aligned, and be on two pages.
func based(inst x86asm.Inst, m x86asm.Mem, after gdb.Registers, addr uint64) (gdb.Registers, error) {
	rest, ok := effective(x86asm.Mem{Segment: m.Segment, Index: m.Index, Scale: m.Scale, Disp: m.Disp}, after)
	const pageBytes = 4096
	if !ok || addr%pageBytes != 0 || inst.MemBytes > 8 || inst.MemBytes&(inst.MemBytes-1) != 0 {
		return after, unknown("%v overwrites the register that it addresses by", inst)
	}
	n, _ := number(m.Base)
	*register(&after, n) = addr - rest
	return after, nil
}

// idempotent lists instructions that only read their memory operand, so that they can be
// run again. It does not include arithmetic on a register.
var idempotent = map[x86asm.Op]bool{
	x86asm.MOV: true, x86asm.MOVZX: true, x86asm.MOVSX: true, x86asm.MOVSXD: true, x86asm.MOVBE: true,
	x86asm.CMP: true, x86asm.TEST: true,
	x86asm.MOVD: true, x86asm.MOVQ: true, x86asm.MOVDQA: true, x86asm.MOVDQU: true, x86asm.LDDQU: true,
	x86asm.MOVAPS: true, x86asm.MOVAPD: true, x86asm.MOVUPS: true, x86asm.MOVUPD: true, x86asm.MOVNTDQA: true,
}

// compares lists the idempotent instructions that only read all their operands.
var compares = map[x86asm.Op]bool{x86asm.CMP: true, x86asm.TEST: true}

// element is the number of bytes that a string instruction reads through RSI in an
// iteration.
var element = map[x86asm.Op]uint64{
	x86asm.MOVSB: 1, x86asm.MOVSW: 2, x86asm.MOVSD: 4, x86asm.MOVSQ: 8,
	x86asm.LODSB: 1, x86asm.LODSW: 2, x86asm.LODSD: 4, x86asm.LODSQ: 8,
}

// stores lists the instructions of element that write through RDI.
var stores = map[x86asm.Op]bool{x86asm.MOVSB: true, x86asm.MOVSW: true, x86asm.MOVSD: true, x86asm.MOVSQ: true}

// fills is element for the string instructions that write through RDI and do not read.
var fills = map[x86asm.Op]uint64{x86asm.STOSB: 1, x86asm.STOSW: 2, x86asm.STOSD: 4, x86asm.STOSQ: 8}

func repeated(inst x86asm.Inst) bool { return element[inst.Op] != 0 && repeat(inst) }

// repeat reports whether an instruction is a string instruction with the prefix REP.
func repeat(inst x86asm.Inst) bool {
	if element[inst.Op] == 0 && fills[inst.Op] == 0 {
		return false
	}
	for _, p := range inst.Prefix {
		if p&0xff == x86asm.PrefixREP&0xff && p != 0 {
			return true
		}
	}
	return false
}

// rounds rewinds the iterations of a string instruction, beginning with the one that read
// addr. Bytes that later iterations wrote stay written: with QEMU 10 and later, that is
// the rest of the copy, which a kernel that stops at the poison does not count.
func rounds(inst x86asm.Inst, after gdb.Registers, addr uint64) (gdb.Registers, error) {
	size := element[inst.Op]
	if size == 0 {
		return after, unknown("%v reads no memory by RSI", inst)
	}
	if after.Flags&directionFlag != 0 {
		return after, unknown("%v runs towards lower addresses", inst)
	}
	// It read memory up to RSI, from where iterations are counted back.
	if after.RSI <= addr {
		return after, unknown("%v read up to %#x, and not %#x", inst, after.RSI, addr)
	}
	back := (after.RSI - addr + size - 1) / size
	if !repeated(inst) {
		if back != 1 {
			return after, unknown("%v read %#x, not %#x", inst, after.RSI-size, addr)
		}
	} else {
		after.RCX += back
	}
	after.RSI -= back * size
	if stores[inst.Op] {
		after.RDI -= back * size
	}
	return after, nil
}

func overlap(a uint64, n int, b uint64, m int) bool {
	return a < b+uint64(m) && b < a+uint64(n)
}

// effective returns the linear address of a memory operand.
func effective(m x86asm.Mem, r gdb.Registers) (uint64, bool) {
	if m.Segment == x86asm.FS || m.Segment == x86asm.GS {
		return 0, false // the base of the segment is not among the registers
	}
	at := uint64(m.Disp)
	if m.Base == x86asm.RIP {
		return at + r.RIP, true // RIP is after the instruction
	}
	for _, part := range []struct {
		reg   x86asm.Reg
		scale uint64
	}{{m.Base, 1}, {m.Index, uint64(m.Scale)}} {
		if part.reg == 0 {
			continue
		}
		v, ok := value(part.reg, r)
		if !ok {
			return 0, false
		}
		at += v * part.scale
	}
	return at, true
}

// value returns the value of a 64-bit register.
func value(reg x86asm.Reg, r gdb.Registers) (uint64, bool) {
	if reg < x86asm.RAX || reg > x86asm.R15 {
		return 0, false
	}
	return *register(&r, int(reg-x86asm.RAX)), true
}

// register returns a register by its number in the instruction set, whose order differs
// from gdb's.
func register(r *gdb.Registers, n int) *uint64 {
	return [...]*uint64{
		&r.RAX, &r.RCX, &r.RDX, &r.RBX, &r.RSP, &r.RBP, &r.RSI, &r.RDI,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
	}[n]
}

// same reports whether two names belong to the same general register.
func same(a, b x86asm.Reg) bool {
	x, ok := number(a)
	y, also := number(b)
	return ok && also && x == y
}

// number returns a general register's number, for a name of any part of it.
func number(r x86asm.Reg) (int, bool) {
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return int(r - x86asm.AL), true
	case r >= x86asm.AH && r <= x86asm.BH:
		return int(r - x86asm.AH), true
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return int(r-x86asm.SPB) + 4, true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return int(r - x86asm.AX), true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return int(r - x86asm.EAX), true
	case r >= x86asm.RAX && r <= x86asm.R15:
		return int(r - x86asm.RAX), true
	}
	return 0, false
}
