package judge

import (
	"cmp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/kernels/upstream"
)

// Kernel is what is known of a kernel apart from its cells.
type Kernel struct {
	Name string
	// Kernel is its origin, as far as its version and release show it.
	upstream.Kernel
	// MadeFrom is the name of the kernel that it was built from, if that is known
	// independently of their versions.
	MadeFrom string
	// Claims are the changes that the user claims it has (true) or does not have (false).
	Claims map[string]bool
}

// NewKernel returns a kernel whose origin is read from its upstream version ("6.1.192",
// "7.3-rc7") and its release (uname -r). Either may be empty.
func NewKernel(name, version, release string, claims map[string]bool) Kernel {
	return Kernel{Name: name, Kernel: upstream.Of(version, release), Claims: claims}
}

// explainer finds the changes that predict the differences between two cells of a
// scenario. A difference that nothing predicts stays unexplained, even in a scenario
// that depends on a change.
type explainer struct {
	known            change.List
	a, b             Kernel
	cellA, cellB     observe.Cell
	statesA, statesB []conclusion.ChangeState
}

func (e explainer) explain(diffs []conclusion.Difference) {
	for i := range diffs {
		d := &diffs[i]
		switch {
		case d.Field == conclusion.FieldSteps || d.Field == conclusion.FieldAction:
		case generated.Is(d.Scenario):
			e.signature(d, diffs)
		case d.Step != conclusion.WholeCell:
			e.step(d)
		case d.A == notRecorded || d.B == notRecorded:
			e.unasked(d)
		default:
			e.witness(d)
		}
	}
	e.counters(diffs)
	// An unexplained difference in the cell leaves no proof of a lost change.
	if slices.ContainsFunc(notUnexpected(diffs, []observe.Cell{e.cellA, e.cellB}), unexplained) {
		for i := range diffs {
			diffs[i].Lost = false
		}
	}
}

func unexplained(d conclusion.Difference) bool { return d.ExplainedBy == "" }

// credit records that a change explains a difference; onB means that B, and not A, has it.
func (e explainer) credit(d *conclusion.Difference, id string, onB bool) {
	d.ExplainedBy = id
	d.Lost = !onB && e.lost(id)
}

// lost reports whether B should have a change that A's cell shows and B's does not, and
// nothing points to another reason.
func (e explainer) lost(id string) bool {
	switch conclusion.StateOf(e.statesB, id).Verdict {
	case conclusion.Has, conclusion.SomethingElse:
		return false // other cells of B contradict it
	}
	c, err := e.known.ByID(id)
	owes := err == nil && e.b.accountable(c) && (e.b.due(c) != "" || e.b.continues(e.a))
	return owes && sound(e.cellA) && sound(e.cellB)
}

// step explains a difference in a step's outcome: the step depends on a change, and
// one outcome is that expected without it, the other that expected with it. A pattern describes
// the whole outcome, so it explains every field of it.
func (e explainer) step(d *conclusion.Difference) {
	a, b := e.cellA.Steps[d.Step].Expected, e.cellB.Steps[d.Step].Expected
	if a == nil || b == nil || strings.HasSuffix(d.Field, ".raw") {
		return
	}
	// Without a.Change (or b.Change) the step cannot show the other cell's change.
	switch {
	case a.Change == b.Change:
	case a.Side == observe.Before && a.Masks == b.Change && b.Met:
		e.credit(d, a.Change, true)
		return
	case b.Side == observe.Before && b.Masks == a.Change && a.Met:
		e.credit(d, b.Change, false)
		return
	}
	if a.Change == "" || a.Change != b.Change {
		return
	}
	if a.Declared && !e.declares(d) {
		return
	}
	hidden := cmp.Or(a.Hidden, b.Hidden)
	switch {
	case hidden != "" && a.Met && b.Met:
		d.ExplainedBy = "CONFIG_" + hidden
	case a.Side == observe.Before && b.Side == observe.After:
		e.credit(d, a.Change, true)
	case a.Side == observe.After && b.Side == observe.Before:
		e.credit(d, a.Change, false)
	}
}

// declares reports whether the two outcomes that a user declared for a step include the
// field. A signal's address counts only if both outcomes state it; its thread never counts.
func (e explainer) declares(d *conclusion.Difference) bool {
	located := func(c observe.Cell) bool {
		s := c.Steps[d.Step]
		text := s.Expected.After
		if s.Expected.Side == observe.Before {
			text = s.Expected.Before
		}
		return text != s.Outcome.String()
	}
	switch {
	case strings.HasSuffix(d.Field, ".thread"):
		return false
	case strings.HasSuffix(d.Field, ".addr"):
		return located(e.cellA) && located(e.cellB)
	}
	return true
}

// unasked explains a witness that one of the cells does not have: a guest that
// panicked, as a change predicts, cannot be read.
func (e explainer) unasked(d *conclusion.Difference) {
	for i := range min(len(e.cellA.Steps), len(e.cellB.Steps)) {
		a, b := e.cellA.Steps[i], e.cellB.Steps[i]
		if a.Outcome.Panicked() == b.Outcome.Panicked() || a.Expected == nil || b.Expected == nil {
			continue
		}
		step := conclusion.Difference{Step: i, Field: "note"}
		e.step(&step)
		d.ExplainedBy, d.Lost = step.ExplainedBy, step.Lost
		return
	}
}

// counters explains a difference of the counters of memory failures that no effect predicts:
// they count the results that the log names, so what explains all differences of those
// explains this one.
func (e explainer) counters(diffs []conclusion.Difference) {
	var by *conclusion.Difference
	for i, d := range diffs {
		if d.Field != conclusion.WitnessPrefix+observe.WitnessLog || !strings.Contains(d.A+d.B, "recovery action for") {
			continue
		}
		if unexplained(d) || by != nil && by.ExplainedBy != d.ExplainedBy {
			return
		}
		by = &diffs[i]
	}
	for i := range diffs {
		if d := &diffs[i]; by != nil && d.Field == conclusion.WitnessPrefix+observe.WitnessCounters && unexplained(*d) {
			d.ExplainedBy, d.Lost = by.ExplainedBy, by.Lost
		}
	}
}

// witness explains a difference in a witness by a change whose Witnesses predict it,
// unless both kernels are known to have it or both not; or by the symbol without which
// one of them cannot show the change.
func (e explainer) witness(d *conclusion.Difference) {
	if hidden := e.hidden(d); hidden != "" {
		d.ExplainedBy = "CONFIG_" + hidden
		return
	}
	name := strings.TrimPrefix(d.Field, conclusion.WitnessPrefix)
	if !e.effect(d, name, "") && name == observe.WitnessEvents { // the log has the same lines
		e.effect(d, observe.WitnessLog, "Memory failure: N: ")
	}
}

// effect explains a difference in a witness by a change that alters the witness of this
// name, whose values begin with prefix, and reports whether there is one.
func (e explainer) effect(d *conclusion.Difference, name, prefix string) bool {
	value := func(v string) string {
		if v == noLine {
			return ""
		}
		return prefix + v
	}
	for _, c := range e.declaredFirst() {
		for _, m := range c.Witnesses {
			if !m.Applies(d.Scenario, name) {
				continue
			}
			if m.From(value(d.A)) && m.To(value(d.B)) && e.may(c.ID, true) {
				e.credit(d, c.ID, true)
				return true
			}
			if m.From(value(d.B)) && m.To(value(d.A)) && e.may(c.ID, false) {
				e.credit(d, c.ID, false)
				return true
			}
		}
	}
	return false
}

// declaredFirst returns the known changes, those that declare steps first: as for
// steps, a user's declaration has priority.
func (e explainer) declaredFirst() change.List {
	order := slices.Clone(e.known)
	slices.SortStableFunc(order, func(a, b change.Change) int {
		return min(len(b.Steps), 1) - min(len(a.Steps), 1)
	})
	return order
}

// may reports whether a change can be the difference: B may have it and A may not, or
// the reverse if !onB. A change that a kernel's cells do not show is not ruled out.
func (e explainer) may(id string, onB bool) bool {
	with, without, withCell, withoutCell := e.statesB, e.statesA, e.cellB, e.cellA
	if !onB {
		with, without, withCell, withoutCell = without, with, withoutCell, withCell
	}
	return conclusion.StateOf(with, id).Verdict != conclusion.Lacks &&
		conclusion.StateOf(without, id).Verdict != conclusion.Has &&
		!shows(withCell, id, observe.Before) &&
		!shows(withoutCell, id, observe.After)
}

// shows reports whether a step of a cell shows a side of a change.
func shows(c observe.Cell, id string, side observe.Side) bool {
	return slices.ContainsFunc(c.Steps, func(s observe.Step) bool {
		return s.Expected != nil && s.Expected.Change == id && s.Expected.Side == side && s.Expected.Hidden == ""
	})
}

// hidden returns the symbol that one kernel does not have and the other has, if its absence
// explains the missing count, or the missing log line of a change that needs the symbol.
func (e explainer) hidden(d *conclusion.Difference) string {
	a, b := hiddenIn(e.cellA), hiddenIn(e.cellB)
	absent := func(symbol, v, other string) bool {
		return v == observe.NotCounted ||
			v == noLine && d.Field == conclusion.WitnessPrefix+observe.WitnessLog && e.makes(symbol, d.Scenario, other)
	}
	switch {
	case a != "" && b == "" && absent(a, d.A, d.B):
		return a
	case b != "" && a == "" && absent(b, d.B, d.A):
		return b
	}
	return ""
}

// makes reports whether a change that needs the symbol prints a line of the log.
func (e explainer) makes(symbol, scenario, line string) bool {
	for _, c := range e.known {
		if slices.Contains(c.NeedsConfig, symbol) && slices.ContainsFunc(c.Witnesses, func(m change.WitnessEffect) bool {
			return m.Applies(scenario, observe.WitnessLog) && m.After != "" && m.To(line)
		}) {
			return true
		}
	}
	return false
}

// hiddenIn returns the symbol without which a cell's kernel cannot show a change.
func hiddenIn(c observe.Cell) string {
	for _, s := range c.Steps {
		if s.Expected != nil && s.Expected.Hidden != "" {
			return s.Expected.Hidden
		}
	}
	return ""
}
