package judge

import (
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// signature explains a difference between the cells of a generated program by a change
// whose signature predicts it: the complete results of the step, or the values of the witness.
// The results as text do not include the raw payload and the thread of a signal.
func (e explainer) signature(d *conclusion.Difference) {
	p, err := generated.Parse(d.Scenario)
	if err != nil || strings.HasSuffix(d.Field, ".raw") || strings.HasSuffix(d.Field, ".thread") {
		return
	}
	on, a, b := e.subject(p.Place.Name, *d)
	for _, c := range e.known {
		for _, s := range c.Signatures {
			switch {
			case !on(s):
			case s.From(a) && s.To(b) && e.may(c.ID, true):
				e.credit(d, c.ID, true)
				return
			case s.From(b) && s.To(a) && e.may(c.ID, false):
				e.credit(d, c.ID, false)
				return
			}
		}
	}
}

// subject returns which signatures are about a difference, and both values in general form.
func (e explainer) subject(place string, d conclusion.Difference) (on func(change.Signature) bool, a, b string) {
	if d.Step != conclusion.WholeCell {
		result := func(c observe.Cell) string { return generated.General(c.Steps[d.Step].Outcome.Detailed()) }
		action := generated.General(d.Action)
		return func(s change.Signature) bool { return s.OnStep(place, action) }, result(e.cellA), result(e.cellB)
	}
	value := func(v string) string {
		if v == noLine {
			return ""
		}
		return generated.General(v)
	}
	name := generated.General(strings.TrimPrefix(d.Field, conclusion.WitnessPrefix))
	return func(s change.Signature) bool { return s.OnWitness(place, name) }, value(d.A), value(d.B)
}
