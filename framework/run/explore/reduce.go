package explore

import (
	"context"
	"slices"

	"github.com/faultline/faultline/framework/record/generated"
)

// plainInjection is the injection that every place has.
const plainInjection = "poison"

// smaller returns the programs that are one step simpler than p and make sense, in the order
// in which they are preferred: without a step, from the end; with the plain injection; on a
// plainer place; with a step by the victim instead of another process.
func smaller(p generated.Program) (out []generated.Program) {
	add := func(place generated.Place, steps []generated.Step) {
		s := generated.Program{Place: place, Steps: steps}
		if s.Check() == "" && !slices.ContainsFunc(out, func(o generated.Program) bool { return o.ID() == s.ID() }) {
			out = append(out, s)
		}
	}
	for i := len(p.Steps) - 1; i >= 0; i-- {
		add(p.Place, slices.Delete(slices.Clone(p.Steps), i, i+1))
		// A child needs its fork: both go.
		if p.Steps[i].Role == generated.Child {
			add(p.Place, slices.DeleteFunc(slices.Clone(p.Steps), func(s generated.Step) bool {
				return s.Name == generated.Fork || s.Role == generated.Child
			}))
		}
	}
	for i, s := range p.Steps {
		if !s.Injection || s.Name == plainInjection {
			continue
		}
		for _, o := range generated.Operations() {
			if o.Name == plainInjection {
				steps := slices.Clone(p.Steps)
				steps[i] = generated.Step{Operation: o}
				add(p.Place, steps)
			}
		}
	}
	for _, name := range p.Place.Plain {
		for _, place := range generated.Places() {
			if place.Name == name {
				add(place, slices.Clone(p.Steps))
			}
		}
	}
	for i, s := range p.Steps {
		if s.Role != generated.Victim {
			steps := slices.Clone(p.Steps)
			steps[i].Role = generated.Victim
			add(p.Place, steps)
			add(p.Place, slices.DeleteFunc(slices.Clone(steps), func(s generated.Step) bool {
				return s.Name == generated.Fork && !slices.ContainsFunc(steps, func(s generated.Step) bool {
					return s.Role == generated.Child
				})
			}))
		}
	}
	return out
}

// reduce returns the smallest program that it finds that shows a class of difference:
// it takes the first simpler program that shows it, until none does. The result depends
// only on what shows returns.
func reduce(
	ctx context.Context, p generated.Program, shows func(context.Context, []generated.Program) ([]bool, error),
) (generated.Program, error) {
	for {
		candidates := smaller(p)
		if len(candidates) == 0 {
			return p, nil
		}
		does, err := shows(ctx, candidates)
		if err != nil {
			return p, err
		}
		i := slices.Index(does, true)
		if i < 0 {
			return p, nil
		}
		p = candidates[i]
	}
}

// within reports whether the operations of a program occur in another one, in their order. The
// plain injection stands for any.
func within(small, large generated.Program) bool {
	at := 0
	for _, s := range large.Steps {
		if at == len(small.Steps) {
			break
		}
		if want := small.Steps[at]; want.Name == s.Name || want.Name == plainInjection && s.Injection {
			at++
		}
	}
	return at == len(small.Steps)
}
