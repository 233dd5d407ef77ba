package framework

import (
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
)

// Observation is the outcome of a recorded step. Compare it with an expectation:
// Expect(o).To(BeOutcome(…)).
type Observation struct {
	observe.Outcome
	rec   *suite.Record
	index int
	at    string // the canonical address that was accessed, if any
	why   string // an explanation for messages, which is not recorded
}

// record records a step. at is the canonical address of an access, or empty.
func record(rec *suite.Record, actor, action string, o observe.Outcome, at string) *Observation {
	return &Observation{
		Outcome: o,
		rec:     rec,
		index:   rec.Add(observe.Step{Actor: actor, Action: action, Outcome: o}),
		at:      at,
	}
}

// ResultOf records that the step is the result of a generated program's n-th step, from 1.
func (s *Observation) ResultOf(n int) { s.rec.Steps[s.index].Of = n }

// String returns the step as text, for the message of an assertion.
func (s *Observation) String() string {
	step := s.rec.Steps[s.index]
	text := step.Actor + ": " + step.Action + " → " + s.Outcome.Located()
	if s.why != "" {
		text += " (" + s.why + ")"
	}
	return text
}

// recordHung records a step that did not return.
func (g *Guest) recordHung(actor, action, at string, h *hung) *Observation {
	g.rec.Hung = true
	step := observe.Step{Actor: actor, Action: action, Outcome: observe.Outcome{Note: observe.HungMark}, Stuck: h.where}
	return &Observation{Outcome: step.Outcome, rec: g.rec, index: g.rec.Add(step), at: at, why: h.where}
}
