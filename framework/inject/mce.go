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

// Figures, tables and sections are those of the Intel 64 and IA-32
// Architectures Software Developer's Manual, volume 3B, chapter 15,
// "Machine-Check Architecture".

// Status is what IA32_MCi_STATUS holds (figure 15-6, section 15.3.2.2).
type Status struct {
	VAL   bool // bit 63: the bank holds an error
	OVER  bool // bit 62: an error came before the last one was read
	UC    bool // bit 61: the processor could not correct it
	EN    bool // bit 60: reporting it was enabled in IA32_MCi_CTL
	MISCV bool // bit 59: IA32_MCi_MISC is valid
	ADDRV bool // bit 58: IA32_MCi_ADDR is valid
	PCC   bool // bit 57: the processor's context is corrupt; nothing recovers from that
	S     bool // bit 56: signalled by a machine check exception (section 15.6.2)
	AR    bool // bit 55: software must act before the thread goes on (section 15.6.2)
	// MSCOD, bits 31:16, is the model's own code.
	MSCOD uint16
	// MCACOD, bits 15:0, is the architecture's code (section 15.9).
	MCACOD uint16
}

// MCA error codes (MCACOD).
const (
	// DataLoad is the SRAR code of a load (section 15.9.3.2).
	DataLoad uint16 = 0x134
	// InstructionFetch is that of an instruction's fetch (section 15.9.3.2).
	InstructionFetch uint16 = 0x150
	// MemoryScrubbing is the SRAO code of a patrol scrubber (section 15.9.3.1):
	// 0000_0000_1100_CCCC with channel 0.
	MemoryScrubbing uint16 = 0xc0
	// WriteBack is the SRAO code of an explicit cache write-back (section 15.9.3.1).
	WriteBack uint16 = 0x17a
	// MemoryRead is a memory controller's error on reading, channel not
	// specified: 000F_0000_1MMM_CCCC with MMM=001 (section 15.9.2).
	MemoryRead uint16 = 0x9f
)

// Encode is the register's value.
func (s Status) Encode() uint64 {
	v := uint64(s.MSCOD)<<16 | uint64(s.MCACOD)
	for _, f := range []struct {
		set bool
		bit int
	}{{s.VAL, 63}, {s.OVER, 62}, {s.UC, 61}, {s.EN, 60}, {s.MISCV, 59}, {s.ADDRV, 58}, {s.PCC, 57}, {s.S, 56}, {s.AR, 55}} {
		if f.set {
			v |= 1 << f.bit
		}
	}
	return v
}

// GlobalStatus is what IA32_MCG_STATUS holds (figure 15-3, section 15.3.1.2).
type GlobalStatus struct {
	RIPV bool // bit 0: the program can go on at the interrupted instruction
	EIPV bool // bit 1: that instruction is the one with the error
	MCIP bool // bit 2: a machine check is in progress
	LMCE bool // bit 3: it came to this processor alone (section 15.3.1.5)
}

// Encode is the register's value.
func (s GlobalStatus) Encode() uint64 {
	v := uint64(0)
	for i, set := range []bool{s.RIPV, s.EIPV, s.MCIP, s.LMCE} {
		if set {
			v |= 1 << i
		}
	}
	return v
}

// AddressMode says what IA32_MCi_ADDR is (table 15-3).
type AddressMode uint8

const (
	SegmentOffset   AddressMode = 0
	LinearAddress   AddressMode = 1
	PhysicalAddress AddressMode = 2
	MemoryAddress   AddressMode = 3
	GenericAddress  AddressMode = 7
)

// Misc is what IA32_MCi_MISC holds on processors with recovery (figure 15-8,
// section 15.3.2.4).
type Misc struct {
	// LSB, bits 5:0, is the lowest bit of the address that counts: the error
	// takes 1<<LSB bytes.
	LSB uint8
	// Mode is bits 8:6.
	Mode AddressMode
}

// Encode is the register's value.
func (m Misc) Encode() uint64 { return uint64(m.Mode&7)<<6 | uint64(m.LSB&0x3f) }

// MachineCheck is an error in one bank of one processor. SRAR, SRAO and UCNA
// make the known kinds; fields may be changed before it is injected.
type MachineCheck struct {
	// Kind is what reports call it: "SRAR".
	Kind   string
	Bank   int
	Status Status
	Global GlobalStatus
	Misc   Misc
	// Broadcast raises it on every processor, as those without local machine
	// checks do; Global.LMCE must be clear then. The others get an empty error
	// in bank 1 (do_inject_x86_mce in target/i386/helper.c of QEMU).
	Broadcast bool
	// Reckless injects it also where it is known to end in a panic.
	Reckless bool
}

// bank is where machine checks go: QEMU has ten, and the first few may be left
// disabled by a kernel that knows quirks of old processors
// (__mcheck_cpu_apply_quirks in arch/x86/kernel/cpu/mce/core.c).
const bank = 9

// page is the granularity and mode of an error that takes a page.
var page = Misc{LSB: arch.PageShiftAMD64, Mode: PhysicalAddress}

// SRAR is "software recoverable, action required": a load consumed poison
// (section 15.6.3; the combination of flags is that of table 15-6).
func SRAR() MachineCheck {
	return MachineCheck{
		Kind: "SRAR", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, S: true, AR: true, MCACOD: DataLoad},
		Global: GlobalStatus{RIPV: true, EIPV: true, MCIP: true, LMCE: true},
	}
}

// SRAO is "software recoverable, action optional": a scrubber found poison that
// nobody consumed (section 15.6.3).
func SRAO() MachineCheck {
	return MachineCheck{
		Kind: "SRAO", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, S: true, MCACOD: MemoryScrubbing},
		Global: GlobalStatus{RIPV: true, MCIP: true, LMCE: true},
	}
}

// UCNA is "uncorrected, no action required": an error that was seen where it did
// no harm yet (section 15.6.3). Processors tell it by a corrected machine
// check's interrupt; QEMU raises an exception for it all the same, and a kernel
// leaves it for its next poll.
func UCNA() MachineCheck {
	return MachineCheck{
		Kind: "UCNA", Bank: bank, Misc: page,
		Status: Status{VAL: true, UC: true, EN: true, MISCV: true, ADDRV: true, MCACOD: MemoryRead},
		Global: GlobalStatus{RIPV: true, MCIP: true, LMCE: true},
	}
}

// Everywhere is the machine check broadcast.
func (m MachineCheck) Everywhere() MachineCheck {
	m.Broadcast, m.Global.LMCE = true, false
	return m
}

// Bytes is the machine check for an error of so many bytes, a power of two.
func (m MachineCheck) Bytes(n uint64) MachineCheck {
	m.Misc.LSB = uint8(bits.TrailingZeros64(n))
	return m
}

// Recklessly is the machine check for a guest that it is known to end.
func (m MachineCheck) Recklessly() MachineCheck {
	m.Reckless = true
	return m
}

// String is what reports call it.
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

// Command is the line for QEMU's human monitor that raises it at a guest
// physical address (hmp-commands.hx).
func (m MachineCheck) Command(cpu int, addr uint64) string {
	flag := ""
	if m.Broadcast {
		flag = "-b "
	}
	return fmt.Sprintf("mce %s%d %d %#x %#x %#x %#x", flag, cpu, m.Bank, m.Status.Encode(), m.Global.Encode(), addr, m.Misc.Encode())
}

// FatalError says that a machine check would end the guest in a panic, so that
// it was not injected.
type FatalError struct {
	Check  MachineCheck
	Reason string
}

func (e *FatalError) Error() string {
	return fmt.Sprintf("%s not injected: %s", e.Check, e.Reason)
}

// ErrReset says that QEMU reset the guest instead of raising the machine check:
// one was in progress, or the guest had them disabled.
var ErrReset = errors.New("QEMU reset the guest")

// CPUGuest is what a machine check needs of a guest.
type CPUGuest interface {
	Guest
	Args() []string // QEMU's
}

// Raise raises the machine check on a processor for a guest physical address.
// The guest may be stopped: it meets it when it goes on.
func (m MachineCheck) Raise(ctx context.Context, g CPUGuest, cpu int, addr uint64) error {
	if err := m.survivable(ctx, g); err != nil {
		return err
	}
	said, err := g.Monitor().HMP(ctx, m.Command(cpu, addr))
	switch {
	case err != nil:
		return err
	case strings.Contains(said, "triple fault"):
		return fmt.Errorf("%s: %w: %s", m, ErrReset, said)
	case said != "":
		return fmt.Errorf("%s: QEMU says %q", m, said)
	}
	return nil
}

// survivable refuses what would panic: of a processor of AMD's without SUCCOR a
// kernel knows no recovery (mce_severity_amd in
// arch/x86/kernel/cpu/mce/severity.c), and QEMU has no SUCCOR.
func (m MachineCheck) survivable(ctx context.Context, g CPUGuest) error {
	if m.Reckless {
		return nil
	}
	if m.Status.PCC {
		return &FatalError{m, "its status says PCC, a corrupt processor context, from which no kernel recovers"}
	}
	if !m.Global.RIPV {
		return &FatalError{m, "its global status lacks RIPV, so that no kernel can go on"}
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
		return &FatalError{m, fmt.Sprintf("the guest's processor is of vendor %q, for which kernels recover from no uncorrected error; start it with -cpu …,vendor=%s", vendor, intel)}
	}
	return nil
}

const intel = "GenuineIntel"

// vendorOf finds the vendor in QEMU's arguments. Without vendor= it is the
// model's own, which only the guest knows.
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

// cpuinfoVendor is the vendor that /proc/cpuinfo tells of the first processor.
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

// At injects the machine check for a frame, at whatever the first processor does:
// for kinds that nobody consumes. A consumed one wants framework.Consume.
func (m MachineCheck) At(f Frame) Injection {
	return Injection{
		Action: fmt.Sprintf("%s at %s", m, f.Name), Memory: true,
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			cpus, ok := g.(CPUGuest)
			if !ok {
				return observe.Outcome{}, fmt.Errorf("%s: this guest has no processors to reach", m)
			}
			return observe.Outcome{}, m.Raise(ctx, cpus, 0, f.Addr)
		},
	}
}
