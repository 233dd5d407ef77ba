package explore

import (
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
	Step  string `json:"step,omitempty"` // what was done: "load BYTE"; empty for a witness
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

// compare compares the cells of two kernels. Two builds of the same kernel must not differ, so
// no known change explains a difference between them.
func (o Options) compare(a, b observe.Cell) pair {
	for _, c := range []observe.Cell{a, b} {
		switch c.Verdict {
		case observe.Skipped:
			return pair{status: skipped}
		case observe.Infra:
			return pair{status: lost, why: c.Kernel + ": " + c.Message}
		}
	}
	of := func(name string) Kernel {
		return o.Kernels[slices.IndexFunc(o.Kernels, func(k Kernel) bool { return k.Name == name })]
	}
	ka, kb, known := of(a.Kernel), of(b.Kernel), o.Known
	if ka.Digest == kb.Digest {
		known = nil
	}
	j := judge.Judge([]observe.Cell{a, b}, []judge.Kernel{ka.Kernel, kb.Kernel}, known)
	if len(j.Uncompared) > 0 {
		return pair{status: lost, why: j.Uncompared[0].Why}
	}
	p := pair{}
	for _, d := range j.Differences {
		p.status = differ
		if d.ExplainedBy == "" || d.Lost {
			p.classes = add(p.classes, classOf(d))
		} else {
			p.changes = add(p.changes, d.ExplainedBy)
		}
	}
	return p
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
		// The names of page witnesses have the address: "kpageflags file+0x4000".
		c.Field = conclusion.WitnessPrefix + generated.General(witness)
	} else {
		c.Step = generated.General(d.Action)
	}
	return c
}
