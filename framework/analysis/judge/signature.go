package judge

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// signature explains a difference between the cells of a generated program by a change
// whose signature predicts it: the complete results of the step, or the values of the witness.
// The results as text do not include the raw payload and the thread of a signal. diffs are all
// differences of the program, in order.
func (e explainer) signature(d *conclusion.Difference, diffs []conclusion.Difference) {
	p, err := generated.Parse(d.Scenario)
	if err != nil || strings.HasSuffix(d.Field, ".raw") || strings.HasSuffix(d.Field, ".thread") {
		return
	}
	on, a, b := e.subject(p, *d)
	for _, c := range e.known {
		// A line of the log follows from what a process observed.
		if d.Step == conclusion.WholeCell && !slices.ContainsFunc(diffs, func(o conclusion.Difference) bool {
			return o.Step != conclusion.WholeCell && o.ExplainedBy == c.ID
		}) {
			continue
		}
		for _, s := range c.Signatures {
			lacks, other := e.a, e.b
			switch {
			case !on(s):
				continue
			case s.From(a) && s.To(b) && e.may(c.ID, true):
			case s.From(b) && s.To(a) && e.may(c.ID, false):
				lacks, other = e.b, e.a
			default:
				continue
			}
			// A kernel that should have the change and does not show it is not explained.
			if !lacks.accountable(c) || lacks.due(c) == "" && !lacks.continues(other) {
				d.ExplainedBy = c.ID
			}
			return
		}
	}
}

// subject returns which signatures are about a difference, and both values in general form.
func (e explainer) subject(
	p generated.Program, d conclusion.Difference,
) (on func(change.Signature) bool, a, b string) {
	if d.Step != conclusion.WholeCell {
		result := func(c observe.Cell) string { return generated.General(c.Steps[d.Step].Outcome.Detailed()) }
		action := generated.General(d.Action)
		var done []string
		for _, s := range p.Steps[:min(max(e.cellA.Steps[d.Step].Of, 1), len(p.Steps))] {
			done = append(done, s.Name)
		}
		return func(s change.Signature) bool { return s.OnStep(p.Place.Name, action, done) }, result(e.cellA), result(e.cellB)
	}
	value := func(v string) string {
		if v == noLine {
			return ""
		}
		return generated.General(v)
	}
	name := generated.General(strings.TrimPrefix(d.Field, conclusion.WitnessPrefix))
	return func(s change.Signature) bool { return s.OnWitness(p.Place.Name, name) }, value(d.A), value(d.B)
}
