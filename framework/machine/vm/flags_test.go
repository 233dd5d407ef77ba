package vm

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// possibleFlags are the bits of RFLAGS that can be set in a kernel or a program: not the
// nested task flag, the I/O privilege level, or reserved bits.
const possibleFlags = 0x1 | 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x200000

// Guests do not have the instruction that leaves an operand's bits in the flags before
// QEMU 8.0: their kernels do not use it, and it kills a program.
func TestFlags(t *testing.T) {
	r := newHost(t)
	probe := probeBinary(t)
	for _, spec := range []string{old, recent} {
		g := clone(t, template(t, r, spec))
		if strings.Contains(readGuest(t, g, "/proc/cpuinfo"), " cx16") {
			t.Errorf("%s has CMPXCHG16B", spec)
		}
		c, err := g.SSH(t.Context())
		must(t, err)
		defer c.Close()
		must(t, c.Put(t.Context(), probe, "/run/probe"))
		var out, said bytes.Buffer
		status, err := c.Exec(t.Context(), []string{"/run/probe", "flags"}, Streams{Stdout: &out, Stderr: &said})
		must(t, err)
		if status.Code != 2 || !strings.HasPrefix(said.String(), "SIGILL: ") { // as the Go runtime reports it
			flags, _ := strconv.ParseUint(out.String(), 0, 64)
			t.Errorf("%s: got %+v %.80q, want SIGILL; flags %#x, of which %#x can't be", spec, status, said.String(), flags, flags&^possibleFlags)
		}
	}
}
