package baseline

import (
	"slices"

	"github.com/faultline/faultline/framework/record/observe"
)

// Like makes a cell of the baseline and one of a run comparable: actions and expectations
// come from the run's cell, and the run's cell is reduced to what a baseline contains. It
// returns false if the two did not do the same. kernel is the baseline's.
func (b *Baseline) Like(kernel string, thin, full observe.Cell) (x, y observe.Cell, same bool) {
	x, y = thin, full
	if b.did[place{kernel, thin.Scenario}] != did(full.Steps) {
		return x, y, false
	}
	x.Steps, y.Steps = slices.Clone(thin.Steps), slices.Clone(full.Steps)
	for i := range x.Steps {
		s := &x.Steps[i]
		s.Actor, s.Action = y.Steps[i].Actor, y.Steps[i].Action
		s.Expected = asked(y.Steps[i].Expected, *s)
		o := &y.Steps[i].Outcome
		o.Signals = slices.Clone(o.Signals)
		for j, p := range o.Signals {
			o.Signals[j].Signo, o.Signals[j].Code, o.Signals[j].Raw = 0, 0, rest(p) // the names have them
			o.Signals[j].Is32 = false
		}
	}
	return x, y, true
}

// asked returns the expectation of a run's outcome, applied to the baseline's outcome. The
// side of the change is the baseline's own.
func asked(e *observe.Expectation, thin observe.Step) *observe.Expectation {
	if e == nil {
		return nil
	}
	out := *e
	out.Hidden = "" // not known of the baseline's kernel
	out.Side = observe.Both
	if thin.Expected != nil {
		out.Side = thin.Expected.Side
	}
	out.Met = out.Side != observe.Neither && out.Side != observe.Partly
	return &out
}
