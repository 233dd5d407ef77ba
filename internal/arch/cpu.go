package arch

import (
	"fmt"
	"strings"
)

// CPU is a processor model with every property explicit, so that it is the same on
// every QEMU version: the kernel decides by vendor, family, model and flags how it
// copies memory and how it handles a machine check.
type CPU struct {
	Vendor                  string
	Family, Model, Stepping int
	// XLevel is the highest extended CPUID leaf.
	XLevel uint32
	// Flags are CPU features by QEMU's -cpu names. The CPU has no others.
	Flags []string
}

// String returns the value of QEMU's -cpu option. It starts from the model "base",
// which has no features, and makes QEMU fail instead of dropping a feature that it
// can't emulate (enforce).
func (c CPU) String() string {
	s := fmt.Sprintf("base,enforce=on,vendor=%s,family=%d,model=%d,stepping=%d,level=0xd,xlevel=%#x,phys-bits=40",
		c.Vendor, c.Family, c.Model, c.Stepping, c.XLevel)
	for _, f := range c.Flags {
		s += "," + f + "=on"
	}
	return s
}

// flags are the features of both Ice Lake and Milan that TCG of QEMU 7.2 emulates.
// cx16 is left out: before QEMU 8.0, CMPXCHG16B, which SLUB uses to allocate objects,
// leaves bits of an operand in EFLAGS (helper_cmpxchg16b_unlocked in
// target/i386/tcg/mem_helper.c). An interrupt at that moment saves and restores them,
// including NT and DF.
var flags = strings.Fields(`
	abm adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt clwb cmov cx8 de
	erms f16c fma fpu fsgsbase fxsr hypervisor lahf-lm lm mca mce mmx movbe msr mtrr
	nx pae pat pclmulqdq pdpe1gb pge pku pni popcnt pse pse36 rdrand rdtscp sep smap
	smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc umip vaes xgetbv1 xsave xsaveopt`)

// IceLake is Intel's third-generation Xeon Scalable (Ice Lake-SP), which supports
// persistent memory DIMMs. It has erms, with which the kernel recovers from poison in
// its own copies without a chipset quirk (copy_mc_to_kernel in arch/x86/lib/copy_mc.c).
var IceLake = CPU{
	Vendor:   "GenuineIntel",
	Family:   6,
	Model:    106,
	Stepping: 6,
	XLevel:   0x80000008,
	Flags:    append([]string{"la57"}, flags...),
}

// Milan is AMD's third-generation EPYC without SUCCOR: QEMU does not emulate the
// Scalable MCA, so the kernel never recovers from a machine check
// (mce_severity_amd in arch/x86/kernel/cpu/mce/severity.c).
var Milan = CPU{Vendor: "AuthenticAMD", Family: 25, Model: 1, Stepping: 1, XLevel: 0x8000001e, Flags: flags}
