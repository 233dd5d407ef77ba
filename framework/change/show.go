package change

import "slices"

// StepEffect is the result of steps without a change and with it, for a change that no scenario
// depends on: users declare changes that Faultline does not know in this form.
type StepEffect struct {
	// Scenarios is a glob of scenario ids, as in Change.Scenarios.
	Scenarios string `json:"scenarios"`
	// Step is the number of the step in the scenario, from 1; 0 selects every step that
	// shows Before or After.
	Step int `json:"step,omitempty"`
	// Before and After are the complete result of the step, as observe.Outcome.String
	// or Outcome.Located formats it.
	Before string `json:"before"`
	After  string `json:"after"`
}

// globs returns the globs of all scenarios that the change names.
func (c Change) globs() []string {
	globs := slices.Clone(c.Scenarios)
	for _, s := range c.Steps {
		globs = append(globs, s.Scenarios)
	}
	return globs
}

// With returns the list with more appended. Of two changes with the same id, the first
// remains.
func (l List) With(more List) List {
	out := slices.Clone(l)
	for _, c := range more {
		if _, err := out.ByID(c.ID); err != nil {
			out = append(out, c)
		}
	}
	return out
}
