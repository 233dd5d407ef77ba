// Package observe contains the observations of user space as data: the outcome of each
// step of a scenario, the witnesses (kernel states recorded at its end) by name and in
// canonical form, and the cell (one kernel, one scenario) with all of them. The
// canonical form is the same for two observations of the same kernel. It starts no guests
// and judges nothing.
package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/klog"
)

// Outcome is what a step returned or delivered to its program. The headline is exactly one
// of a signal, an errno, the end of the process, or success (none of these). A system call
// during which BUS_MCEERR_AO arrives has a signal, and a return value or an errno.
type Outcome struct {
	// Ret is a system call's return value; nil for a plain load or store.
	Ret *int64 `json:"ret,omitempty"`
	// Errno is the error's name ("EIO"), empty on success.
	Errno string `json:"errno,omitempty"`
	// Data is the data that was read, in hexadecimal; long data is cut to its first 16
	// bytes, and Digest covers all of it.
	Data   string `json:"data,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Signals are the signals delivered during the step, in order.
	Signals []Signal `json:"signals,omitempty"`
	// Exit is how the process ended, if it ended in this step.
	Exit *Exit `json:"exit,omitempty"`
	// Note is another fact about the step, such as the state of a page ("FilePmdMapped
	// 2048 kB") or a text read from sysfs.
	Note string `json:"note,omitempty"`
}

// Exit is a wait status (wait(2)).
type Exit struct {
	// Code is the exit status; -1 if a signal ended the process.
	Code int `json:"code"`
	// Signal is the name of the signal that ended it, or empty.
	Signal string `json:"signal,omitempty"`
	Core   bool   `json:"core,omitempty"`
}

// String returns the outcome for a table.
func (o Outcome) String() string { return o.text(Signal.String) }

// Located returns the outcome with the addresses of its signals.
func (o Outcome) Located() string { return o.text(Signal.Located) }

// Detailed returns the outcome with everything that an expectation may match: addresses,
// and what a system call returned or read in addition to signals.
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

func (o Outcome) text(signal func(Signal) string) string {
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

// Panicked reports whether the guest's kernel panicked in the step.
func (o Outcome) Panicked() bool { return strings.HasPrefix(o.Note, klog.PanicMark) }

// HungMark is the note of a step that did not return while the guest kept running.
const HungMark = "did not return"

// Hung reports whether the step did not return while the guest kept running.
func (o Outcome) Hung() bool { return o.Note == HungMark }

// Step is an action and its outcome.
type Step struct {
	// Actor is the role of the process that did it: "victim", "second", "agent", "host".
	Actor string `json:"actor"`
	// Action is what was done, in canonical form: "load file+0x4005".
	Action  string  `json:"action"`
	Outcome Outcome `json:"outcome"`
	// Stuck is where in the kernel a step hung that did not return. It is not compared,
	// because function names differ between kernels.
	Stuck string `json:"stuck,omitempty"`
	// Of is the number, from 1, of the generated program's step whose result it is; 0 for
	// other steps. It is not compared.
	Of int `json:"of,omitempty"`
	// Expected is the expectation of the scenario; nil if there is none.
	Expected *Expectation `json:"expected,omitempty"`
}

// Expectation is what a scenario expects of a step's outcome, and which side of it the
// outcome showed. It contains no judgement of the kernel.
type Expectation struct {
	// Change is the id of the known kernel change on which the outcome depends; empty if
	// the outcome must be After on every kernel.
	Change string `json:"change,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after"`
	// Hidden is the configuration symbol without which user space cannot see the change,
	// if the kernel does not have it: then only Before is expected, and the step is no
	// evidence about the change.
	Hidden string `json:"hidden,omitempty"`
	// PartOf is the id of a change that the kernel has only in part if the outcome is
	// Part.
	PartOf string `json:"part_of,omitempty"`
	Part   string `json:"part,omitempty"`
	// Masks is the id of the change on which the step would depend if the kernel had
	// Change.
	Masks string `json:"masks,omitempty"`
	// Side is the side that the outcome showed.
	Side Side `json:"side"`
	// Met reports whether that side is expected of some kernel.
	Met bool `json:"met"`
	// Declared reports that the run's user declared the change; Instead is the scenario's
	// own expectation, if any.
	Declared bool         `json:"declared,omitempty"`
	Instead  *Expectation `json:"instead,omitempty"`
}

// Side is the side of an expectation that an outcome showed.
type Side string

const (
	Before  Side = "before"  // the outcome of a kernel without the change
	After   Side = "after"   // the outcome of a kernel with it
	Both    Side = "both"    // if these are the same
	Partly  Side = "partly"  // the outcome of a kernel with only a part of the change
	Neither Side = "neither" // any other outcome
)

// Wanted describes what was expected.
func (e Expectation) Wanted() string {
	switch {
	case e.Change == "" || e.Before == e.After:
		return e.After
	case e.Hidden != "":
		return e.Before
	}
	return fmt.Sprintf("%s (without %s) or %s (with it)", e.Before, e.Change, e.After)
}

// Verdict is the verdict on a cell.
type Verdict string

const (
	// Expected: every expectation was met.
	Expected Verdict = "expected"
	// Unexpected: the kernel behaved differently; see Cell.Message.
	Unexpected Verdict = "unexpected"
	// Skipped: the kernel or the machine does not have what the scenario needs; see
	// Cell.Message.
	Skipped Verdict = "skipped"
	// Infra: an infrastructure failure, so that the scenario could not be judged; see
	// Cell.Message.
	Infra Verdict = "infra"
)

// Text returns the verdict for a sentence.
func (v Verdict) Text() string {
	if v == Infra {
		return "infrastructure failure"
	}
	return string(v)
}

// Cell is everything that was observed of a scenario on a kernel.
type Cell struct {
	Scenario string  `json:"scenario"`
	Kernel   string  `json:"kernel"` // the kernel's name in the run
	Accel    string  `json:"accel"`  // "tcg" or "kvm"
	Verdict  Verdict `json:"verdict"`
	// Message describes what was not as expected, missing or broken.
	Message string `json:"message,omitempty"`
	Steps   []Step `json:"steps,omitempty"`
	// Witnesses are independent sources of the same facts, by name: "badblocks", "log",
	// "HardwareCorrupted". They are in canonical form, and compared.
	Witnesses map[string]string `json:"witnesses,omitempty"`
	// Ignored are the parts of witnesses that are not compared, with the reason: for
	// example, lines of the log that match a pattern, because their writers race.
	Ignored []Ignored `json:"left_out,omitempty"`
	// Panicked reports that the guest's kernel panicked unexpectedly: an infrastructure
	// failure before the first injection, unexpected after it.
	Panicked bool `json:"panicked,omitempty"`
	// Hung reports that a step did not return. Such a cell is observed again.
	Hung bool `json:"hung,omitempty"`
	// KernelLog is the raw kernel log of the scenario. It is not compared, because it
	// contains times and process ids.
	KernelLog []string `json:"kernel_log,omitempty"`
	// ConsoleTail is the end of the console, for cells with the verdict Infra.
	ConsoleTail string `json:"console_tail,omitempty"`
	// Registers are those of the guest's processors, if its kernel panicked unexpectedly,
	// reset the machine, or stopped answering.
	Registers string `json:"registers,omitempty"`
	// Template is the key of the template from which such a guest was cloned, in the cache
	// of the machine that ran it; empty if it was booted.
	Template string `json:"template,omitempty"`
	// Earlier is the earlier observation of a cell that was observed again because the
	// guest panicked, a step did not return, or the kernel's watchdogs complained.
	Earlier *Cell     `json:"earlier,omitempty"`
	Started time.Time `json:"started"`
	Millis  float64   `json:"ms"`                // duration, including the guest's start
	Attempt int       `json:"attempt,omitempty"` // with --repeat: number of the attempt, from 1
	// Blocks is how many blocks of code TCG translated in its guest, each on its first
	// execution: a measure of cost that does not depend on the machine's load. 0 with KVM.
	Blocks int `json:"blocks,omitempty"`
	// ObservedBy is the id of the run that observed it, if the cell was reused from the
	// cache.
	ObservedBy string `json:"observed_by,omitempty"`
}

// Stalls returns the complaints of the kernel's watchdogs during the cell: see Stall.
func (c Cell) Stalls() []string {
	return slices.DeleteFunc(
		strings.Split(c.Witnesses[WitnessSplats], "\n"),
		func(s string) bool { return !klog.Stall(s) },
	)
}

// Ignored is a part of a witness that is not compared.
type Ignored struct {
	Witness string `json:"witness"`
	Pattern string `json:"pattern"` // a regular expression
	Reason  string `json:"reason"`
}

// Headlines returns the headlines of cells of one scenario for a row of a table. They
// include addresses if cells differ only in these.
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

// Headline returns the cell for a table: the outcomes with expectations, or of the steps of a
// generated program, in order, with consecutive equal ones counted.
func (c Cell) Headline() string { return c.headline(Outcome.String) }

func (c Cell) headline(words func(Outcome) string) string {
	switch c.Verdict {
	case Skipped:
		return "skipped"
	case Infra:
		return "infrastructure failure"
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
		if s.Expected == nil && s.Of == 0 {
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

// Canonical returns the cell's observation as bytes, which are equal if two cells observed
// the same. They do not include expectations, verdicts, times and the raw kernel log.
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
