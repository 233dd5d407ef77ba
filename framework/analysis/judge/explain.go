package judge

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/kernels/upstream"
)

// Kernel is what is known of a kernel beside its cells.
type Kernel struct {
	Name string
	// Kernel is where it comes from, as far as its names say.
	upstream.Kernel
	// MadeFrom is the name of the kernel that it was made from, where that is known
	// whatever the two are called.
	MadeFrom string
	// Claims are the changes that its user says it has (true) or does not have (false).
	Claims map[string]bool
}

// NewKernel is a kernel with what its upstream version ("6.1.192", "7.3-rc7") and what
// uname -r prints of it say. Either may be empty.
func NewKernel(name, version, release string, claims map[string]bool) Kernel {
	return Kernel{Name: name, Kernel: upstream.Of(version, release), Claims: claims}
}

// explainer finds what predicts the differences between two cells of a
// scenario. A difference that nothing predicts is left without an explanation,
// also in a scenario that follows a change.
type explainer struct {
	known            change.List
	a, b             Kernel
	cellA, cellB     observe.Cell
	statesA, statesB []ChangeState
}

func (e explainer) explain(diffs []Difference) {
	for i := range diffs {
		d := &diffs[i]
		switch {
		case d.Field == FieldSteps || d.Field == FieldAction:
		case d.Step != WholeCell:
			e.step(d)
		case d.A == notRecorded || d.B == notRecorded:
			e.unasked(d)
		default:
			e.witness(d)
		}
	}
	// Beside what nothing explains, no change is proved to be lost.
	if slices.ContainsFunc(notUnexpected(diffs, []observe.Cell{e.cellA, e.cellB}), unexplained) {
		for i := range diffs {
			diffs[i].Lost = false
		}
	}
}

func unexplained(d Difference) bool { return d.ExplainedBy == "" }

// credit names a change for a difference; onB says that it is B which has it.
func (e explainer) credit(d *Difference, id string, onB bool) {
	d.ExplainedBy = id
	d.Lost = !onB && e.lost(id)
}

// lost reports whether B, whose cell shows what is seen without a change and A's what
// is seen with it, should have the change, and nothing speaks for another reason.
func (e explainer) lost(id string) bool {
	switch StateOf(e.statesB, id).Verdict {
	case Has, SomethingElse:
		return false // its other cells do not agree
	}
	c, err := e.known.ByID(id)
	owes := err == nil && e.b.accountable(c) && (e.b.due(c) != "" || e.b.continues(e.a))
	return owes && sound(e.cellA) && sound(e.cellB)
}

// step explains a difference in a step's outcome: the step follows a change, and
// one outcome is what is seen without it and the other what is seen with it.
// A pattern says all of an outcome, so all that differs follows.
func (e explainer) step(d *Difference) {
	a, b := e.cellA.Steps[d.Step].Expected, e.cellB.Steps[d.Step].Expected
	if a == nil || b == nil || strings.HasSuffix(d.Field, ".raw") {
		return
	}
	// One lacks what must be there before the step tells of the other's change, or of none.
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
	if a.Declared && !e.told(d) {
		return
	}
	switch hidden := a.Hidden + b.Hidden; {
	case hidden != "" && a.Met && b.Met:
		if a.Hidden != "" {
			hidden = a.Hidden
		}
		d.ExplainedBy = "CONFIG_" + hidden
	case a.Side == observe.Before && b.Side == observe.After:
		e.credit(d, a.Change, true)
	case a.Side == observe.After && b.Side == observe.Before:
		e.credit(d, a.Change, false)
	}
}

// told says whether the words in which a user declared a step's two sides tell
// of the field: of a signal's address only where both do, of its thread never.
func (e explainer) told(d *Difference) bool {
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

// unasked explains a witness that one of the cells lacks: a guest that
// panicked, as a change predicts, can't be asked.
func (e explainer) unasked(d *Difference) {
	for i := range min(len(e.cellA.Steps), len(e.cellB.Steps)) {
		a, b := e.cellA.Steps[i], e.cellB.Steps[i]
		if a.Outcome.Panicked() == b.Outcome.Panicked() || a.Expected == nil || b.Expected == nil {
			continue
		}
		step := Difference{Step: i, Field: "note"}
		e.step(&step)
		d.ExplainedBy, d.Lost = step.ExplainedBy, step.Lost
		return
	}
}

// witness explains a difference in a witness by a change whose moves say so, and
// that the kernels are not known to agree in; or by what keeps one of them from
// showing the change.
func (e explainer) witness(d *Difference) {
	if hidden := e.hidden(d); hidden != "" {
		d.ExplainedBy = "CONFIG_" + hidden
		return
	}
	name := strings.TrimPrefix(d.Field, WitnessPrefix)
	empty := func(v string) string {
		if v == noLine {
			return ""
		}
		return v
	}
	for _, c := range e.declaredFirst() {
		for _, m := range c.Witnesses {
			if !m.Takes(d.Scenario, name) {
				continue
			}
			if m.From(empty(d.A)) && m.To(empty(d.B)) && e.may(c.ID, true) {
				e.credit(d, c.ID, true)
				return
			}
			if m.From(empty(d.B)) && m.To(empty(d.A)) && e.may(c.ID, false) {
				e.credit(d, c.ID, false)
				return
			}
		}
	}
}

// declaredFirst are the known changes, a user's before the others: as for steps,
// what a user says of a witness goes before what was known.
func (e explainer) declaredFirst() change.List {
	order := slices.Clone(e.known)
	slices.SortStableFunc(order, func(a, b change.Change) int {
		return min(len(b.Steps), 1) - min(len(a.Steps), 1)
	})
	return order
}

// may says whether a change can be what differs: B has it and A lacks it, or the
// other way round. What a kernel's cells did not show rules nothing out.
func (e explainer) may(id string, onB bool) bool {
	with, without, withCell, withoutCell := e.statesB, e.statesA, e.cellB, e.cellA
	if !onB {
		with, without, withCell, withoutCell = without, with, withoutCell, withCell
	}
	return StateOf(with, id).Verdict != Lacks && StateOf(without, id).Verdict != Has &&
		!shows(withCell, id, observe.Before) && !shows(withoutCell, id, observe.After)
}

// shows reports whether a step of a cell shows a side of a change.
func shows(c observe.Cell, id string, side observe.Side) bool {
	return slices.ContainsFunc(c.Steps, func(s observe.Step) bool {
		return s.Expected != nil && s.Expected.Change == id && s.Expected.Side == side && s.Expected.Hidden == ""
	})
}

// hidden is the symbol without which one of the two kernels, and not the other,
// can't show a change that the scenario follows, where that is why it lacks a count,
// or a line of the log that a change which takes the symbol makes.
func (e explainer) hidden(d *Difference) string {
	a, b := hiddenIn(e.cellA), hiddenIn(e.cellB)
	lacks := func(symbol, v, other string) bool {
		return v == observe.NotCounted || v == noLine && d.Field == WitnessPrefix+observe.WitnessLog && e.makes(symbol, d.Scenario, other)
	}
	if a != "" && b == "" && lacks(a, d.A, d.B) || b != "" && a == "" && lacks(b, d.B, d.A) {
		return a + b
	}
	return ""
}

// makes says whether a line of the log comes with a change that nobody sees
// without the symbol.
func (e explainer) makes(symbol, scenario, line string) bool {
	for _, c := range e.known {
		if slices.Contains(c.NeedsConfig, symbol) && slices.ContainsFunc(c.Witnesses, func(m change.Move) bool {
			return m.Takes(scenario, observe.WitnessLog) && m.After != "" && m.To(line)
		}) {
			return true
		}
	}
	return false
}

// hiddenIn is the symbol that keeps a cell's kernel from showing a change.
func hiddenIn(c observe.Cell) string {
	for _, s := range c.Steps {
		if s.Expected != nil && s.Expected.Hidden != "" {
			return s.Expected.Hidden
		}
	}
	return ""
}

// StateOf is what the states of a kernel say of a change: NotSeen where they have none.
func StateOf(states []ChangeState, id string) ChangeState {
	if i := slices.IndexFunc(states, func(s ChangeState) bool { return s.ID == id }); i >= 0 {
		return states[i]
	}
	return ChangeState{ID: id, Verdict: NotSeen}
}
