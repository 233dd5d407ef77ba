package explore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// Class is a difference without what depends on the program: which process, which mapping,
// which step. Two programs whose differences have the same class probably show the same
// change.
type Class struct {
	Step  string `json:"step,omitempty"` // what was done: "load PAGE"; empty for a witness
	Field string `json:"field"`
	A     string `json:"a"`
	B     string `json:"b"`
}

// String returns the class on one line.
func (c Class) String() string {
	if c.Step == "" {
		return c.Field + ": " + c.A + " / " + c.B
	}
	return c.Step + ", " + c.Field + ": " + c.A + " / " + c.B
}

// differences returns the classes of the differences between two cells of a program that no
// known change explains, each once, in the order of the steps; and the changes that explain
// others.
func (o Options) differences(a, b observe.Cell) (out []Class, changes []string) {
	if a.Panicked != b.Panicked {
		out = append(out, Class{Field: "panic", A: panicked(a), B: panicked(b)})
	}
	if a.Panicked || b.Panicked { // judge compares no panics
		for _, d := range judge.Differ(a, b) {
			out = add(out, classOf(d))
		}
		return out, nil
	}
	of := func(name string) judge.Kernel {
		return o.Kernels[slices.IndexFunc(o.Kernels, func(k judge.Kernel) bool { return k.Name == name })]
	}
	both := []judge.Kernel{of(a.Kernel), of(b.Kernel)}
	for _, d := range judge.Judge([]observe.Cell{a, b}, both, o.Known).Differences {
		if d.ExplainedBy == "" || d.Lost {
			out = add(out, classOf(d))
		} else {
			changes = add(changes, d.ExplainedBy)
		}
	}
	return out, changes
}

func add[T comparable](list []T, one T) []T {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

func classOf(d conclusion.Difference) Class {
	c := Class{Field: d.Field, A: generated.General(d.A), B: generated.General(d.B)}
	if witness, ok := strings.CutPrefix(d.Field, conclusion.WitnessPrefix); ok {
		// The names of page witnesses have the address: "page flags of file+0x4000".
		c.Field = conclusion.WitnessPrefix + generated.General(witness)
	} else {
		c.Step = generated.General(d.Action)
	}
	return c
}

func panicked(c observe.Cell) string {
	if !c.Panicked {
		return "no panic"
	}
	return cmp.Or(c.Message, "panic")
}
