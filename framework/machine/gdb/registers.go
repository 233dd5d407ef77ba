package gdb

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Memory reads n bytes at a virtual address, in the address space of the stopped vCPU.
func (c *Client) Memory(ctx context.Context, addr uint64, n int) ([]byte, error) {
	command := fmt.Sprintf("m%x,%x", addr, n)
	data, err := c.value(ctx, command)
	if err == nil && len(data) != n {
		err = fmt.Errorf("%w: %d bytes for %s", ErrMalformed, len(data), command)
	}
	return data, err
}

// Registers are the general registers of an x86-64 vCPU, in gdb's order
// (gdb-xml/i386-64bit.xml in QEMU).
type Registers struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP                                    uint64
	Flags                                  uint32
}

// Registers reads the registers of a vCPU.
func (c *Client) Registers(ctx context.Context, cpu int) (Registers, error) {
	var r Registers
	if err := c.ok(ctx, fmt.Sprintf("Hg%x", cpu+1)); err != nil {
		return r, err
	}
	data, err := c.value(ctx, "g")
	if err != nil {
		return r, err
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &r); err != nil {
		return r, fmt.Errorf("%w: %d bytes of registers", ErrMalformed, len(data))
	}
	return r, nil
}

// SetRegisters writes the registers of a vCPU that differ, except the flags, and reads
// them back, because a stub may accept a write without performing it.
func (c *Client) SetRegisters(ctx context.Context, cpu int, to Registers) error {
	now, err := c.Registers(ctx, cpu)
	if err != nil {
		return err
	}
	if !c.numbered {
		// QEMU does not accept P before the debugger has read the list of registers
		// (gdb_has_xml in gdbstub).
		if _, err := c.ask(ctx, "qXfer:features:read:target.xml:0,400"); err != nil {
			return err
		}
		c.numbered = true
	}
	was, want := now.general(), to.general()
	for i := range want {
		if was[i] == want[i] {
			continue
		}
		value := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, want[i]))
		if err := c.ok(ctx, fmt.Sprintf("P%x=%s", i, value)); err != nil {
			return err
		}
	}
	if now, err = c.Registers(ctx, cpu); err == nil && now.general() != want {
		err = fmt.Errorf("the gdb stub did not set the registers of vCPU %d: %+v instead of %+v", cpu, now, to)
	}
	return err
}

// general returns the registers by gdb's numbers.
func (r Registers) general() [17]uint64 {
	return [...]uint64{
		r.RAX,
		r.RBX,
		r.RCX,
		r.RDX,
		r.RSI,
		r.RDI,
		r.RBP,
		r.RSP,
		r.R8,
		r.R9,
		r.R10,
		r.R11,
		r.R12,
		r.R13,
		r.R14,
		r.R15,
		r.RIP,
	}
}
