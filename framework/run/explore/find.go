package explore

import (
	"context"
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// Finding is a difference between two kernels, with the smallest program that shows it.
type Finding struct {
	Program string  `json:"program"` // the id
	KernelA string  `json:"kernel_a"`
	KernelB string  `json:"kernel_b"`
	Classes []Class `json:"classes"` // what differs in the program
	// Programs counts the programs that show it; First is the one that was found first.
	Programs int    `json:"programs"`
	First    string `json:"first"`
	// Cells are those of the program on both kernels.
	Cells []observe.Cell `json:"cells"`

	pair  int
	least generated.Program
	// kinds are the places and processes with which programs were reduced to this one.
	kinds []string
}

// kind returns the place of a program and the processes that take its steps. A difference on
// another place, or by another process, may have another cause.
func kind(p generated.Program) string {
	k := p.Place.Name
	for _, r := range []generated.Role{generated.Child, generated.Second, generated.Thread} {
		if slices.ContainsFunc(p.Steps, func(s generated.Step) bool { return s.Role == r }) {
			k += " " + string(r)
		}
	}
	return k
}

// attribute returns the findings that the differences of a pair of kernels in a program
// belong to, each once, and adds a finding for what belongs to none. stable is false if a
// kernel does not show the same again.
func (x *explorer) attribute(ctx context.Context, p generated.Program, pair int) (all []int, stable bool, err error) {
	confirmed := false
	for _, c := range x.seen[p.ID()].pairs[pair].classes {
		i := x.known(p, pair, c)
		if i < 0 && !confirmed {
			if confirmed, err = x.repeats(ctx, p, pair+1); err != nil || !confirmed {
				return nil, false, err
			}
		}
		if i < 0 {
			if i, err = x.find(ctx, p, pair, c); err != nil {
				return nil, false, err
			}
		}
		all = add(all, i)
	}
	return all, true, nil
}

// known returns the finding that a difference belongs to, -1 for none: its program has the
// same class, its operations are among those of the program, and a program on that place, by
// those processes, was reduced to it.
func (x *explorer) known(p generated.Program, pair int, c Class) int {
	return slices.IndexFunc(x.out.Findings, func(f Finding) bool {
		return f.pair == pair && slices.Contains(f.Classes, c) && within(f.least, p) && slices.Contains(f.kinds, kind(p))
	})
}

// find reduces a program to the smallest that shows a class of difference, and returns its
// finding.
func (x *explorer) find(ctx context.Context, p generated.Program, pair int, c Class) (int, error) {
	x.Doing(fmt.Sprintf("%s; reduce %s", x.state(), p.ID()))
	shows := func(p generated.Program) bool {
		s := x.seen[p.ID()]
		return s != nil && s.pairs != nil && slices.Contains(s.pairs[pair].classes, c)
	}
	least, err := reduce(ctx, p, func(ctx context.Context, all []generated.Program) ([]bool, error) {
		does := make([]bool, len(all))
		var wanted []generated.Program
		for _, s := range all {
			if Selected(s.Place, x.About) {
				wanted = append(wanted, s)
			}
		}
		if err := x.observe(ctx, wanted, 0); err != nil {
			return nil, err
		}
		for i, s := range all {
			if !Selected(s.Place, x.About) || !shows(s) {
				continue
			}
			var err error
			if does[i], err = x.repeats(ctx, s, pair+1); err != nil || does[i] {
				return does, err // a later one is not used
			}
		}
		return does, nil
	})
	if err != nil {
		return 0, err
	}
	at := slices.IndexFunc(x.out.Findings, func(f Finding) bool { return f.Program == least.ID() && f.pair == pair })
	if at >= 0 {
		f := &x.out.Findings[at]
		f.kinds = add(f.kinds, kind(p))
		return at, nil
	}
	f := Finding{
		Program: least.ID(), KernelA: x.Kernels[0].Name, KernelB: x.Kernels[pair+1].Name, First: p.ID(),
		Classes: x.seen[least.ID()].pairs[pair].classes, pair: pair, least: least,
		kinds: add([]string{kind(least)}, kind(p)),
	}
	for _, kernel := range []int{0, pair + 1} {
		cell, err := x.journal.cell(x.seen[f.Program].cells[kernel])
		if err != nil {
			return 0, err
		}
		f.Cells = append(f.Cells, cell)
	}
	x.out.Findings = append(x.out.Findings, f)
	x.generator.interesting(least)
	x.Log("finding %d: %s\n  %s", len(x.out.Findings), f.Program, f.Classes[0])
	return len(x.out.Findings) - 1, nil
}

// Shown reports which findings another kernel shows, too: the one of lab, which is the last of
// opt.Kernels, differs from the finding's first kernel in the same classes.
func Shown(ctx context.Context, lab Lab, opt Options, all []Finding) ([]bool, error) {
	var wanted []Wanted
	for _, f := range all {
		p, err := generated.Parse(f.Program)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, Wanted{Program: p})
	}
	cells := map[string]observe.Cell{}
	if err := lab.Observe(ctx, wanted, func(c observe.Cell) { cells[c.Scenario] = c }); err != nil {
		return nil, err
	}
	shown := make([]bool, len(all))
	for i, f := range all {
		c, ok := cells[f.Program]
		if !ok || !c.Comparable() {
			continue
		}
		found := opt.compare(f.Cells[0], c).classes
		shown[i] = !slices.ContainsFunc(f.Classes, func(c Class) bool { return !slices.Contains(found, c) })
	}
	return shown, nil
}
