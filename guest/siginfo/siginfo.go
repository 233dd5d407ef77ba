// Package siginfo decodes the kernel's siginfo_t (include/uapi/asm-generic/siginfo.h) as it
// is laid out for 64-bit processes, and for 32-bit ones. It keeps the raw bytes, so
// that the decoded fields can be checked against what the kernel delivered. It
// imports no other package of Faultline.
package siginfo

import (
	"encoding/binary"
	"fmt"
)

// Size is the size of siginfo_t in bytes (SI_MAX_SIZE).
const Size = 128

// Offsets in siginfo_t on 64-bit: three ints, padding, then the union
// _sifields, whose _sigfault has si_addr first and si_addr_lsb after it.
const (
	offSigno = 0
	offErrno = 4
	offCode  = 8
	offAddr  = 16
	offLSB   = 24
)

// Offsets that differ for 32-bit processes, which have no padding and addresses of 4 bytes
// (struct compat_siginfo in include/linux/compat.h).
const (
	offAddr32 = 12
	offLSB32  = 16
)

// Signals that Faultline's victims can receive.
const (
	SIGILL  = 4
	SIGTRAP = 5
	SIGBUS  = 7
	SIGKILL = 9
	SIGSEGV = 11
)

// si_code values of SIGBUS, and those that any signal may carry.
const (
	BusADRALN   = 1 // invalid address alignment
	BusADRERR   = 2 // non-existent physical address
	BusOBJERR   = 3 // object-specific hardware error
	BusMCEErrAR = 4 // hardware memory error consumed on a machine check: action required
	BusMCEErrAO = 5 // hardware memory error detected in process but not consumed: action optional

	User   = 0    // sent by kill(2)
	Kernel = 0x80 // sent by the kernel
	Queue  = -1   // sent by sigqueue(3)
	TKill  = -6   // sent by tkill(2)
)

// Info is a decoded siginfo_t of a fault signal.
type Info struct {
	Signo int32
	Errno int32
	Code  int32
	// Addr is si_addr. The kernel fills it for fault signals only.
	Addr uint64
	// AddrLSB is si_addr_lsb: the least significant valid bit of the address, so
	// 12 means a 4 KiB page and 21 a 2 MiB page. The kernel fills it for
	// BUS_MCEERR_AR and BUS_MCEERR_AO only; see HasLSB.
	AddrLSB int16
	// Is32 is set for the siginfo_t of a 32-bit process.
	Is32 bool
	// Raw is the whole siginfo_t as the handler received it.
	Raw [Size]byte
}

// Decode decodes raw, which must have at least Size bytes.
func Decode(raw []byte) (Info, error) {
	if len(raw) < Size {
		return Info{}, fmt.Errorf("decode siginfo_t: %d bytes, want %d", len(raw), Size)
	}
	le := binary.LittleEndian
	in := Info{
		Signo:   int32(le.Uint32(raw[offSigno:])),
		Errno:   int32(le.Uint32(raw[offErrno:])),
		Code:    int32(le.Uint32(raw[offCode:])),
		Addr:    le.Uint64(raw[offAddr:]),
		AddrLSB: int16(le.Uint16(raw[offLSB:])),
	}
	copy(in.Raw[:], raw)
	return in, nil
}

// Decode32 is Decode for the siginfo_t of a 32-bit process.
func Decode32(raw []byte) (Info, error) {
	in, err := Decode(raw)
	if err != nil {
		return in, err
	}
	in.Is32 = true
	in.Addr = uint64(binary.LittleEndian.Uint32(raw[offAddr32:]))
	in.AddrLSB = int16(binary.LittleEndian.Uint16(raw[offLSB32:]))
	return in, nil
}

// HasLSB reports whether si_addr_lsb is valid for this signal (siginfo_layout in
// kernel/signal.c: SIL_FAULT_MCEERR).
func (in Info) HasLSB() bool {
	return in.Signo == SIGBUS && (in.Code == BusMCEErrAR || in.Code == BusMCEErrAO)
}

// SignalName returns the name of a signal, or "signal N".
func SignalName(signo int32) string {
	switch signo {
	case SIGILL:
		return "SIGILL"
	case SIGTRAP:
		return "SIGTRAP"
	case SIGBUS:
		return "SIGBUS"
	case SIGKILL:
		return "SIGKILL"
	case SIGSEGV:
		return "SIGSEGV"
	}
	return fmt.Sprintf("signal %d", signo)
}

// CodeName returns the name of an si_code for a signal, or "si_code N".
func CodeName(signo, code int32) string {
	switch code {
	case User:
		return "SI_USER"
	case Kernel:
		return "SI_KERNEL"
	case Queue:
		return "SI_QUEUE"
	case TKill:
		return "SI_TKILL"
	}
	switch signo {
	case SIGBUS:
		switch code {
		case BusADRALN:
			return "BUS_ADRALN"
		case BusADRERR:
			return "BUS_ADRERR"
		case BusOBJERR:
			return "BUS_OBJERR"
		case BusMCEErrAR:
			return "BUS_MCEERR_AR"
		case BusMCEErrAO:
			return "BUS_MCEERR_AO"
		}
	case SIGSEGV:
		switch code {
		case 1:
			return "SEGV_MAPERR"
		case 2:
			return "SEGV_ACCERR"
		}
	}
	return fmt.Sprintf("si_code %d", code)
}

// String returns a form for people: "SIGBUS BUS_MCEERR_AR lsb=12".
func (in Info) String() string {
	s := SignalName(in.Signo) + " " + CodeName(in.Signo, in.Code)
	if in.HasLSB() || in.AddrLSB != 0 {
		s += fmt.Sprintf(" lsb=%d", in.AddrLSB)
	}
	return s
}
