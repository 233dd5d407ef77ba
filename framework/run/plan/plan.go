package plan

import (
	"sort"
	"time"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/kernels"
)

// Kernel is a kernel to observe.
type Kernel struct {
	*kernels.Kernel
	// Accel is the accelerator of its guests, except for scenarios that need TCG.
	Accel qemu.Accel
	// AccelWhy is why that is not KVM, if auto was requested.
	AccelWhy string
	// NoTCG is why QEMU cannot run guests under TCG; nil if it can.
	NoTCG error
	// Unavailable is why it could not be fetched: then it has only a name and a spec,
	// and its cells are infrastructure failures.
	Unavailable error
}

// Suite is a suite of scenarios.
type Suite struct {
	Name      string
	Program   string   // the program that runs it
	Args      []string // what the program is called with, before flags of the suite
	Inputs    string   // other inputs that determine its results; empty for most
	Scenarios []scenario.Info
}

// Task is the work of one suite process: some scenarios of the suite on a kernel.
type Task struct {
	Kernel    *Kernel
	Suite     Suite
	Scenarios []scenario.Info
	Attempt   int // from 1; 0 if each cell is observed once
}

// Cell returns the task's cell of a scenario, before anything is observed.
func (t Task) Cell(i scenario.Info) observe.Cell {
	return observe.Cell{
		Scenario: i.ID,
		Kernel:   t.Kernel.Name,
		Accel:    i.Accel(string(t.Kernel.Accel)),
		Attempt:  t.Attempt,
		Started:  time.Now(),
	}
}

// mostPerTask bounds the scenarios of one process: small enough to spread over the cores
// and to lose little with a process, large enough that the start of a process (a third
// of a second) does not matter.
const mostPerTask = 16

// Options determine the plan for given kernels and scenarios.
type Options struct {
	Shard  results.Shard
	Repeat int            // how often each cell is observed; 0 means once
	Have   []observe.Cell // cells that this run has already observed
	// Kept returns a cell that an earlier run observed; nil finds none.
	Kept func(k *Kernel, s Suite, i scenario.Info) (observe.Cell, bool)
}

// Plan is the work of a run.
type Plan struct {
	// Tasks are sorted, the longest first, so that none runs alone at the end.
	Tasks []Task
	// Impossible are the cells that cannot be observed, as is known before any boot: the
	// kernel's configuration rules them out, QEMU does not have the accelerator that the
	// scenario needs, or the kernel is not available.
	Impossible []observe.Cell
	// Kept are the cells that an earlier run observed.
	Kept []observe.Cell
	// Total counts all cells of the plan, Done those that are already observed.
	Total, Done int
}

// Make plans the picked scenarios of the suites on each kernel, split into tasks.
func Make(ks []*Kernel, suites []Suite, picked []scenario.Info, opt Options) Plan {
	wanted := map[string]bool{}
	for _, i := range picked {
		wanted[i.ID] = true
	}
	type key struct {
		kernel, scenario string
		attempt          int
	}
	have := map[key]bool{}
	for _, c := range opt.Have {
		have[key{c.Kernel, c.Scenario, c.Attempt}] = true
	}
	// All pairs, in an order that depends only on the plan, and so is the same in all shards.
	type pair struct {
		k *Kernel
		s Suite
		i scenario.Info
	}
	var pairs []pair
	for _, k := range ks {
		for _, s := range suites {
			for _, i := range s.Scenarios {
				if wanted[i.ID] {
					pairs = append(pairs, pair{k, s, i})
				}
			}
		}
	}
	from, to := opt.Shard.Cut(len(pairs))
	var p Plan
	for n := range max(opt.Repeat, 1) {
		attempt := n + 1
		if opt.Repeat <= 1 {
			attempt = 0
		}
		var t Task
		flush := func() {
			if len(t.Scenarios) > 0 {
				p.Tasks = append(p.Tasks, t)
			}
		}
		for _, c := range pairs[from:to] {
			p.Total++
			if have[key{c.k.Name, c.i.ID, attempt}] {
				p.Done++
				continue
			}
			if verdict, why := impossible(c.k, c.i); why != "" {
				cell := Task{Kernel: c.k, Attempt: attempt}.Cell(c.i)
				cell.Verdict, cell.Message = verdict, why
				p.Impossible = append(p.Impossible, cell)
				continue
			}
			if opt.Kept != nil {
				if cell, ok := opt.Kept(c.k, c.s, c.i); ok {
					cell.Kernel, cell.Attempt = c.k.Name, attempt
					p.Kept = append(p.Kept, cell)
					continue
				}
			}
			if t.Kernel != c.k || t.Suite.Name != c.s.Name || len(t.Scenarios) == mostPerTask {
				flush()
				t = Task{Kernel: c.k, Suite: c.s, Attempt: attempt}
			}
			t.Scenarios = append(t.Scenarios, c.i)
		}
		flush()
	}
	sort.SliceStable(p.Tasks, func(a, b int) bool { return len(p.Tasks[a].Scenarios) > len(p.Tasks[b].Scenarios) })
	return p
}

// impossible returns why a scenario cannot be observed on a kernel, and the verdict of
// its cell; why is "" if it can.
func impossible(k *Kernel, i scenario.Info) (verdict observe.Verdict, why string) {
	if k.Unavailable != nil && i.Skipped == "" {
		return observe.Infra, "the kernel is not available: " + k.Unavailable.Error()
	}
	if why := i.NeedsTCG(k.NoTCG); why != "" {
		return observe.Skipped, why
	}
	return observe.Skipped, needs.Impossible(k.Kernel, i)
}
