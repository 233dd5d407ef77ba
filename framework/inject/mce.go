package inject

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/arch"
)

// Status is the content of IA32_MCi_STATUS (figure 15-6, section 15.3.2.2).
type Status struct {
	VAL   bool // bit 63: the bank contains an error
	OVER  bool // bit 62: an error occurred before the previous one was read
	UC    bool // bit 61: the processor could not correct it
	EN    bool // bit 60: reporting it was enabled in IA32_MCi_CTL
	MISCV bool // bit 59: IA32_MCi_MISC is valid
	ADDRV bool // bit 58: IA32_MCi_ADDR is valid
	PCC   bool // bit 57: the processor's context is corrupt; recovery is impossible
	S     bool // bit 56: signalled by a machine check exception (section 15.6.2)
	AR    bool // bit 55: software must act before the thread continues (section 15.6.2)
	// MSCOD, bits 31:16, is the model-specific code.
	MSCOD uint16
	// MCACOD, bits 15:0, is the architectural code (section 15.9).
	MCACOD uint16
}

// MCA error codes (MCACOD).
const (
	// DataLoad is the SRAR code of a load (section 15.9.3.2).
	DataLoad uint16 = 0x134
	// InstructionFetch is the SRAR code of an instruction fetch (section 15.9.3.2).
	InstructionFetch uint16 = 0x150
	// MemoryScrubbing is the SRAO code of a patrol scrubber (section 15.9.3.1):
	// 0000_0000_1100_CCCC with channel 0.
	MemoryScrubbing uint16 = 0xc0
	// WriteBack is the SRAO code of an explicit cache write-back (section 15.9.3.1).
	WriteBack uint16 = 0x17a
	// MemoryRead is the code of a memory controller's read error, channel not specified:
	// 000F_0000_1MMM_CCCC with MMM=001 (section 15.9.2).
	MemoryRead uint16 = 0x9f
)

// Encode returns the register's value.
func (s Status) Encode() uint64 {
	v := uint64(s.MSCOD)<<16 | uint64(s.MCACOD)
	for _, f := range []struct {
		set bool
		bit int
	}{
		{s.VAL, 63}, {s.OVER, 62}, {s.UC, 61}, {s.EN, 60}, {s.MISCV, 59},
		{s.ADDRV, 58}, {s.PCC, 57}, {s.S, 56}, {s.AR, 55},
	} {
		if f.set {
			v |= 1 << f.bit
		}
	}
	return v
}

// GlobalStatus is the content of IA32_MCG_STATUS (figure 15-3, section 15.3.1.2).
type GlobalStatus struct {
	RIPV bool // bit 0: the program can be resumed at the interrupted instruction
	EIPV bool // bit 1: that instruction caused the error
	MCIP bool // bit 2: a machine check is in progress
	LMCE bool // bit 3: it was delivered to this processor only (section 15.3.1.5)
}

// Encode returns the register's value.
func (s GlobalStatus) Encode() uint64 {
	v := uint64(0)
	for i, set := range []bool{s.RIPV, s.EIPV, s.MCIP, s.LMCE} {
		if set {
			v |= 1 << i
		}
	}
	return v
}

// AddressMode is the kind of address in IA32_MCi_ADDR (table 15-3).
type AddressMode uint8

const (
	SegmentOffset   AddressMode = 0
	LinearAddress   AddressMode = 1
	PhysicalAddress AddressMode = 2
	MemoryAddress   AddressMode = 3
	GenericAddress  AddressMode = 7
)

// Misc is the content of IA32_MCi_MISC on processors with recovery (figure 15-8, section
// 15.3.2.4).
type Misc struct {
	// LSB, bits 5:0, is the lowest valid bit of the address: the error covers 1<<LSB
	// bytes.
	LSB uint8
	// Mode is bits 8:6.
	Mode AddressMode
}

// Encode returns the register's value.
func (m Misc) Encode() uint64 { return uint64(m.Mode&7)<<6 | uint64(m.LSB&0x3f) }

// MachineCheck is an error in one bank of one processor. SRAR, SRAO and UCNA return the
// known kinds; their fields can be changed before the injection.
type MachineCheck struct {
	// Kind is its name in reports: "SRAR".
	Kind   string
	Bank   int
	Status Status
	Global GlobalStatus
	Misc   Misc
	// Broadcast raises it on all processors, like hardware without local machine checks;
	// Global.LMCE must then be clear. The other processors get an empty error in bank 1
	// (do_inject_x86_mce in target/i386/helper.c of QEMU).
	Broadcast bool
	// Reckless injects it even if it is known to end in a panic.
	Reckless bool
}

// bank is the bank for machine checks. QEMU has ten; quirks for old processors can leave
// the first few disabled (__mcheck_cpu_apply_quirks in arch/x86/kernel/cpu/mce/core.c).
const bank = 9

// page is the granularity and mode of an error that covers a page.
var page = Misc{LSB: arch.PageShiftAMD64, Mode: PhysicalAddress}

// SRAR returns "software recoverable, action required": a load consumed poison (section
// 15.6.3; the combination of flags is from table 15-6).
func SRAR() MachineCheck {
	return MachineCheck{
		Kind: "SRAR", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, S: true, AR: true, MCACOD: DataLoad},
		Global: GlobalStatus{RIPV: true, EIPV: true, MCIP: true, LMCE: true},
	}
}

// SRAO returns "software recoverable, action optional": a scrubber found poison that no
// access consumed (section 15.6.3).
func SRAO() MachineCheck {
	return MachineCheck{
		Kind: "SRAO", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, S: true, MCACOD: MemoryScrubbing},
		Global: GlobalStatus{RIPV: true, MCIP: true, LMCE: true},
	}
}

// UCNA returns "uncorrected, no action required": an error that was detected before it
// did harm (section 15.6.3). Processors report it with the interrupt for corrected
// machine checks; QEMU raises an exception for it nevertheless, and the kernel handles it
// at its next poll.
func UCNA() MachineCheck {
	return MachineCheck{
		Kind: "UCNA", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, MCACOD: MemoryRead},
		Global: GlobalStatus{RIPV: true, MCIP: true, LMCE: true},
	}
}

// Everywhere returns the machine check broadcast to all processors.
func (m MachineCheck) Everywhere() MachineCheck {
	m.Broadcast, m.Global.LMCE = true, false
	return m
}

// Bytes returns the machine check for an error that covers n bytes, a power of two.
func (m MachineCheck) Bytes(n uint64) MachineCheck {
	m.Misc.LSB = uint8(bits.TrailingZeros64(n))
	return m
}

// Recklessly returns the machine check with Reckless set: it is injected even if it is
// known to end in a panic.
func (m MachineCheck) Recklessly() MachineCheck {
	m.Reckless = true
	return m
}

// String returns its name in reports.
func (m MachineCheck) String() string {
	s := "machine check " + m.Kind
	if m.Misc.LSB != page.LSB {
		s += fmt.Sprintf(" of %d bytes", uint64(1)<<m.Misc.LSB)
	}
	if m.Broadcast {
		s += ", broadcast"
	}
	return s
}

// Command returns the command for QEMU's human monitor that raises the machine check at a
// guest physical address (hmp-commands.hx).
func (m MachineCheck) Command(cpu int, addr uint64) string {
	flag := ""
	if m.Broadcast {
		flag = "-b "
	}
	return fmt.Sprintf(
		"mce %s%d %d %#x %#x %#x %#x",
		flag,
		cpu,
		m.Bank,
		m.Status.Encode(),
		m.Global.Encode(),
		addr,
		m.Misc.Encode(),
	)
}

// FatalError reports a machine check that was not injected because it would end in a
// panic.
type FatalError struct {
	Check  MachineCheck
	Reason string
}

func (e *FatalError) Error() string {
	return fmt.Sprintf("%s not injected: %s", e.Check, e.Reason)
}

// ErrReset is returned if QEMU reset the guest instead of raising the machine check,
// because one was in progress or the guest had disabled them.
var ErrReset = errors.New("QEMU reset the guest")

// CPUGuest is what a machine check needs of a guest.
type CPUGuest interface {
	Guest
	Args() []string // QEMU's
}

// Raise raises the machine check on a processor for a guest physical address. If the
// guest is stopped, it takes the machine check when it resumes.
func (m MachineCheck) Raise(ctx context.Context, g CPUGuest, cpu int, addr uint64) error {
	if err := m.survivable(ctx, g); err != nil {
		return err
	}
	output, err := g.Monitor().HMP(ctx, m.Command(cpu, addr))
	switch {
	case err != nil:
		return err
	case strings.Contains(output, "triple fault"):
		return fmt.Errorf("%s: %w: %s", m, ErrReset, output)
	case output != "":
		return fmt.Errorf("%s: unexpected output of QEMU: %q", m, output)
	}
	return nil
}

// survivable returns an error for a machine check that would end in a panic. On AMD
// processors without SUCCOR, which QEMU does not have, kernels do not recover
// (mce_severity_amd in arch/x86/kernel/cpu/mce/severity.c).
func (m MachineCheck) survivable(ctx context.Context, g CPUGuest) error {
	if m.Reckless {
		return nil
	}
	if m.Status.PCC {
		return &FatalError{m, "its status has PCC set, a corrupt processor context, from which no kernel recovers"}
	}
	if !m.Global.RIPV {
		return &FatalError{m, "its global status does not have RIPV set, so that no kernel can resume the program"}
	}
	vendor, known := vendorOf(g.Args())
	if !known {
		reply, err := g.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/cpuinfo", Length: 4096}})
		if err != nil {
			return err
		}
		vendor = cpuinfoVendor(string(reply.File.Data))
	}
	if vendor != intel {
		return &FatalError{
			m,
			fmt.Sprintf("the guest's processor has vendor %q, for which kernels recover from no uncorrected error; "+
				"start the guest with -cpu …,vendor=%s", vendor, intel),
		}
	}
	return nil
}

const intel = "GenuineIntel"

// vendorOf returns the vendor in QEMU's arguments. Without vendor= the vendor is that of
// the model, and not known from the arguments.
func vendorOf(args []string) (vendor string, known bool) {
	for i, a := range args {
		if a != "-cpu" || i+1 == len(args) {
			continue
		}
		for _, property := range strings.Split(args[i+1], ",") {
			if v, ok := strings.CutPrefix(property, "vendor="); ok {
				vendor, known = v, true
			}
		}
	}
	return vendor, known
}

// cpuinfoVendor returns the vendor of the first processor in /proc/cpuinfo.
func cpuinfoVendor(text string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "vendor_id" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Frame is a page of guest physical memory.
type Frame struct {
	Addr uint64
	Page uint64 // the size of a page of the kernel, in bytes
	Name string // canonical: "file+0x4000"
}

// At injects the machine check for a frame, on the first processor and at an arbitrary
// instruction. It is for kinds that no access consumes; for SRAR use Consume of package
// framework.
func (m MachineCheck) At(f Frame) Injection {
	return Injection{
		Action: fmt.Sprintf("%s at %s", m, f.Name), Memory: true,
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			cpus, ok := g.(CPUGuest)
			if !ok {
				return observe.Outcome{}, fmt.Errorf("%s: this guest does not support machine checks", m)
			}
			return observe.Outcome{}, m.Raise(ctx, cpus, 0, f.Addr)
		},
	}
}
