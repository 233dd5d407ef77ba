package run

import (
	"sort"
	"time"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/qemu"
)

// Task is what one process of a suite does: some scenarios of it on a kernel.
type Task struct {
	Kernel    *Kernel
	Suite     Suite
	Scenarios []framework.Info
	Attempt   int // from 1; 0 where each cell is observed once
}

// cell is the task's cell of a scenario, before anything was observed.
func (t Task) cell(i framework.Info) observe.Cell {
	return observe.Cell{Scenario: i.ID, Kernel: t.Kernel.Name, Accel: string(t.Kernel.accelFor(i)), Attempt: t.Attempt, Started: time.Now()}
}

// accelFor is what a scenario's guest runs with.
func (k *Kernel) accelFor(i framework.Info) qemu.Accel {
	if i.TCG != "" {
		return qemu.TCG
	}
	return k.Accel
}

// mostPerTask bounds the scenarios of one process: small enough to spread over
// the cores and to lose little with a process, large enough that its start (a
// third of a second) does not count.
const mostPerTask = 16

// plan cuts what is to be done into tasks, the longest first, so that none is
// left alone at the end. What a kernel's configuration rules out is no task, but
// a cell that says so.
func (r *run) plan(ks []*Kernel, suites []Suite, picked []framework.Info) (tasks []Task, impossible []observe.Cell) {
	wanted := map[string]bool{}
	for _, i := range picked {
		wanted[i.ID] = true
	}
	type key struct {
		kernel, scenario string
		attempt          int
	}
	have := map[key]bool{}
	for _, c := range r.cells {
		have[key{c.Kernel, c.Scenario, c.Attempt}] = true
	}
	// Every pair, in an order that depends on the plan alone: what shards share.
	type pair struct {
		k *Kernel
		s Suite
		i framework.Info
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
	from, to := r.Shard.cut(len(pairs))
	for n := range max(r.Repeat, 1) {
		attempt := n + 1
		if r.Repeat <= 1 {
			attempt = 0
		}
		var t Task
		flush := func() {
			if len(t.Scenarios) > 0 {
				tasks = append(tasks, t)
			}
		}
		for _, p := range pairs[from:to] {
			r.total++
			if have[key{p.k.Name, p.i.ID, attempt}] {
				r.done++
				continue
			}
			if why := p.k.impossible(p.i); why != "" {
				c := Task{Kernel: p.k, Attempt: attempt}.cell(p.i)
				c.Verdict, c.Message = observe.NotDoable, why
				impossible = append(impossible, c)
				continue
			}
			if t.Kernel != p.k || t.Suite.Name != p.s.Name || len(t.Scenarios) == mostPerTask {
				flush()
				t = Task{Kernel: p.k, Suite: p.s, Attempt: attempt}
			}
			t.Scenarios = append(t.Scenarios, p.i)
		}
		flush()
	}
	sort.SliceStable(tasks, func(a, b int) bool { return len(tasks[a].Scenarios) > len(tasks[b].Scenarios) })
	return tasks, impossible
}
