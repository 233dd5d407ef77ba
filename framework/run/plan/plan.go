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

// Kernel is one that is to be observed.
type Kernel struct {
	*kernels.Kernel
	// Accel is what its guests run with, but for scenarios that need TCG.
	Accel qemu.Accel
	// AccelWhy is why that is not KVM, where auto was asked for.
	AccelWhy string
	// Unavailable is why it could not be fetched: then it is no more than a name and
	// a spec, and its cells are infrastructure failures.
	Unavailable error
}

// Suite is a compiled suite.
type Suite struct {
	Name      string
	Binary    string   // the program that runs it
	Args      []string // what the program is called with, before flags of the suite
	Inputs    string   // what else decides what its scenarios show; empty for most
	Scenarios []scenario.Info
}

// Task is what one process of a suite does: some scenarios of it on a kernel.
type Task struct {
	Kernel    *Kernel
	Suite     Suite
	Scenarios []scenario.Info
	Attempt   int // from 1; 0 where each cell is observed once
}

// Cell is the task's cell of a scenario, before anything was observed.
func (t Task) Cell(i scenario.Info) observe.Cell {
	return observe.Cell{Scenario: i.ID, Kernel: t.Kernel.Name, Accel: i.Accel(string(t.Kernel.Accel)), Attempt: t.Attempt, Started: time.Now()}
}

// mostPerTask bounds the scenarios of one process: small enough to spread over
// the cores and to lose little with a process, large enough that its start (a
// third of a second) does not count.
const mostPerTask = 16

// Options are what makes a plan out of kernels and scenarios.
type Options struct {
	Shard  results.Shard
	Repeat int            // how often each cell is observed; 0 means once
	Have   []observe.Cell // what this run observed already
	// Kept finds a cell that an earlier run observed; nil finds none.
	Kept func(k *Kernel, s Suite, i scenario.Info) (observe.Cell, bool)
}

// Plan is what is to be done.
type Plan struct {
	// Tasks come the longest first, so that none is left alone at the end.
	Tasks []Task
	// Impossible are the cells that say before anything is booted why nothing can be
	// observed: a kernel's configuration rules them out, or the kernel is not available.
	Impossible []observe.Cell
	// Kept are the cells that were observed by an earlier run.
	Kept []observe.Cell
	// Total counts all cells of the plan, Done those that were observed already.
	Total, Done int
}

// Make cuts what is to be done into tasks: the picked ones of the suites'
// scenarios on each kernel.
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
	// Every pair, in an order that depends on the plan alone: what shards share.
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

// impossible says why a scenario can't be observed on a kernel, and what that makes
// of its cell; "" where it can.
func impossible(k *Kernel, i scenario.Info) (verdict observe.Verdict, why string) {
	if k.Unavailable != nil && i.NotDoable == "" {
		return observe.Infra, "the kernel is not available: " + k.Unavailable.Error()
	}
	return observe.Skipped, needs.Impossible(k.Kernel, i)
}
