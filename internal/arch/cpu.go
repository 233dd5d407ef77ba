package arch

import (
	"fmt"
	"strings"
)

// CPU is a processor with every property spelled out, so that it is the same
// processor on every QEMU: the kernel decides by vendor, family, model and flags
// how it copies memory and how it takes a machine check.
type CPU struct {
	Vendor                  string
	Family, Model, Stepping int
	// XLevel is the highest extended CPUID leaf.
	XLevel uint32
	// Flags are features as QEMU's -cpu names them. The processor has no others.
	Flags []string
}

// String returns the value of QEMU's -cpu option. It starts from the model "base",
// which has no feature, and asks QEMU to refuse the processor rather than to leave
// out what it can't emulate (enforce).
func (c CPU) String() string {
	s := fmt.Sprintf("base,enforce=on,vendor=%s,family=%d,model=%d,stepping=%d,level=0xd,xlevel=%#x,phys-bits=40",
		c.Vendor, c.Family, c.Model, c.Stepping, c.XLevel)
	for _, f := range c.Flags {
		s += "," + f + "=on"
	}
	return s
}

// flags are the features that Ice Lake and Milan have, as far as TCG of QEMU 7.2
// emulates them. cx16 is left out: before QEMU 8.0, CMPXCHG16B, which SLUB takes
// objects with, leaves an operand's bits in the flags (helper_cmpxchg16b_unlocked
// in target/i386/tcg/mem_helper.c). An interrupt at that moment saves them, NT and
// DF among them, and the kernel goes on with what comes back.
var flags = strings.Fields(`
	abm adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt clwb cmov cx8 de
	erms f16c fma fpu fsgsbase fxsr hypervisor lahf-lm lm mca mce mmx movbe msr mtrr
	nx pae pat pclmulqdq pdpe1gb pge pku pni popcnt pse pse36 rdrand rdtscp sep smap
	smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc umip vaes xgetbv1 xsave xsaveopt`)

// IceLake is the server processor of Intel's third generation (Xeon Ice Lake-SP),
// which persistent memory in DIMMs exists for. Its family has the flag erms, by
// which a kernel recovers from poison in its own copies without a quirk of the
// chip set (copy_mc_to_kernel in arch/x86/lib/copy_mc.c).
var IceLake = CPU{Vendor: "GenuineIntel", Family: 6, Model: 106, Stepping: 6, XLevel: 0x80000008, Flags: append([]string{"la57"}, flags...)}

// Milan is AMD's third generation of EPYC, but for SUCCOR: QEMU emulates no
// scalable machine check architecture, so a kernel knows no recovery
// (mce_severity_amd in arch/x86/kernel/cpu/mce/severity.c).
var Milan = CPU{Vendor: "AuthenticAMD", Family: 25, Model: 1, Stepping: 1, XLevel: 0x8000001e, Flags: flags}
