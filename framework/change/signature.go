package change

import "slices"

// Signature is the effect of a change on any generated program (package
// record/generated). All texts are in their general form (generated.General), and a * in a
// glob matches any text.
//
// A signature cannot express an effect that depends on an earlier step, as on a page that was
// written before its poison, and it predicts single steps, not what a program does after
// them: a process that survives in one kernel only takes further steps.
type Signature struct {
	// Places are globs of generated.Place.Name.
	Places []string
	// Actions are globs of what a step does: "load BYTE"; empty for a witness.
	Actions []string
	// Witness is a glob of a witness's name (observe.Cell.Witnesses); empty for a step.
	Witness string
	// Before and After are the complete result of the step (observe.Outcome.Detailed), or
	// the value of the witness, or a line of it, without the change and with it. Empty, for
	// a line, means that there is none.
	Before, After string
}

// OnStep reports whether the signature is about a step of a program on a place.
func (s Signature) OnStep(place, action string) bool {
	return s.Witness == "" && anyLike(s.Places, place) && anyLike(s.Actions, action)
}

// OnWitness reports whether the signature is about a witness of a program on a place.
func (s Signature) OnWitness(place, witness string) bool {
	return s.Witness != "" && anyLike(s.Places, place) && like(s.Witness, witness)
}

// From reports whether a result, or a value, matches Before.
func (s Signature) From(text string) bool { return like(s.Before, text) }

// To reports whether a result, or a value, matches After.
func (s Signature) To(text string) bool { return like(s.After, text) }

func anyLike(globs []string, text string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return like(g, text) })
}
