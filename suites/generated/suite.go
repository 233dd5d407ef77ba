// Package generated is the suite of generated programs (faultline explore): each program is
// a scenario without expectations, whose id is the program.
package generated

import (
	. "github.com/onsi/ginkgo/v2"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/run/suite"
)

var describe = Suite(generated.Suite)

var _ = describe("a generated program", func() {
	for _, p := range suite.Generated() {
		It(p.ID(), Scenario(p.ID(), traits(p)...), func(ctx SpecContext) { run(ctx, p) })
	}
})

// traits returns what a kernel needs for a program.
func traits(p generated.Program) []Trait {
	out := append([]Trait{Needs("MEMORY_FAILURE"), NeedsPageMap()}, setups[p.Place.Name].needs...)
	for _, s := range p.Steps {
		if s.Exact {
			out = append(out, Exactly(), Needs("X86_MCE"))
		}
		out = append(out, operations[s.Name].needs...)
	}
	return out
}

// run carries out a program. A process that ended takes no further step; after a panic or a
// hang, the program ends.
func run(ctx SpecContext, p generated.Program) {
	s := &state{ctx: ctx, g: StartGuest(ctx)}
	s.v = s.g.Victim(ctx)
	setups[p.Place.Name].do(s)
	s.page, s.at = s.m.At(Page(bad)), s.m.At(Page(bad)+inside)
	s.next = s.m.At(Page(bad+1) + inside)
	// A thread ends with the victim, and a child is reached through it.
	ended := map[generated.Role]bool{}
	end := func(r generated.Role) {
		ended[r] = true
		if r == generated.Victim || r == generated.Thread {
			ended[generated.Victim], ended[generated.Thread], ended[generated.Child] = true, true, true
		}
	}
	for i, step := range p.Steps {
		if ended[step.Role] {
			continue
		}
		s.as(step.Role)
		o := operations[step.Name].do(s)
		if o == nil {
			continue
		}
		o.ResultOf(i + 1)
		switch {
		case o.Panicked(), o.Hung():
			return
		case o.Exit != nil:
			end(step.Role)
		}
		if step.Injection && step.Frame && !ended[generated.Victim] {
			// The kernel may have sent the victim a signal.
			if o := s.v.Idle(ctx); o.Panicked() || o.Hung() {
				return
			} else if o.Exit != nil {
				end(generated.Victim)
			}
		}
	}
}
