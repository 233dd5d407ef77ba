package change

import "slices"

// Show says what steps show without a change and with it, where no scenario
// follows the change: it is how a user declares one that Faultline does not know.
type Show struct {
	// Scenarios is a glob of scenario ids, as in Change.Scenarios.
	Scenarios string `json:"scenarios"`
	// Step is which step of the scenario it is, from 1; 0 takes every step that
	// shows Before or After.
	Step int `json:"step,omitempty"`
	// Before and After are the whole of what the step shows, as
	// observe.Outcome.String or Outcome.Located words it.
	Before string `json:"before"`
	After  string `json:"after"`
}

// globs are all that a change says of scenarios.
func (c Change) globs() []string {
	globs := slices.Clone(c.Scenarios)
	for _, s := range c.Steps {
		globs = append(globs, s.Scenarios)
	}
	return globs
}

// With is the list with more behind it. Of two with the same id the first stays.
func (l List) With(more List) List {
	out := slices.Clone(l)
	for _, c := range more {
		if _, err := out.ByID(c.ID); err != nil {
			out = append(out, c)
		}
	}
	return out
}
