package explore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// status is what the comparison of two kernels in a program came to.
type status int

const (
	same status = iota
	differ
	skipped // it is not possible on one of them
	lost    // an infrastructure failure on one of them
)

// pair is the comparison of a kernel with the first one.
type pair struct {
	status  status
	classes []Class  // the differences that no known change explains
	changes []string // the changes that explain others
	why     string   // of a lost one
}

// seen is what is known of a program. Its cells are in the journal only.
type seen struct {
	cells   []place                     // of the first attempt, by kernel
	pairs   []pair                      // of each kernel but the first; nil until all cells are known
	digests map[int][][sha256.Size]byte // of the cells, by attempt and kernel
}

// observations are what an exploration has observed.
type observations struct {
	Options
	lab     Lab
	journal *journal
	seen    map[string]*seen
	partly  map[key][]located // cells of programs whose other kernels' cells are not known yet
}

// key identifies the observation of a program on all kernels.
type key struct {
	program string
	attempt int
}

// located is a cell and its place in the journal.
type located struct {
	observe.Cell
	place
}

// observe observes those of the programs that were not observed yet, in each of the attempts.
// An infrastructure failure is observed once more.
func (o *observations) observe(ctx context.Context, programs []generated.Program, attempts ...int) error {
	for _, last := range []bool{false, true} {
		var wanted []Wanted
		for _, p := range programs {
			for _, attempt := range attempts {
				if s := o.seen[p.ID()]; s == nil || s.digests[attempt] == nil {
					wanted = append(wanted, Wanted{p, attempt, o.missing(key{p.ID(), attempt})})
				}
			}
		}
		if len(wanted) == 0 {
			return context.Cause(ctx)
		}
		var failed error
		err := o.lab.Observe(ctx, wanted, func(c observe.Cell) {
			if failed == nil {
				failed = o.keep(c, last)
			}
		})
		if err := errors.Join(failed, err); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// missing returns the kernels without a cell of a program.
func (o *observations) missing(k key) (names []string) {
	for _, kernel := range o.Kernels {
		if !slices.ContainsFunc(o.partly[k], func(l located) bool { return l.Kernel == kernel.Name }) {
			names = append(names, kernel.Name)
		}
	}
	return names
}

// keep writes down a cell. A program with an infrastructure failure is forgotten, to be
// observed again, unless this is its last chance.
func (o *observations) keep(c observe.Cell, last bool) error {
	// What only helps to debug a cell is not kept: a night has tens of thousands.
	c.KernelLog, c.ConsoleTail, c.Registers, c.Template, c.Earlier = nil, "", "", "", nil
	p, err := o.journal.add(c)
	if err != nil {
		return err
	}
	return o.take(c, p, last)
}

// take adds a cell to what is known, and compares the kernels once it is the last of a
// program.
func (o *observations) take(c observe.Cell, at place, last bool) error {
	k := key{c.Scenario, c.Attempt}
	i := o.column(c.Kernel)
	if i < 0 {
		return fmt.Errorf("no kernel %q", c.Kernel)
	}
	if _, err := generated.Parse(c.Scenario); err != nil {
		return err
	}
	if s := o.seen[c.Scenario]; s != nil && s.digests[c.Attempt] != nil {
		return nil // of a journal that has it twice
	}
	o.partly[k] = slices.DeleteFunc(o.partly[k], func(l located) bool { return l.Kernel == c.Kernel })
	o.partly[k] = append(o.partly[k], located{c, at})
	if len(o.partly[k]) < len(o.Kernels) {
		return nil
	}
	cells := o.partly[k]
	delete(o.partly, k)
	infra := func(l located) bool { return l.Verdict == observe.Infra }
	if !last && slices.ContainsFunc(cells, infra) {
		for _, l := range cells { // the others need not be observed again
			if !infra(l) {
				o.partly[k] = append(o.partly[k], l)
			}
		}
		return nil
	}
	slices.SortFunc(cells, func(a, b located) int { return o.column(a.Kernel) - o.column(b.Kernel) })
	o.complete(k, cells)
	return nil
}

// complete compares the cells of a program.
func (o *observations) complete(k key, cells []located) {
	s := o.seen[k.program]
	if s == nil {
		s = &seen{digests: map[int][][sha256.Size]byte{}}
		o.seen[k.program] = s
	}
	for _, l := range cells {
		// An observation that cannot be compared differs from every other.
		text := fmt.Appendf(l.Canonical(), "%v %v", l.Panicked, l.Comparable())
		s.digests[k.attempt] = append(s.digests[k.attempt], sha256.Sum256(text))
	}
	if k.attempt > 0 {
		return
	}
	for _, l := range cells {
		s.cells = append(s.cells, l.place)
	}
	for _, l := range cells[1:] {
		s.pairs = append(s.pairs, o.compare(cells[0].Cell, l.Cell))
	}
}

// column returns the number of a kernel, -1 if there is none of that name.
func (o *observations) column(name string) int {
	return slices.IndexFunc(o.Kernels, func(k Kernel) bool { return k.Name == name })
}

// repeats observes a program again, and reports whether two kernels, the first and one other,
// show the same in all attempts.
func (o *observations) repeats(ctx context.Context, p generated.Program, other int) (bool, error) {
	if err := o.observe(ctx, []generated.Program{p}, attempts...); err != nil {
		return false, err
	}
	s := o.seen[p.ID()]
	for _, attempt := range attempts {
		for _, kernel := range []int{0, other} {
			if s.digests[attempt][kernel] != s.digests[0][kernel] {
				return false, nil
			}
		}
	}
	return true, nil
}
