package framework

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/siginfo"
)

// Pattern is what an outcome is held against. It says all of an outcome: what it
// does not mention must not be there. So where one kernel shows one pattern and
// another kernel another, every field in which they differ is foretold. Its
// words go into reports.
type Pattern struct {
	text  string
	match func(o observe.Outcome, at string) bool
	// here says that the words are followed by the accessed byte.
	here bool
}

// String is the pattern in words: "SIGBUS BUS_MCEERR_AR lsb=12".
func (p Pattern) String() string { return p.text }

// words are the pattern in words, for an access to a byte.
func (p Pattern) words(at string) string {
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
	SI_KERNEL     Code = 0x80 // include/uapi/asm-generic/siginfo.h: of force_sig(), with no payload
)

// Detail narrows SIGBUS.
type Detail func(*payload)

type payload struct {
	lsb  int16
	addr string // "" means the accessed byte
	ret  *int64
	err  string
}

// LSB asks for this si_addr_lsb; without it, 0 is asked for.
func LSB(n int16) Detail { return func(p *payload) { p.lsb = n } }

// PageLSB asks for the si_addr_lsb of a page of the kernel: its PAGE_SHIFT.
func PageLSB() Detail { return LSB(int16(suite.Kernel().PageShift())) }

// HugePageLSB asks for that of a huge page: its PMD_SHIFT.
func HugePageLSB() Detail { return LSB(int16(suite.Kernel().HugePageShift())) }

// At asks for an si_addr other than the accessed byte: the start of its page,
// for example, which is what memory_failure() reports.
func At(a Addr) Detail {
	return func(p *payload) { p.addr = a.String() }
}

// Nowhere asks for a signal without an address.
func Nowhere() Detail { return func(p *payload) { p.addr = "0x0" } }

// Returning asks for a system call that returns this beside the signal.
func Returning(n int64) Detail { return func(p *payload) { p.ret = &n } }

// Failing asks for a system call that fails with this error beside the signal.
func Failing(errno string) Detail { return func(p *payload) { p.err = errno } }

// SIGBUS asks for exactly one signal, with this payload, at the accessed byte.
// The fault path reports the very byte (do_sigbus in arch/x86/mm/fault.c).
func SIGBUS(code Code, details ...Detail) Pattern {
	var want payload
	for _, d := range details {
		d(&want)
	}
	text := "SIGBUS " + siginfo.CodeName(siginfo.SIGBUS, int32(code))
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
		if len(o.Signals) != 1 || o.Exit != nil || o.Errno != want.err || o.Data != "" || o.Note != "" || !same(o.Ret, want.ret) {
			return false
		}
		s := o.Signals[0]
		return s.Signo == siginfo.SIGBUS && s.Code == int32(code) && s.LSB == want.lsb && (at == "" || s.Addr == at)
	}}
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// well says that an outcome is no signal, no error and no death.
func well(o observe.Outcome) bool {
	return len(o.Signals) == 0 && o.Errno == "" && o.Exit == nil && o.Note == ""
}

// OK asks for success that returns nothing, or 0.
func OK() Pattern {
	return Pattern{text: "ok", match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Data == "" && (o.Ret == nil || *o.Ret == 0)
	}}
}

// Reads asks a load for this byte.
func Reads(b byte) Pattern {
	return Pattern{text: fmt.Sprintf("reads %#02x", b), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret == nil && o.Data == fmt.Sprintf("%02x", b)
	}}
}

// ReturnsFull asks a system call that reads for n bytes, each of them b.
func ReturnsFull(n int64, b byte) Pattern {
	want := observe.Data([]byte(strings.Repeat(string([]byte{b}), int(n))))
	return Pattern{text: fmt.Sprintf("ok %d of %#02x", n, b), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret != nil && *o.Ret == n && o.Data == want.Data && o.Digest == want.Digest
	}}
}

// Errno asks for a system call's error, and no signal.
func Errno(name string) Pattern {
	return Pattern{text: name, match: func(o observe.Outcome, _ string) bool {
		return o.Errno == name && len(o.Signals) == 0 && o.Exit == nil && o.Data == ""
	}}
}

// Returns asks for a system call's success with this value, and no data.
func Returns(n int64) Pattern {
	return Pattern{text: fmt.Sprintf("ok %d", n), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret != nil && *o.Ret == n && o.Data == ""
	}}
}

// KilledBy asks for the process to end by a signal, and leave no core file.
func KilledBy(signal string) Pattern { return ended(observe.Exit{Code: -1, Signal: signal}) }

// DumpedBy asks for the process to end by a signal, and leave a core file.
func DumpedBy(signal string) Pattern {
	return ended(observe.Exit{Code: -1, Signal: signal, Core: true})
}

func ended(want observe.Exit) Pattern {
	return Pattern{text: observe.Outcome{Exit: &want}.String(), match: func(o observe.Outcome, _ string) bool {
		return o.Exit != nil && *o.Exit == want && len(o.Signals) == 0
	}}
}

// Says asks for this note.
func Says(text string) Pattern {
	return Pattern{text: text, match: func(o observe.Outcome, _ string) bool { return o.Note == text }}
}

// Hangs asks for a step that does not return while the guest goes on.
func Hangs() Pattern {
	return Pattern{text: observe.HungMark, match: func(o observe.Outcome, _ string) bool { return o.Hung() && len(o.Signals) == 0 }}
}

// Panics asks for the step to end in a panic of the guest's kernel whose words
// contain the text. The scenario has said AllowPanic.
func Panics(text string) Pattern {
	return Pattern{text: "panic: " + text, match: func(o observe.Outcome, _ string) bool {
		return o.Panicked() && strings.Contains(o.Note, text)
	}}
}
