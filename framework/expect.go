package framework

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
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
)

// Detail narrows SIGBUS.
type Detail func(*payload)

type payload struct {
	lsb  int16
	addr string // "" means the accessed byte
	ret  *int64
}

// LSB asks for this si_addr_lsb; without it, 0 is asked for.
func LSB(n int16) Detail { return func(p *payload) { p.lsb = n } }

// At asks for an si_addr other than the accessed byte: the start of its page,
// for example, which is what memory_failure() reports.
func At(a Addr) Detail {
	return func(p *payload) { p.addr = a.String() }
}

// Returning asks for a system call that returns this beside the signal.
func Returning(n int64) Detail { return func(p *payload) { p.ret = &n } }

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
	return Pattern{text: text, here: want.addr == "", match: func(o observe.Outcome, at string) bool {
		if want.addr != "" {
			at = want.addr
		}
		if len(o.Signals) != 1 || o.Exit != nil || o.Errno != "" || o.Data != "" || o.Note != "" || !same(o.Ret, want.ret) {
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
	want := dataOf([]byte(strings.Repeat(string([]byte{b}), int(n))))
	return Pattern{text: fmt.Sprintf("ok %d of %#02x", n, b), match: func(o observe.Outcome, _ string) bool {
		return well(o) && o.Ret != nil && *o.Ret == n && o.Data == want.Data && o.Digest == want.Digest
	}}
}

// dataOf is data as an outcome has it: long data is cut to 16 bytes, with a
// digest of the whole.
func dataOf(data []byte) (o observe.Outcome) {
	o.Data = hex.EncodeToString(data[:min(len(data), 16)])
	if len(data) > 16 {
		sum := sha256.Sum256(data)
		o.Digest = hex.EncodeToString(sum[:8])
	}
	return o
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

// Says asks for this note.
func Says(text string) Pattern {
	return Pattern{text: text, match: func(o observe.Outcome, _ string) bool { return o.Note == text }}
}

// Panics asks for the step to end in a panic of the guest's kernel whose words
// contain the text. The scenario has said AllowPanic.
func Panics(text string) Pattern {
	return Pattern{text: "panic: " + text, match: func(o observe.Outcome, _ string) bool {
		return o.Panicked() && strings.Contains(o.Note, text)
	}}
}

// Expectation is a Gomega matcher on a *Seen; Follow and Be make it.
type Expectation struct {
	change        *change.Change
	before, after Pattern
	partOf        *change.Change
	part          Pattern

	wanted string // of the last Match
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

// Follow expects one of the two sides of a change, and records which of them the
// outcome showed. What that makes of the kernel is judged when all is recorded.
func Follow(c change.Change, before, after Side) *Expectation {
	if before.after || !after.after {
		panic("Follow wants Before(…) and then After(…)")
	}
	return &Expectation{change: &c, before: before.Pattern, after: after.Pattern}
}

// Be expects the same outcome on every kernel.
func Be(p Pattern) *Expectation { return &Expectation{after: p} }

// PartOf says what a kernel shows that has a part of a change only, such as an
// errno that leaks. It is unexpected, and tells that the change is incomplete.
func (e *Expectation) PartOf(c change.Change, p Pattern) *Expectation {
	e.partOf, e.part = &c, p
	return e
}

// Match holds the outcome against the expectation and records which side it
// showed. It fails where no kernel should have shown that; in a scenario it does
// so at the end only, because what is asserted behind it is to be recorded too.
func (e *Expectation) Match(actual any) (bool, error) {
	seen, ok := actual.(*Seen)
	if !ok {
		return false, fmt.Errorf("an expectation takes what a step saw (*framework.Seen), not %T", actual)
	}
	holds := func(p Pattern) bool { return p.match != nil && p.match(seen.Outcome, seen.at) }
	rec := &observe.Expectation{After: e.after.words(seen.at)}
	before, after := holds(e.before), holds(e.after)
	switch {
	case e.change == nil && after, before && after:
		rec.Side = observe.Both
	case before:
		rec.Side = observe.Before
	case after:
		rec.Side = observe.After
	case holds(e.part):
		rec.Side = observe.Partly
	default:
		rec.Side = observe.Neither
	}
	rec.Met = before || after
	if e.change != nil {
		rec.Change, rec.Before = e.change.ID, e.before.words(seen.at)
		if lacks := seen.rec.lacks(e.change.ShownWith...); len(lacks) > 0 {
			rec.Hidden, rec.Met = lacks[0], before
		}
	}
	if e.partOf != nil {
		rec.PartOf, rec.Part = e.partOf.ID, e.part.words(seen.at)
	}
	seen.rec.steps[seen.index].Expected = rec
	e.wanted = rec.Wanted()
	if !rec.Met && seen.rec.atEnd {
		seen.rec.unmet = append(seen.rec.unmet, e.FailureMessage(seen))
		return true, nil
	}
	return rec.Met, nil
}

// FailureMessage says what was wanted, of which kernel, and what came.
func (e *Expectation) FailureMessage(actual any) string {
	name := "this kernel"
	if running != nil && running.kernel != nil {
		name = running.kernel.Name
	}
	return fmt.Sprintf("%s\n    saw:      %v\n    expected: %s", name, actual, e.wanted)
}

// NegatedFailureMessage completes Gomega's matcher; expectations are not negated.
func (e *Expectation) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("%v\n    was not expected", actual)
}
