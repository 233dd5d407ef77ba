package judge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// fields lists what differs between two cells. exact also compares the bytes of the
// raw payload that hold an address, which differs between kernels.
func fields(a, b observe.Cell, exact bool) []conclusion.Difference {
	l := lister{base: conclusion.Difference{Scenario: a.Scenario, KernelA: a.Kernel, KernelB: b.Kernel}, exact: exact}
	l.steps(a.Steps, b.Steps)
	l.witnesses(a.Witnesses, b.Witnesses)
	return l.found
}

// lister collects differences; base has the fields that those of a step share.
type lister struct {
	base  conclusion.Difference
	exact bool
	found []conclusion.Difference
}

func (l *lister) add(field, a, b string) {
	d := l.base
	d.Field, d.A, d.B = field, a, b
	l.found = append(l.found, d)
}

// differ adds a field whose values differ; an empty value is shown as absent.
func (l *lister) differ(field, a, b string) {
	if a == b {
		return
	}
	if a == "" {
		a = absent
	}
	if b == "" {
		b = absent
	}
	l.add(field, a, b)
}

func (l *lister) steps(a, b []observe.Step) {
	for i := range min(len(a), len(b)) {
		l.base.Step, l.base.Actor, l.base.Action = i, a[i].Actor, a[i].Action
		if a[i].Actor != b[i].Actor || a[i].Action != b[i].Action {
			// From here on the steps do not correspond, so outcomes are not comparable.
			l.add(conclusion.FieldAction, a[i].Actor+": "+a[i].Action, b[i].Actor+": "+b[i].Action)
			return
		}
		l.outcome(a[i].Outcome, b[i].Outcome)
	}
	if len(a) != len(b) {
		longer := a
		if len(b) > len(a) {
			longer = b
		}
		at := min(len(a), len(b)) // the first step that only one of them took
		l.base.Step, l.base.Actor, l.base.Action = at, longer[at].Actor, longer[at].Action
		l.add(conclusion.FieldSteps, strconv.Itoa(len(a)), strconv.Itoa(len(b)))
	}
}

func (l *lister) outcome(a, b observe.Outcome) {
	l.differ("ret", ret(a), ret(b))
	l.differ("errno", a.Errno, b.Errno)
	l.differ("data", a.Data, b.Data)
	l.differ("digest", a.Digest, b.Digest)
	if len(a.Signals) != len(b.Signals) {
		l.differ("signals", signals(a.Signals), signals(b.Signals))
	} else {
		for i := range a.Signals {
			l.signal(fmt.Sprintf("signals[%d].", i), a.Signals[i], b.Signals[i])
		}
	}
	l.differ("exit", exit(a.Exit), exit(b.Exit))
	l.differ("note", a.Note, b.Note)
}

func (l *lister) signal(at string, a, b observe.Signal) {
	before := len(l.found)
	l.named(at+"signo", a.Name, b.Name, a.Signo, b.Signo)
	l.named(at+"code", a.CodeName, b.CodeName, a.Code, b.Code)
	l.differ(at+"addr", a.Addr, b.Addr)
	l.differ(at+"lsb", strconv.Itoa(int(a.LSB)), strconv.Itoa(int(b.LSB)))
	l.differ(at+"thread", a.Thread, b.Thread)
	// Raw bytes that repeat these fields, or hold an address, are not compared again.
	l.differ(at+"raw", a.Masked(), b.Masked())
	if l.exact && len(l.found) == before {
		l.differ(at+"raw", a.Raw, b.Raw)
	}
}

// named adds a number that has a name; the number is shown where the names agree.
func (l *lister) named(field, nameA, nameB string, a, b int32) {
	if nameA == nameB && a != b {
		nameA, nameB = fmt.Sprintf("%s (%d)", nameA, a), fmt.Sprintf("%s (%d)", nameB, b)
	}
	l.differ(field, nameA, nameB)
}

// hasLines reports whether a witness consists of lines, which are compared one by one.
func hasLines(witness string) bool {
	return witness == observe.WitnessLog || witness == observe.WitnessSplats || witness == observe.WitnessEvents
}

// notRecorded replaces the value of a witness that one of the cells does not have.
const notRecorded = "not recorded"

func (l *lister) witnesses(a, b map[string]string) {
	l.base.Step, l.base.Actor, l.base.Action = conclusion.WholeCell, "", ""
	var names []string
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		va, inA := a[n]
		vb, inB := b[n]
		switch {
		case inA && inB && va != vb && hasLines(n):
			l.lines(conclusion.WitnessPrefix+n, va, vb)
		case inA && inB && va != vb:
			l.add(conclusion.WitnessPrefix+n, va, vb)
		case observe.Optional(n) && inA != inB: // one kernel does not have it
		case inA && !inB:
			l.add(conclusion.WitnessPrefix+n, va, notRecorded)
		case inB && !inA:
			l.add(conclusion.WitnessPrefix+n, notRecorded, vb)
		}
	}
}

// noLine replaces a line of a log that one of the cells does not have.
const noLine = "no such line"

// lines adds a difference for each line that only one of two logs has.
func (l *lister) lines(field, a, b string) {
	linesA, linesB := lines(a), lines(b)
	for _, line := range linesA {
		if !slices.Contains(linesB, line) {
			l.add(field, line, noLine)
		}
	}
	for _, line := range linesB {
		if !slices.Contains(linesA, line) {
			l.add(field, noLine, line)
		}
	}
}

func lines(text string) []string {
	if text == observe.NothingAboutPoison || text == observe.NoSplats || text == observe.NoEvents {
		return nil
	}
	return strings.Split(text, "\n")
}

func ret(o observe.Outcome) string {
	if o.Ret == nil {
		return ""
	}
	return strconv.FormatInt(*o.Ret, 10)
}

func signals(s []observe.Signal) string {
	var out []string
	for _, one := range s {
		out = append(out, one.String())
	}
	return strings.Join(out, ", ")
}

func exit(e *observe.Exit) string {
	switch {
	case e == nil:
		return ""
	case e.Signal != "":
		if e.Core {
			return "killed by " + e.Signal + " (core)"
		}
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit %d", e.Code)
}
