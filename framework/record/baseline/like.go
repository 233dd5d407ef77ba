package baseline

import (
	"slices"

	"github.com/faultline/faultline/framework/record/observe"
)

// Like makes a cell of the baseline and one of a run comparable: what was done
// and asked is taken from the run's, and of the run's cell is left what a baseline
// keeps. It says false where the two did not do the same. kernel is the baseline's.
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
			o.Signals[j].Signo, o.Signals[j].Code, o.Signals[j].Raw = 0, 0, rest(p.Raw) // the names say them
		}
	}
	return x, y, true
}

// asked is what a scenario asked of a run's outcome, as if it had been asked of
// the baseline's: which side of a change that was, the baseline knows itself.
func asked(e *observe.Expectation, thin observe.Step) *observe.Expectation {
	if e == nil {
		return nil
	}
	out := *e
	out.Hidden = "" // what the kernel's configuration hid is not known
	out.Side = observe.Both
	if thin.Expected != nil {
		out.Side = thin.Expected.Side
	}
	out.Met = out.Side != observe.Neither && out.Side != observe.Partly
	return &out
}
