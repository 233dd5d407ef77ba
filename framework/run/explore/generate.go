package explore

import (
	"math/rand/v2"
	"path"
	"slices"

	"github.com/faultline/faultline/framework/record/generated"
)

// generator yields programs, each once. Of eight programs, four are of a list of every
// injection with one operation on every place, two of a list of every injection with every
// pair of operations, each on one place, and two are random, half of these a step away from
// one that differed. The lists are in a random order. So a short exploration tries all kinds,
// and a long one tries both lists completely. The same seed yields the same programs, as
// long as interesting is called with the same ones.
type generator struct {
	random *rand.Rand
	about  []string
	seen   map[string]bool
	first  []generated.Program     // those of the exhaustive part that were not yielded yet
	pairs  [][]generated.Operation // an injection and two operations
	pool   []generated.Program     // programs that differed
	turn   int
}

// newGenerator returns a generator of programs on the places that match one of the globs;
// none selects all.
func newGenerator(seed uint64, about []string) *generator {
	g := &generator{random: rand.New(rand.NewPCG(seed, 0)), about: about, seen: map[string]bool{}}
	g.first = g.exhaustive()
	g.random.Shuffle(len(g.first), func(i, j int) { g.first[i], g.first[j] = g.first[j], g.first[i] })
	ops := generated.Operations()
	for _, i := range ops {
		for _, a := range ops {
			for _, b := range ops {
				if i.Injection {
					g.pairs = append(g.pairs, []generated.Operation{i, a, b})
				}
			}
		}
	}
	g.random.Shuffle(len(g.pairs), func(i, j int) { g.pairs[i], g.pairs[j] = g.pairs[j], g.pairs[i] })
	return g
}

// places returns the selected places.
func (g *generator) places() []generated.Place {
	return slices.DeleteFunc(generated.Places(), func(p generated.Place) bool { return !Selected(p, g.about) })
}

// Selected reports whether a place matches one of the globs; none matches all.
func Selected(p generated.Place, about []string) bool {
	return len(about) == 0 || slices.ContainsFunc(about, func(glob string) bool {
		ok, err := path.Match(glob, p.Name)
		return ok && err == nil
	})
}

// exhaustive returns each injection with one operation after it, on each place: on a page
// that was not accessed before, that was read, and that was written.
func (g *generator) exhaustive() (out []generated.Program) {
	ops := generated.Operations()
	named := func(name string) generated.Step {
		i := slices.IndexFunc(ops, func(o generated.Operation) bool { return o.Name == name })
		return generated.Step{Operation: ops[i]}
	}
	for _, p := range g.places() {
		for _, before := range [][]generated.Step{nil, {named("load")}, {named("store")}} {
			for _, i := range ops {
				if !i.Injection {
					continue
				}
				for _, o := range ops {
					for _, r := range append([]generated.Role{generated.Victim}, o.Roles...) {
						steps := slices.Concat(before, []generated.Step{{Operation: i}, {Role: r, Operation: o}})
						if r == generated.Child {
							steps = slices.Insert(steps, len(before), named(generated.Fork))
						}
						if program := (generated.Program{Place: p, Steps: steps}); program.Check() == "" {
							out = append(out, program)
						}
					}
				}
			}
		}
	}
	return out
}

// interesting adds a program to those from which new ones are made.
func (g *generator) interesting(p generated.Program) { g.pool = append(g.pool, p) }

// next returns the next n programs; fewer if there are no more.
func (g *generator) next(n int) (out []generated.Program) {
	// A bound, because with few places all programs may have been seen.
	for tries := 0; len(out) < n && tries < 1000*n; tries++ {
		p := g.any(g.turn)
		g.turn = (g.turn + 1) % 8
		if id := p.ID(); !g.seen[id] && p.Check() == "" {
			g.seen[id] = true
			out = append(out, p)
		}
	}
	return out
}

// any returns the program of a turn, 0 to 7; it may make no sense.
func (g *generator) any(turn int) (p generated.Program) {
	switch {
	case turn < 4 && len(g.first) > 0:
		p, g.first = g.first[0], g.first[1:]
	case turn < 6 && len(g.pairs) > 0:
		p, g.pairs = g.on(g.pairs[0]), g.pairs[1:]
	case len(g.pool) > 0 && g.random.IntN(2) == 0:
		p = g.mutated(one(g, g.pool))
	default:
		p = g.anything()
	}
	return p
}

// on returns a program with these operations, on a random place on which it makes sense; an
// empty one if it makes sense on none. Two of three access the page first, and all that need
// its frame.
func (g *generator) on(ops []generated.Operation) generated.Program {
	var steps []generated.Step
	needsFrame := slices.ContainsFunc(ops, func(o generated.Operation) bool { return o.Frame })
	if g.random.IntN(3) > 0 || needsFrame {
		steps = append(steps, g.step(func(o generated.Operation) bool { return o.Touches && !o.Injection }))
		steps[0].Role = generated.Victim
	}
	for _, o := range ops {
		step := generated.Step{Role: one(g, append([]generated.Role{generated.Victim}, o.Roles...)), Operation: o}
		if step.Role == generated.Child && !slices.ContainsFunc(steps, func(s generated.Step) bool {
			return s.Name == generated.Fork
		}) {
			step.Role = generated.Victim
		}
		steps = append(steps, step)
	}
	var possible []generated.Program
	for _, place := range g.places() {
		if p := (generated.Program{Place: place, Steps: steps}); p.Check() == "" {
			possible = append(possible, p)
		}
	}
	if len(possible) == 0 {
		return generated.Program{}
	}
	return one(g, possible)
}

// anything returns a random program; it may make no sense.
func (g *generator) anything() generated.Program {
	p := generated.Program{Place: one(g, g.places())}
	for range 2 + g.random.IntN(generated.Most-1) {
		p.Steps = append(p.Steps, g.step(func(generated.Operation) bool { return true }))
	}
	return p
}

// mutated returns a program that differs in one step or in the place; it may make no sense.
func (g *generator) mutated(p generated.Program) generated.Program {
	p.Steps = slices.Clone(p.Steps)
	at := g.random.IntN(len(p.Steps))
	another := g.step(func(generated.Operation) bool { return true })
	switch g.random.IntN(4) {
	case 0:
		p.Steps[at] = another
	case 1:
		p.Steps = slices.Insert(p.Steps, at, another)
	case 2:
		p.Steps = append(p.Steps, another)
	default:
		p.Place = one(g, g.places())
	}
	return p
}

// step returns a random step with an operation that is wanted.
func (g *generator) step(wanted func(generated.Operation) bool) generated.Step {
	ops := slices.DeleteFunc(generated.Operations(), func(o generated.Operation) bool { return !wanted(o) })
	o := one(g, ops)
	roles := append([]generated.Role{generated.Victim}, o.Roles...)
	return generated.Step{Role: one(g, roles), Operation: o}
}

func one[T any](g *generator, from []T) T { return from[g.random.IntN(len(from))] }
