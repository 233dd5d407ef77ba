package change

import "slices"

// Signature is the effect of a change on any generated program (package
// record/generated). All texts are in their general form (generated.General), and a * in a
// glob matches any text.
//
// A signature cannot express an effect that depends on more than which operations the program
// has done before, and it predicts single steps, not what a program does after them: a
// process that survives on one kernel only takes further steps.
type Signature struct {
	// Places are globs of generated.Place.Name.
	Places []string
	// Actions are globs of what a step does: "load BYTE"; empty for a witness.
	Actions []string
	// Witness is a glob of a witness's name (observe.Cell.Witnesses); empty for a step. Its
	// value is predicted only if the change is also the reason for a step of the program.
	Witness string
	// After are operations of which the program must have done one before the step, and
	// Without those of which it must have done none; empty for no condition.
	After, Without []string
	// Before and With are the complete result of the step (observe.Outcome.Detailed), or the
	// value of the witness, or a line of it, without the change and with it. Empty, for a
	// line, means that there is none.
	Before, With string
}

// OnStep reports whether the signature is about a step of a program on a place, which has done
// some operations before it.
func (s Signature) OnStep(place, action string, done []string) bool {
	has := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(done, n) })
	}
	return s.Witness == "" && anyLike(s.Places, place) && anyLike(s.Actions, action) &&
		(len(s.After) == 0 || has(s.After)) && !has(s.Without)
}

// OnWitness reports whether the signature is about a witness of a program on a place.
func (s Signature) OnWitness(place, witness string) bool {
	return s.Witness != "" && anyLike(s.Places, place) && like(s.Witness, witness)
}

// From reports whether a result, or a value, matches Before.
func (s Signature) From(text string) bool { return like(s.Before, text) }

// To reports whether a result, or a value, matches With.
func (s Signature) To(text string) bool { return like(s.With, text) }

func anyLike(globs []string, text string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return like(g, text) })
}
