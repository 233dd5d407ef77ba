package conclusion

// FindingKind classifies findings.
type FindingKind string

const (
	// LostChange: a kernel does not have a change that its upstream base has, or an older
	// kernel of its own line: a regression. Or it has a bug that its upstream base has fixed.
	LostChange FindingKind = "lost_change"
	// IncompleteChange: a kernel has a change in some scenarios only, or a part of it.
	IncompleteChange FindingKind = "incomplete_change"
	// ContradictedClaim: the observations contradict what the matrix claims of a kernel.
	ContradictedClaim FindingKind = "contradicted_claim"
	// Splat: the kernel logged a complaint (WARNING, BUG, …), or panicked, in a scenario
	// that does not expect it.
	Splat FindingKind = "splat"
	// UnexplainedDifference: two kernels differ and no known change predicts it.
	UnexplainedDifference FindingKind = "unexplained_difference"
	// UnexpectedObservation: the scenario expects this outcome on no kernel.
	UnexpectedObservation FindingKind = "unexpected_observation"
	// NotRepeatable: attempts on the same kernel differ.
	NotRepeatable FindingKind = "not_repeatable"
)

// Finding is something that the user must look at.
type Finding struct {
	Kind FindingKind `json:"kind"`
	// Scenario is empty for a finding about a kernel as a whole.
	Scenario string `json:"scenario,omitempty"`
	// Kernels are the kernels it is about: one, or the two that differ.
	Kernels []string `json:"kernels"`
	// Change is the id of the change it is about, or empty.
	Change string `json:"change,omitempty"`
	// Message describes it for the user.
	Message string `json:"message"`
}
