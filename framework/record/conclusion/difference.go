package conclusion

import (
	"fmt"
	"strings"
)

// WholeCell is the Step of a difference that belongs to no step: a witness.
const WholeCell = -1

// Fields of a Difference that are not a field of a step's outcome.
const (
	// FieldSteps: the cells have different numbers of steps.
	FieldSteps = "steps"
	// FieldAction: the cells did different things from this step on.
	FieldAction = "action"
	// WitnessPrefix begins the field of a witness: "witness:badblocks".
	WitnessPrefix = "witness:"
)

// Difference is one field in which two cells of the same scenario differ.
type Difference struct {
	Scenario string `json:"scenario"`
	KernelA  string `json:"kernel_a"`
	KernelB  string `json:"kernel_b"`
	// AttemptA and AttemptB are set when a kernel is compared with itself.
	AttemptA int `json:"attempt_a,omitempty"`
	AttemptB int `json:"attempt_b,omitempty"`
	// Step is the step's index, from 0; WholeCell for a witness.
	Step   int    `json:"step"`
	Actor  string `json:"actor,omitempty"`
	Action string `json:"action,omitempty"`
	// Field is the path of what differs: "signals[0].code", "errno", "exit",
	// "steps", "witness:badblocks".
	Field string `json:"field"`
	A     string `json:"a"` // the value on KernelA
	B     string `json:"b"` // the value on KernelB
	// ExplainedBy is the id of the known change that predicts it, CONFIG_SYMBOL if
	// a kernel is built without a symbol that the change needs to be seen, or empty.
	ExplainedBy string `json:"explained_by,omitempty"`
	// Lost reports that the change was lost between KernelA and KernelB, which is a
	// finding (LostChange), not an explanation.
	Lost bool `json:"lost,omitempty"`
}

// String returns the difference on one line: what differs, and both values.
func (d Difference) String() string {
	where := d.Field
	if d.Step != WholeCell {
		where = fmt.Sprintf("step %d (%s: %s) %s", d.Step+1, d.Actor, d.Action, d.Field)
	}
	a, b := apart(d.A, d.B)
	return fmt.Sprintf("%s: %s / %s", where, a, b)
}

// apart shortens two values for a one-line message: long ones start shortly before
// they differ.
func apart(a, b string) (string, string) {
	const limit, before = 80, 20
	x, y := []rune(strings.Join(strings.Fields(a), " ")), []rune(strings.Join(strings.Fields(b), " "))
	if len(x) > limit || len(y) > limit {
		same := 0
		for same < min(len(x), len(y)) && x[same] == y[same] {
			same++
		}
		if from := same - before; from > 0 {
			x, y = append([]rune("…"), x[from:]...), append([]rune("…"), y[from:]...)
		}
	}
	word := func(r []rune) string {
		switch {
		case len(r) == 0:
			return `""`
		case len(r) > limit:
			return string(r[:limit-1]) + "…"
		}
		return string(r)
	}
	return word(x), word(y)
}

// Uncompared is an observed cell that could not be compared with the first kernel, in the
// order of columns, that observed the scenario.
type Uncompared struct {
	Scenario string `json:"scenario"`
	KernelA  string `json:"kernel_a"` // the first kernel that observed it
	KernelB  string `json:"kernel_b"`
	Why      string `json:"why"`
}
