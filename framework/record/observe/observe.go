// Package observe holds what user space saw: the outcome of every step of a
// scenario, and the cell (one kernel, one scenario) that gathers them. It is
// data with a canonical form, so that the same kernel observed twice gives the
// same bytes. It knows no expectations, no kernels and no guests.
package observe

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/internal/klog"
)

// Outcome is what one step told the program that took it. Exactly one of a
// signal, an errno, a death, or success (none of them) is the headline;
// a system call that was interrupted by an advisory signal has both.
type Outcome struct {
	// Ret is a system call's return value; nil for a plain load or store.
	Ret *int64 `json:"ret,omitempty"`
	// Errno is the error's name ("EIO"), empty on success.
	Errno string `json:"errno,omitempty"`
	// Data is what was read, in hexadecimal; long data is cut to its first 16
	// bytes with Digest over the whole.
	Data   string `json:"data,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Signals are those delivered during the step, in order.
	Signals []Signal `json:"signals,omitempty"`
	// Exit is how the process ended, when the step ended it.
	Exit *Exit `json:"exit,omitempty"`
	// Note is a fact about the step that is neither of these, such as the
	// state of a page ("FilePmdMapped 2048 kB") or a text read from sysfs.
	Note string `json:"note,omitempty"`
}

// Signal is a delivered signal's payload.
type Signal struct {
	Signo int32  `json:"signo"`
	Name  string `json:"name"` // "SIGBUS"
	Code  int32  `json:"code"`
	// CodeName is "BUS_MCEERR_AR", or "si_code N" for one without a name.
	CodeName string `json:"code_name"`
	// Addr is si_addr in canonical form, mapping+0xoffset, or 0x… where it
	// lies in no mapping of the scenario.
	Addr string `json:"addr"`
	// LSB is si_addr_lsb. It is 0 for payloads that don't carry it.
	LSB int16 `json:"lsb"`
	// Thread is the role of the thread that got it, where the scenario has more than one.
	Thread string `json:"thread,omitempty"`
	// Raw is the whole siginfo_t, 128 bytes in hexadecimal.
	Raw string `json:"raw"`
}

// Exit is a wait status (wait(2)).
type Exit struct {
	// Code is the exit status; -1 when a signal ended the process.
	Code int `json:"code"`
	// Signal is the name of the signal that ended it, or empty.
	Signal string `json:"signal,omitempty"`
	Core   bool   `json:"core,omitempty"`
}

// NewSignal makes a Signal of a decoded payload; addr is its canonical address.
func NewSignal(in siginfo.Info, addr string) Signal {
	return Signal{
		Signo: in.Signo, Name: siginfo.SignalName(in.Signo),
		Code: in.Code, CodeName: siginfo.CodeName(in.Signo, in.Code),
		Addr: addr, LSB: in.AddrLSB, Raw: hex.EncodeToString(in.Raw[:]),
	}
}

// Located is the payload with its address: "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005".
func (s Signal) Located() string { return s.String() + " at " + s.Addr }

// String is the payload as a table shows it: "SIGBUS BUS_MCEERR_AR lsb=12".
func (s Signal) String() string {
	out := s.Name + " " + s.CodeName
	if s.LSB != 0 {
		out += fmt.Sprintf(" lsb=%d", s.LSB)
	}
	return out
}

// String is the outcome as a table shows it.
func (o Outcome) String() string { return o.words(Signal.String) }

// Located is the outcome with the addresses of its signals.
func (o Outcome) Located() string { return o.words(Signal.Located) }

// Detailed is the outcome with all that an expectation may ask of it: addresses, and
// what a system call returned or read beside its signals.
func (o Outcome) Detailed() string {
	text := o.Located()
	if len(o.Signals) > 0 && o.Exit == nil {
		if o.Ret != nil && o.Errno == "" && o.Note == "" {
			text += fmt.Sprintf(", returning %d", *o.Ret)
		}
	}
	if o.Data == "" || strings.HasSuffix(text, "0x"+o.Data) {
		return text
	}
	text += " of 0x" + o.Data
	if o.Digest != "" {
		text += "… (" + o.Digest[:min(len(o.Digest), 12)] + ")"
	}
	return text
}

func (o Outcome) words(signal func(Signal) string) string {
	var parts []string
	for _, s := range o.Signals {
		parts = append(parts, signal(s))
	}
	switch {
	case o.Exit != nil && o.Exit.Signal != "":
		died := "killed by " + o.Exit.Signal
		if o.Exit.Core {
			died += " (core)"
		}
		parts = append(parts, died)
	case o.Exit != nil:
		parts = append(parts, fmt.Sprintf("exit %d", o.Exit.Code))
	case o.Errno != "":
		parts = append(parts, o.Errno)
	case o.Note != "":
		parts = append(parts, o.Note)
	case len(o.Signals) == 0 && o.Ret != nil:
		parts = append(parts, fmt.Sprintf("ok %d", *o.Ret))
	case len(o.Signals) == 0 && o.Data != "":
		parts = append(parts, "ok 0x"+o.Data)
	case len(o.Signals) == 0:
		parts = append(parts, "ok")
	}
	return strings.Join(parts, ", ")
}

// Panicked says whether the guest's kernel panicked in the step.
func (o Outcome) Panicked() bool { return strings.HasPrefix(o.Note, klog.PanicMark) }

// HungMark is the note of a step that did not come to its end while the guest went on.
const HungMark = "did not return"

// Hung reports whether the step did not come to its end while the guest went on.
func (o Outcome) Hung() bool { return o.Note == HungMark }

// Step is one thing that was done and what came of it.
type Step struct {
	// Actor is the role of the process that did it: "victim", "second", "agent", "host".
	Actor string `json:"actor"`
	// Action is what was done, in canonical words: "load file+0x4000 width 1".
	Action  string  `json:"action"`
	Outcome Outcome `json:"outcome"`
	// Stuck says where in the kernel a step was that did not return. It is not
	// compared: functions have other names in other kernels.
	Stuck string `json:"stuck,omitempty"`
	// Expected is what the scenario asked of this outcome; nil where it asked nothing.
	Expected *Expectation `json:"expected,omitempty"`
}

// Expectation is what a scenario wants of a step's outcome, and which side of it
// the outcome showed. What that says of the kernel is not judged here.
type Expectation struct {
	// Change is the id of the known kernel change between whose sides the outcome
	// tells; empty where the outcome must be the same on every kernel, and
	// After alone says what it must be.
	Change string `json:"change,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after"`
	// Hidden is the configuration symbol without which user space can't see the
	// change, where the kernel lacks it: only Before is expected then, and the step
	// tells nothing of the change.
	Hidden string `json:"hidden,omitempty"`
	// PartOf is the id of a change that the kernel has a part of only, if the
	// outcome is Part.
	PartOf string `json:"part_of,omitempty"`
	Part   string `json:"part,omitempty"`
	// Masks is the id of the change that the step would tell of, did the kernel not
	// lack Change.
	Masks string `json:"masks,omitempty"`
	// Side is what the outcome showed.
	Side Side `json:"side"`
	// Met says whether that was to be expected of some kernel.
	Met bool `json:"met"`
	// Declared says that the run's user declared the change, and Instead is what
	// the scenario itself asked of the outcome, if anything.
	Declared bool         `json:"declared,omitempty"`
	Instead  *Expectation `json:"instead,omitempty"`
}

// Side of an expectation that an outcome showed.
type Side string

const (
	Before  Side = "before"  // what a kernel without the change shows
	After   Side = "after"   // what a kernel with it shows
	Both    Side = "both"    // where these don't differ
	Partly  Side = "partly"  // what a kernel shows that has a part of the change only
	Neither Side = "neither" // something else
)

// Wanted is what was expected, in words.
func (e Expectation) Wanted() string {
	switch {
	case e.Change == "" || e.Before == e.After:
		return e.After
	case e.Hidden != "":
		return e.Before
	}
	return fmt.Sprintf("%s (without %s) or %s (with it)", e.Before, e.Change, e.After)
}

// Verdict of a cell.
type Verdict string

const (
	// Expected: every expectation was met.
	Expected Verdict = "expected"
	// Unexpected: the kernel behaved otherwise; Cell.Message says how.
	Unexpected Verdict = "unexpected"
	// Skipped: the kernel or the machine lacks what the scenario needs; Cell.Message names it.
	Skipped Verdict = "not_doable"
	// Infra: the scenario could not be judged; Cell.Message says why.
	Infra Verdict = "rig"
)

// Cell is a kernel × a scenario: everything that was observed.
type Cell struct {
	Scenario string  `json:"scenario"`
	Kernel   string  `json:"kernel"` // the kernel's name in the run
	Accel    string  `json:"accel"`  // "tcg" or "kvm"
	Verdict  Verdict `json:"verdict"`
	// Message says what was not as expected, in words for a person.
	Message string `json:"message,omitempty"`
	Steps   []Step `json:"steps,omitempty"`
	// Witnesses are second sources of the same truth, by name: "badblocks",
	// "log", "HardwareCorrupted". Canonical, and part of the comparison.
	Witnesses map[string]string `json:"witnesses,omitempty"`
	// LeftOut says what of a witness is not compared, and why: lines of the log
	// that match a pattern, for example, because what writes them races.
	LeftOut []LeftOut `json:"left_out,omitempty"`
	// Panicked says that the guest's kernel panicked where the scenario did not
	// expect it: trouble with the rig before anything was made bad, unexpected after.
	Panicked bool `json:"panicked,omitempty"`
	// Hung says that a step did not return. Such a cell is observed again.
	Hung bool `json:"hung,omitempty"`
	// KernelLog is what the kernel printed during the scenario, as it printed
	// it. Not part of the comparison: it has times and process ids in it.
	KernelLog []string `json:"kernel_log,omitempty"`
	// ConsoleTail is the end of the console, for cells with verdict Rig.
	ConsoleTail string `json:"console_tail,omitempty"`
	// Registers are those of the guest's processors, where its kernel panicked and
	// nobody expected it, reset the machine, or did not answer any more.
	Registers string `json:"registers,omitempty"`
	// Template is the key, in the cache of the machine that observed, of the frozen
	// guest that one was cloned from; empty where it was booted.
	Template string `json:"template,omitempty"`
	// Earlier is the observation in which the guest panicked, a step did not return or
	// the kernel's watchdogs complained, of a cell that was observed again because of that.
	Earlier *Cell     `json:"earlier,omitempty"`
	Started time.Time `json:"started"`
	Millis  float64   `json:"ms"`                // how long the scenario took, the guest's start included
	Attempt int       `json:"attempt,omitempty"` // with --repeat: which one, from 1
	// Blocks is how many blocks of code TCG translated in its guest, all of which run
	// there for the first time: what it cost, on a machine however busy. 0 with KVM.
	Blocks int `json:"blocks,omitempty"`
	// ObservedBy is the run that observed it, by its id, where that is another one:
	// the cell was taken over from the cache.
	ObservedBy string `json:"observed_by,omitempty"`
}

// Stalls are the complaints of the kernel's watchdogs in the cell's time: see Stall.
func (c Cell) Stalls() []string {
	return slices.DeleteFunc(strings.Split(c.Witnesses[WitnessSplats], "\n"), func(s string) bool { return !klog.Stall(s) })
}

// LeftOut is a part of a witness that is not compared.
type LeftOut struct {
	Witness string `json:"witness"`
	Pattern string `json:"pattern"` // a regular expression
	Reason  string `json:"reason"`
}

// Headlines are what a table shows of cells of one scenario, beside each other:
// where only addresses tell them apart, with these.
func Headlines(cells []Cell) []string {
	texts := func(signal func(Outcome) string) (all []string) {
		for _, c := range cells {
			all = append(all, c.headline(signal))
		}
		return all
	}
	short, long := texts(Outcome.String), texts(Outcome.Located)
	for i := range cells {
		for j := range cells[:i] {
			if short[i] == short[j] && long[i] != long[j] {
				return long
			}
		}
	}
	return short
}

// Headline is what a table shows of the cell: the outcomes that the scenario
// asked something of, in order; those that are the same in a row once, counted.
func (c Cell) Headline() string { return c.headline(Outcome.String) }

func (c Cell) headline(words func(Outcome) string) string {
	switch c.Verdict {
	case Skipped:
		return "not doable"
	case Infra:
		return "rig failed"
	}
	var parts []string
	last, times := "", 0
	flush := func() {
		switch {
		case times > 1:
			parts = append(parts, fmt.Sprintf("%s ×%d", last, times))
		case times == 1:
			parts = append(parts, last)
		}
	}
	for _, s := range c.Steps {
		if s.Expected == nil {
			continue
		}
		if o := words(s.Outcome); o != last || times == 0 {
			flush()
			last, times = o, 0
		}
		times++
	}
	flush()
	if len(parts) == 0 {
		return string(c.Verdict)
	}
	return strings.Join(parts, "; ")
}

// Canonical is the cell's observation as bytes: equal for two cells that saw
// the same thing. Expectations, verdicts, times and the kernel's own words
// stay out of it.
func (c Cell) Canonical() []byte {
	type step struct {
		Actor   string  `json:"actor"`
		Action  string  `json:"action"`
		Outcome Outcome `json:"outcome"`
	}
	form := struct {
		Scenario  string            `json:"scenario"`
		Steps     []step            `json:"steps"`
		Witnesses map[string]string `json:"witnesses"`
	}{Scenario: c.Scenario, Witnesses: c.Witnesses}
	for _, s := range c.Steps {
		form.Steps = append(form.Steps, step{s.Actor, s.Action, s.Outcome})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(form); err != nil {
		panic(err) // strings, numbers and maps of strings always encode
	}
	return b.Bytes()
}
