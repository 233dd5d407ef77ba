package framework

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/siginfo"
)

// Pattern describes an expected outcome. It covers the whole outcome: anything that it
// does not mention must be absent. So two patterns of a change state every field in which
// the outcomes of two kernels differ. Reports contain its text.
type Pattern struct {
	text  string
	match func(o observe.Outcome, at string) bool
	// here is set if the accessed byte follows the text.
	here bool
	// lazy, if set, makes the pattern when it is matched or printed, because it depends
	// on the kernel under test.
	lazy func() Pattern
}

// made returns the pattern, for the kernel under test if it depends on it.
func (p Pattern) made() Pattern {
	if p.lazy != nil {
		return p.lazy()
	}
	return p
}

// String returns the pattern's text: "SIGBUS BUS_MCEERR_AR lsb=12".
func (p Pattern) String() string { return p.made().text }

// words returns the pattern's text for an access to a byte.
func (p Pattern) words(at string) string {
	p = p.made()
	if p.here && at != "" {
		return p.text + " at " + at
	}
	return p.text
}

// Code is an si_code of SIGBUS.
type Code int32

const (
	BUS_ADRERR    Code = siginfo.BusADRERR
	BUS_MCEERR_AR Code = siginfo.BusMCEErrAR
	BUS_MCEERR_AO Code = siginfo.BusMCEErrAO
	SI_KERNEL     Code = 0x80 // include/uapi/asm-generic/siginfo.h: sent by force_sig(), without a payload
)

// Detail is a part of the outcome that SIGBUS expects: of the payload, or the result of the
// system call that the signal interrupts.
type Detail func(*payload)

type payload struct {
	lsb  int16
	addr string // "" means the accessed byte
	ret  *int64
	err  string
}

// LSB expects this si_addr_lsb. Without it, SIGBUS expects 0.
func LSB(n int16) Detail { return func(p *payload) { p.lsb = n } }

// PageLSB expects the si_addr_lsb of a page, which is the kernel's PAGE_SHIFT. It is
// required for every SIGBUS of a poisoned page, BUS_MCEERR_AR and BUS_MCEERR_AO alike:
// kernels report the page's size, and SIGBUS without a detail expects 0, which is right
// for BUS_ADRERR. The value is that of the kernel under test, even if the pattern is
// stored in a package variable.
func PageLSB() Detail { return func(p *payload) { p.lsb = int16(suite.Kernel().PageShift()) } }

// HugePageLSB expects the si_addr_lsb of a huge page, which is the kernel's PMD_SHIFT.
func HugePageLSB() Detail { return func(p *payload) { p.lsb = int16(suite.Kernel().HugePageShift()) } }

// At expects an si_addr other than the accessed byte; memory_failure(), for example,
// reports the start of the page.
func At(a Addr) Detail {
	return func(p *payload) { p.addr = a.String() }
}

// Nowhere expects a signal without an address (si_addr 0).
func Nowhere() Detail { return func(p *payload) { p.addr = "0x0" } }

// Returning expects a system call that returns n in addition to the signal.
func Returning(n int64) Detail { return func(p *payload) { p.ret = &n } }

// Failing expects a system call that fails with this errno in addition to the signal.
func Failing(errno string) Detail { return func(p *payload) { p.err = errno } }

// SIGBUS expects exactly one signal, with this payload, at the accessed byte: the fault
// path reports the exact byte (do_sigbus in arch/x86/mm/fault.c). Without details it
// expects si_addr_lsb 0, so that BUS_MCEERR_AR and BUS_MCEERR_AO need PageLSB,
// HugePageLSB or LSB.
func SIGBUS(code Code, details ...Detail) Pattern {
	return Pattern{lazy: func() Pattern { return signalPattern("SIGBUS", siginfo.SIGBUS, int32(code), details) }}
}

// SIGSEGV expects exactly one signal with SEGV_MAPERR, at the accessed byte: the page must
// not be accessed (do_user_addr_fault in arch/x86/mm/fault.c).
func SIGSEGV() Pattern {
	const mapErr = 1 // include/uapi/asm-generic/siginfo.h
	return signalPattern("SIGSEGV", int32(unix.SIGSEGV), mapErr, nil)
}

func signalPattern(name string, signo, code int32, details []Detail) Pattern {
	var want payload
	for _, d := range details {
		d(&want)
	}
	text := name + " " + siginfo.CodeName(signo, code)
	if want.lsb != 0 {
		text += fmt.Sprintf(" lsb=%d", want.lsb)
	}
	if want.addr != "" {
		text += " at " + want.addr
	}
	if want.ret != nil {
		text += fmt.Sprintf(", returning %d", *want.ret)
	}
	if want.err != "" {
		text += ", failing with " + want.err
	}
	return Pattern{text: text, here: want.addr == "", match: func(o observe.Outcome, at string) bool {
		if want.addr != "" {
			at = want.addr
		}
		if len(o.Signals) != 1 || o.Exit != nil || o.Errno != want.err || o.Data != "" || o.Note != "" ||
			!same(o.Ret, want.ret) {
			return false
		}
		s := o.Signals[0]
		return s.Signo == signo && s.Code == code && s.LSB == want.lsb && (at == "" || s.Addr == at)
	}}
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// well reports whether an outcome has no signal, no error, no exit and no note.
func well(o observe.Outcome) bool {
	return len(o.Signals) == 0 && o.Errno == "" && o.Exit == nil && o.Note == ""
}

// OK expects success that returns nothing, or 0.
func OK() Pattern {
	return Pattern{text: "ok", match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Data == "" && (o.Ret == nil || *o.Ret == 0)
	}}
}

// Reads expects a load of this byte.
func Reads(b byte) Pattern {
	return Pattern{text: fmt.Sprintf("reads %#02x", b), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret == nil && o.Data == fmt.Sprintf("%02x", b)
	}}
}

// ReturnsFull expects a system call that reads n bytes, each of them b.
func ReturnsFull(n int64, b byte) Pattern {
	want := observe.Data([]byte(strings.Repeat(string([]byte{b}), int(n))))
	return Pattern{text: fmt.Sprintf("ok %d of %#02x", n, b), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret != nil && *o.Ret == n && o.Data == want.Data && o.Digest == want.Digest
	}}
}

// Errno expects a system call to fail with this errno, by its name, and without a signal.
func Errno(name string) Pattern {
	return Pattern{text: name, match: func(o observe.Outcome, _ string) bool {
		return o.Errno == name && len(o.Signals) == 0 && o.Exit == nil && o.Data == ""
	}}
}

// Returns expects a system call to succeed with this value, and without data.
func Returns(n int64) Pattern {
	return Pattern{text: fmt.Sprintf("ok %d", n), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret != nil && *o.Ret == n && o.Data == ""
	}}
}

// KilledBy expects a signal, by its name, to kill the process without a core file.
func KilledBy(signal string) Pattern { return ended(observe.Exit{Code: -1, Signal: signal}) }

// DumpedBy expects a signal, by its name, to kill the process with a core file.
func DumpedBy(signal string) Pattern {
	return ended(observe.Exit{Code: -1, Signal: signal, Core: true})
}

func ended(want observe.Exit) Pattern {
	return Pattern{text: observe.Outcome{Exit: &want}.String(), match: func(o observe.Outcome, _ string) bool {
		return o.Exit != nil && *o.Exit == want && len(o.Signals) == 0
	}}
}

// Note expects this note, which is the outcome of steps that read a state, such as
// BadBlocks, Present or Kind.
func Note(text string) Pattern {
	return Pattern{text: text, match: func(o observe.Outcome, _ string) bool { return o.Note == text }}
}

// Hangs expects a step that does not return while the guest continues to run.
func Hangs() Pattern {
	return Pattern{
		text:  observe.HungMark,
		match: func(o observe.Outcome, _ string) bool { return o.Hung() && len(o.Signals) == 0 },
	}
}

// Panics expects the step to end in a kernel panic whose message contains the text. The
// scenario must have called Guest.AllowPanic.
func Panics(text string) Pattern {
	return Pattern{text: "panic: " + text, match: func(o observe.Outcome, _ string) bool {
		return o.Panicked() && strings.Contains(o.Note, text)
	}}
}
