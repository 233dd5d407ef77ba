package framework

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/guest/siginfo"
)

// Pattern is what an outcome is held against. Its words go into reports.
type Pattern struct {
	text  string
	match func(o observe.Outcome, at string) bool
}

// String is the pattern in words: "SIGBUS BUS_MCEERR_AR lsb=12 at the accessed byte".
func (p Pattern) String() string { return p.text }

// Code is an si_code of SIGBUS.
type Code int32

const (
	BUS_ADRERR    Code = siginfo.BusADRERR
	BUS_MCEERR_AR Code = siginfo.BusMCEErrAR
	BUS_MCEERR_AO Code = siginfo.BusMCEErrAO
)

// Detail narrows SIGBUS.
type Detail func(*payload)

type payload struct {
	lsb   int16
	where string // "" means the accessed byte
	addr  string
}

// LSB asks for this si_addr_lsb; without it, 0 is asked for.
func LSB(n int16) Detail { return func(p *payload) { p.lsb = n } }

// At asks for an si_addr other than the accessed byte: the start of its page,
// for example, which is what memory_failure() reports.
func At(a Addr) Detail {
	return func(p *payload) { p.where, p.addr = " at "+a.String(), a.String() }
}

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
	return Pattern{text: text + want.where, match: func(o observe.Outcome, at string) bool {
		if want.addr != "" {
			at = want.addr
		}
		if len(o.Signals) != 1 || o.Exit != nil || o.Errno != "" {
			return false
		}
		s := o.Signals[0]
		return s.Signo == siginfo.SIGBUS && s.Code == int32(code) && s.LSB == want.lsb && (at == "" || s.Addr == at)
	}}
}

// OK asks for success: no signal, no error, no death.
func OK() Pattern {
	return Pattern{text: "ok", match: func(o observe.Outcome, _ string) bool {
		return len(o.Signals) == 0 && o.Errno == "" && o.Exit == nil
	}}
}

// Reads asks for success, and for data that is full of this byte.
func Reads(b byte) Pattern {
	return Pattern{text: fmt.Sprintf("reads %#02x", b), match: func(o observe.Outcome, at string) bool {
		if !OK().match(o, at) || o.Data == "" {
			return false
		}
		return strings.Trim(o.Data, fmt.Sprintf("%02x", b)) == "" && strings.Count(o.Data, fmt.Sprintf("%02x", b))*2 >= len(o.Data)
	}}
}

// Errno asks for a system call's error, and no signal.
func Errno(name string) Pattern {
	return Pattern{text: name, match: func(o observe.Outcome, _ string) bool {
		return o.Errno == name && len(o.Signals) == 0 && o.Exit == nil
	}}
}

// Returns asks for a system call's success with this value.
func Returns(n int64) Pattern {
	return Pattern{text: fmt.Sprintf("ok %d", n), match: func(o observe.Outcome, at string) bool {
		return OK().match(o, at) && o.Ret != nil && *o.Ret == n
	}}
}

// KilledBy asks for the process to die by the signal of this name.
func KilledBy(signal string) Pattern {
	return Pattern{text: "killed by " + signal, match: func(o observe.Outcome, _ string) bool {
		return o.Exit != nil && o.Exit.Signal == signal
	}}
}

// Says asks for a note that contains the text.
func Says(text string) Pattern {
	return Pattern{text: text, match: func(o observe.Outcome, _ string) bool { return strings.Contains(o.Note, text) }}
}

// Panics asks for the step to end in a panic of the guest's kernel whose words
// contain the text. The scenario has said AllowPanic.
func Panics(text string) Pattern {
	return Pattern{text: "panic: " + text, match: func(o observe.Outcome, _ string) bool {
		return vm.PanicText(o.Note) != "" && strings.Contains(o.Note, text)
	}}
}

// Expectation is a Gomega matcher on a *Seen; Follow and Be make it.
type Expectation struct {
	change        *change.Change
	before, after Pattern
	has           bool
}

// Side is one of the two halves of Follow.
type Side struct {
	after bool
	Pattern
}

// Before is what a kernel without the change shows.
func Before(p Pattern) Side { return Side{Pattern: p} }

// After is what a kernel with the change shows.
func After(p Pattern) Side { return Side{after: true, Pattern: p} }

// Follow expects what the change says: Before's pattern on a kernel that lacks
// it, After's on one that has it. Which of them this kernel is was declared in
// the matrix, or found by the change's probe.
func Follow(c change.Change, before, after Side) *Expectation {
	if before.after || !after.after {
		panic("Follow wants Before(…) and then After(…)")
	}
	return &Expectation{change: &c, before: before.Pattern, after: after.Pattern}
}

// Be expects the same outcome on every kernel.
func Be(p Pattern) *Expectation { return &Expectation{after: p} }

// Match holds the outcome against the expectation and records both.
func (e *Expectation) Match(actual any) (bool, error) {
	seen, ok := actual.(*Seen)
	if !ok {
		return false, fmt.Errorf("an expectation takes what a step saw (*framework.Seen), not %T", actual)
	}
	rec := &observe.Expectation{After: e.after.text}
	after := e.after.match(seen.Outcome, seen.at)
	if e.change == nil {
		rec.Side, rec.Met = "neither", after
		if after {
			rec.Side = "both"
		}
	} else {
		e.has = running.has(*e.change)
		before := e.before.match(seen.Outcome, seen.at)
		rec.Change, rec.Before, rec.Has = e.change.ID, e.before.text, e.has
		rec.Met = e.has && after || !e.has && before
		rec.Side = map[[2]bool]string{{true, true}: "both", {true, false}: "before", {false, true}: "after", {false, false}: "neither"}[[2]bool{before, after}]
	}
	seen.rec.steps[seen.index].Expected = rec
	return rec.Met, nil
}

// FailureMessage says what was wanted, of which kernel, and what came.
func (e *Expectation) FailureMessage(actual any) string {
	want := e.after.text
	why := ""
	if e.change != nil {
		if !e.has {
			want = e.before.text
		}
		why = fmt.Sprintf("\n    because %s %s %s (%s)", running.kernel.Name, map[bool]string{true: "has", false: "lacks"}[e.has], e.change.ID, running.how(*e.change))
	}
	return fmt.Sprintf("%s\n    saw:      %v\n    expected: %s%s", running.kernel.Name, actual, want, why)
}

// NegatedFailureMessage completes Gomega's matcher; expectations are not negated.
func (e *Expectation) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("%v\n    was not expected", actual)
}
