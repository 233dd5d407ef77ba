package framework

import (
	"time"

	"github.com/faultline/faultline/framework/observe"
)

// recorder gathers what one scenario saw.
type recorder struct {
	started time.Time
	steps   []observe.Step
	witness map[string]string
	klog    []string
	leftOut []observe.LeftOut
	console string // its tail, when the rig failed
	rig     error  // trouble that ended the scenario
	// atEnd keeps expectations that are not met, in words, until the scenario's end.
	atEnd bool
	unmet []string
	// panicked says that the kernel panicked where the scenario did not expect it.
	panicked bool
	// lacks says which of these configuration symbols the kernel lacks.
	lacks func(symbols ...string) []string
}

func newRecorder(lacks func(...string) []string) *recorder {
	return &recorder{started: time.Now(), witness: map[string]string{}, lacks: lacks}
}

// Seen is a recorded step's outcome, for assertions: Expect(seen).To(Follow(…)).
type Seen struct {
	observe.Outcome
	rec   *recorder
	index int
	at    string // the canonical address that was accessed, if any
}

func (r *recorder) add(actor, action string, o observe.Outcome, at string) *Seen {
	r.steps = append(r.steps, observe.Step{Actor: actor, Action: action, Outcome: o})
	return &Seen{Outcome: o, rec: r, index: len(r.steps) - 1, at: at}
}

// String is the step as an assertion's message shows it.
func (s *Seen) String() string {
	step := s.rec.steps[s.index]
	return step.Actor + ": " + step.Action + " → " + s.Outcome.Located()
}
