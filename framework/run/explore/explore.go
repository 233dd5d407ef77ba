// Package explore runs generated programs on two or more kernels and finds those on which the
// kernels differ. It observes each kernel against itself first, reduces a program to the
// least that shows a difference, and reports each difference once, with the number of
// programs that show it.
package explore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// Options configure an exploration.
type Options struct {
	Header
	Kernels  []judge.Kernel // each compared with the first
	Known    change.List    // the changes whose signatures explain differences
	Programs int            // how many programs to try; 0 for no limit
	For      time.Duration  // how long to go on; 0 for no limit
	Out      string         // the folder for the journal
	Resume   bool
	// Batch is how many programs are observed before they are compared; 0 means 64.
	Batch int
	// Log logs what was found, and Doing the current state, in a few words.
	Log   func(format string, args ...any)
	Doing func(what string)
}

// Outcome is what an exploration has found so far.
type Outcome struct {
	Programs int `json:"programs"` // that were tried
	Same     int `json:"same"`     // the kernels show the same
	Differ   int `json:"differ"`
	// Changes counts the programs in which a known change explains a difference, by its id.
	Changes map[string]int `json:"changes,omitempty"`
	// Skipped programs were not possible on a kernel, Lost ones had an infrastructure
	// failure, and Unstable ones did not repeat on the same kernel: none is judged.
	Skipped  int       `json:"skipped"`
	Lost     int       `json:"lost"`
	Unstable []string  `json:"unstable,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	// Interrupted reports that the exploration ended before its limits.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Finding is a difference between two kernels, with the least program that shows it.
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

	least generated.Program
}

// defaultBatch is large enough that the cores are idle for a small part of the time, at the
// end of each batch.
const defaultBatch = 64

// attempts are the observations that confirm a difference, besides the first one, 0.
var attempts = []int{1, 2}

// Do explores until a limit is reached or ctx ends.
func Do(ctx context.Context, lab Lab, opt Options) (Outcome, error) {
	opt.Schema = schema
	j, err := openJournal(opt.Out, opt.Header, opt.Resume)
	if err != nil {
		return Outcome{}, err
	}
	defer j.file.Close()
	x := &explorer{Options: opt, lab: lab, journal: j, generator: newGenerator(opt.Seed, opt.About)}
	x.out.Changes = map[string]int{}
	limit := ctx
	if opt.For > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, opt.For)
		defer cancel()
	}
	size := opt.Batch
	if size <= 0 {
		size = defaultBatch
	}
	for limit.Err() == nil {
		n := size
		if opt.Programs > 0 {
			n = min(n, opt.Programs-x.out.Programs)
		}
		programs := x.generator.next(n)
		if len(programs) == 0 {
			break
		}
		if err := x.batch(limit, programs); err != nil {
			if limit.Err() == nil {
				return x.out, err
			}
			break
		}
	}
	x.out.Interrupted = ctx.Err() != nil
	return x.out, x.write()
}

// OutcomeFile is the file in an exploration's folder with its outcome as JSON.
const OutcomeFile = "outcome.json"

func (x *explorer) write() error {
	data, err := json.MarshalIndent(x.out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(x.Out, OutcomeFile), append(data, '\n'), 0o644)
}

type explorer struct {
	Options
	lab       Lab
	journal   *journal
	generator *generator
	out       Outcome
}

// batch tries programs and attributes what differs.
func (x *explorer) batch(ctx context.Context, programs []generated.Program) error {
	x.Doing(fmt.Sprintf("%d programs, %d differ, %d findings", x.out.Programs, x.out.Differ, len(x.out.Findings)))
	if err := x.observe(ctx, programs, 0); err != nil {
		return err
	}
	for _, p := range programs {
		if err := x.judge(ctx, p); err != nil {
			return err
		}
		x.out.Programs++
	}
	return nil
}

// observe observes those of the programs that the journal does not have, in each of the
// attempts.
func (x *explorer) observe(ctx context.Context, programs []generated.Program, attempts ...int) error {
	var wanted []Wanted
	for _, p := range programs {
		for _, attempt := range attempts {
			k := key{p.ID(), attempt}
			if len(x.journal.cells[k]) == 0 && (attempt > 0 || !x.journal.same[k.program]) {
				wanted = append(wanted, Wanted{p, attempt})
			}
		}
	}
	if len(wanted) == 0 {
		return context.Cause(ctx)
	}
	partly := map[key][]observe.Cell{}
	var failed error
	err := x.lab.Observe(ctx, wanted, func(c observe.Cell) {
		k := key{c.Scenario, c.Attempt}
		partly[k] = append(partly[k], c)
		if len(partly[k]) == len(x.Kernels) && failed == nil {
			failed = x.keep(k, partly[k])
			delete(partly, k)
		}
	})
	return errors.Join(failed, err)
}

// keep writes down the cells of a program, in the order of the kernels.
func (x *explorer) keep(k key, cells []observe.Cell) error {
	order := func(c observe.Cell) int {
		return slices.IndexFunc(x.Kernels, func(k judge.Kernel) bool { return k.Name == c.Kernel })
	}
	slices.SortFunc(cells, func(a, b observe.Cell) int { return order(a) - order(b) })
	same := k.attempt == 0 && observed(cells)
	for i := range cells {
		c := &cells[i]
		c.KernelLog, c.ConsoleTail, c.Registers, c.Template = nil, "", "", ""
		same = same && len(judge.Differ(cells[0], *c)) == 0 && c.Panicked == cells[0].Panicked
	}
	if same {
		x.journal.same[k.program] = true
		return x.journal.write(entry{Same: k.program})
	}
	x.journal.cells[k] = cells
	return x.journal.write(entry{Cells: cells})
}

// observed reports whether each cell is an observation.
func observed(cells []observe.Cell) bool {
	return !slices.ContainsFunc(cells, func(c observe.Cell) bool { return !c.Comparable() && !c.Panicked })
}

// judge counts a program, and attributes the differences between its cells.
func (x *explorer) judge(ctx context.Context, p generated.Program) error {
	cells := x.journal.cells[key{p.ID(), 0}]
	is := func(v observe.Verdict) bool {
		return slices.ContainsFunc(cells, func(c observe.Cell) bool { return c.Verdict == v })
	}
	switch {
	case len(cells) == 0:
		x.out.Same++
		return nil
	case is(observe.Skipped):
		x.out.Skipped++
		return nil
	case !observed(cells):
		x.out.Lost++
		return nil
	}
	unknown := false
	explained := map[string]bool{}
	for _, other := range cells[1:] {
		found, changes := x.differences(cells[0], other)
		unknown = unknown || slices.ContainsFunc(found, func(c Class) bool {
			return x.known(p, cells[0], other, c) < 0
		})
		for _, id := range changes {
			explained[id] = true
		}
	}
	if unknown {
		switch repeats, err := x.repeats(ctx, p); {
		case err != nil:
			return err
		case !repeats:
			x.Log("%s does not repeat on one of the kernels; it is not judged", p.ID())
			x.out.Unstable = append(x.out.Unstable, p.ID())
			return nil
		}
	}
	x.out.Differ++
	for id := range explained {
		x.out.Changes[id]++
	}
	for _, other := range cells[1:] {
		if err := x.attribute(ctx, p, cells[0], other); err != nil {
			return err
		}
	}
	return nil
}

// repeats observes a program again, and reports whether each kernel shows the same in all
// attempts.
func (x *explorer) repeats(ctx context.Context, p generated.Program) (bool, error) {
	if err := x.observe(ctx, []generated.Program{p}, attempts...); err != nil {
		return false, err
	}
	first := x.journal.cells[key{p.ID(), 0}]
	for _, attempt := range attempts {
		again := x.journal.cells[key{p.ID(), attempt}]
		if len(again) != len(first) || !observed(again) {
			return false, nil
		}
		for i := range first {
			if len(judge.DifferExactly(first[i], again[i])) > 0 || first[i].Panicked != again[i].Panicked {
				return false, nil
			}
		}
	}
	return true, nil
}

// attribute finds the findings that the differences of a program belong to, and adds a
// finding for what belongs to none.
func (x *explorer) attribute(ctx context.Context, p generated.Program, a, b observe.Cell) error {
	counted := map[int]bool{}
	found, _ := x.differences(a, b)
	for _, c := range found {
		i := x.known(p, a, b, c)
		if i < 0 {
			var err error
			if i, err = x.find(ctx, p, a, b, c); err != nil {
				return err
			}
		}
		counted[i] = true
	}
	for i := range counted {
		x.out.Findings[i].Programs++
	}
	return nil
}

// known returns the finding that a difference belongs to, -1 for none: its program has the
// same class, and its operations are among those of the program.
func (x *explorer) known(p generated.Program, a, b observe.Cell, c Class) int {
	return slices.IndexFunc(x.out.Findings, func(f Finding) bool {
		return f.KernelA == a.Kernel && f.KernelB == b.Kernel && slices.Contains(f.Classes, c) && within(f.least, p)
	})
}

// find reduces a program to the least that shows a class of difference, and returns its
// finding.
func (x *explorer) find(ctx context.Context, p generated.Program, a, b observe.Cell, c Class) (int, error) {
	x.Doing("reduce " + p.ID())
	pair := func(id string, attempt int) []observe.Cell {
		return slices.DeleteFunc(slices.Clone(x.journal.cells[key{id, attempt}]), func(o observe.Cell) bool {
			return o.Kernel != a.Kernel && o.Kernel != b.Kernel
		})
	}
	shown := func(id string) []Class {
		cells := pair(id, 0)
		if len(cells) != 2 || !observed(cells) {
			return nil
		}
		found, _ := x.differences(cells[0], cells[1])
		return found
	}
	least, err := reduce(ctx, p, func(ctx context.Context, all []generated.Program) ([]bool, error) {
		if err := x.observe(ctx, all, 0); err != nil {
			return nil, err
		}
		does := make([]bool, len(all))
		for i, s := range all {
			if !slices.Contains(shown(s.ID()), c) {
				continue
			}
			var err error
			if does[i], err = x.repeats(ctx, s); err != nil || does[i] {
				return does, err // a later one is not used
			}
		}
		return does, nil
	})
	if err != nil {
		return 0, err
	}
	id := least.ID()
	at := slices.IndexFunc(x.out.Findings, func(f Finding) bool {
		return f.Program == id && f.KernelA == a.Kernel && f.KernelB == b.Kernel
	})
	if at >= 0 { // its class has other names in p than in the least program
		return at, nil
	}
	f := Finding{
		Program: id, KernelA: a.Kernel, KernelB: b.Kernel, Classes: shown(id), First: p.ID(), Cells: pair(id, 0),
		least: least,
	}
	x.out.Findings = append(x.out.Findings, f)
	x.generator.interesting(least)
	x.Log("finding %d: %s\n  %s", len(x.out.Findings), id, f.Classes[0])
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
		if !ok || !observed([]observe.Cell{c}) {
			continue
		}
		found, _ := opt.differences(f.Cells[0], c)
		shown[i] = !slices.ContainsFunc(f.Classes, func(c Class) bool { return !slices.Contains(found, c) })
	}
	return shown, nil
}
