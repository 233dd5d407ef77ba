package run

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
)

// Options select what to run and how.
type Options struct {
	Kernels   []matrix.Entry
	Scenarios []string // globs; none selects all
	Label     string   // a Ginkgo label filter
	Accel     string   // "auto", "kvm" or "tcg"
	// Out is the folder for the results; empty creates one in results/, and points
	// results/latest to it.
	Out    string
	Repeat int // how often each cell is observed; 0 means once
	Jobs   int // guests in parallel; 0 means as many as cores and memory allow
	Resume bool
	// All makes an unavailable kernel an error. Without it, such a kernel loses only its
	// own cells, unless no kernel is available.
	All    bool
	Shard  results.Shard
	Origin string // see results.Run
	// Changes are declared by the user, in addition to the known ones.
	Changes change.List

	// Keep stores observed cells in the cache for later runs; Known uses the cells that
	// earlier runs stored. Both ignore repeated cells.
	Keep, Known bool

	Cache    *cache.Cache
	Tool     results.Tool
	Command  []string // what the user typed, for the record
	Progress Progress
}

// Progress receives the progress of a run. Its methods are never called concurrently.
type Progress interface {
	// Phase begins a part of the run: PhaseResolve and so on.
	Phase(name string)
	// Say logs a line about something that took time or failed.
	Say(format string, args ...any)
	// Doing names the current activity, until the next call or Cell.
	Doing(what string)
	// Cell reports a finished cell, number done of total.
	Cell(c observe.Cell, done, total int)
}

// Phases of a run, in their order.
const (
	PhaseList    = "list scenarios"
	PhaseResolve = "resolve kernels"
	PhaseBoot    = "boot"
	PhaseCells   = "cells"
	PhaseReport  = "report"
)

// run is one run in progress.
type run struct {
	Options
	folder   *results.Folder
	record   results.Run
	executor *Executor
	shelves  *shelves

	admitting sync.Mutex // guards toldWhy, and the creation of observer
	toldWhy   bool

	mu    sync.Mutex // guards what follows, and Progress
	done  int
	total int
	cells []observe.Cell
	// observed are the cells as observed, before declarations are applied.
	observed []observe.Cell
}

// KernelError is the error of a kernel that is not available. There is no run if the
// request is wrong, a program is missing, or no kernel is available.
type KernelError struct {
	Entry matrix.Entry
	Err   error
}

func (e *KernelError) Error() string { return e.Err.Error() } // which names the kernel

func (e *KernelError) Unwrap() error { return e.Err }

// Do carries out a run and returns its record, which is also in the folder, with
// report.html next to it. An error means that there was no run; failures during a run
// are in the record's cells. If ctx ends, the record is marked Interrupted and contains
// the finished cells.
func Do(ctx context.Context, opt Options) (*results.Run, *results.Folder, error) {
	r := &run{Options: opt}
	defer func() { r.folder.Close() }()
	r.phase(PhaseList)
	suites, picked, err := Pick(ctx, opt.Scenarios, opt.Label)
	if err != nil {
		return nil, nil, err
	}
	if err := r.checkFolder(); err != nil {
		return nil, nil, err
	}
	r.phase(PhaseResolve)
	ks, err := r.prepare(ctx, suites, picked)
	defer func() {
		if r.executor != nil {
			r.executor.Close()
		}
		r.shelves.close()
		for _, k := range ks {
			k.Close()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	if err := r.begin(ctx, ks, picked); err != nil {
		return nil, nil, err
	}
	for _, k := range ks {
		if k.Unavailable != nil {
			continue
		}
		for _, line := range needs.Of(k.Kernel, picked).Brief() {
			r.say("%s", line)
		}
	}
	r.executor.Consoles = func(kernel string) string { return r.folder.Path(results.KernelDir(kernel), "consoles") }
	todo := plan.Make(ks, suites, picked, plan.Options{Shard: r.Shard, Repeat: r.Repeat, Have: r.cells, Kept: r.known(ctx)})
	r.total, r.done = todo.Total, todo.Done
	for _, c := range slices.Concat(todo.Impossible, todo.Kept) {
		r.addCell(c)
	}
	r.phase(PhaseBoot)
	err = r.executor.Boot(ctx, todo.Tasks, r)
	if err != nil && ctx.Err() == nil {
		r.discardRun(ks)
		return nil, nil, err
	}
	for i, k := range ks {
		if err := r.recordBoot(i, k); err != nil {
			return nil, nil, err
		}
	}
	if err := r.folder.PutBegun(r.record); err != nil {
		return nil, nil, err
	}
	r.phase(PhaseCells)
	r.executor.Observe(ctx, todo.Tasks, r.addCell)
	r.phase(PhaseReport)
	record, folder, err := r.finish(ctx)
	if err == nil {
		r.keep(ctx, ks)
	}
	return record, folder, err
}

// Pick returns the suites, and those of their scenarios that globs and a label
// filter select (plan.Select).
func Pick(ctx context.Context, globs []string, label string) ([]plan.Suite, []scenario.Info, error) {
	suites, err := Suites(ctx)
	if err != nil {
		return nil, nil, err
	}
	var all []scenario.Info
	for _, s := range suites {
		all = append(all, s.Scenarios...)
	}
	picked, err := plan.Select(all, globs, label)
	return suites, picked, err
}

func (r *run) phase(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Progress.Phase(name)
}

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Progress.Say(format, args...)
}

func (r *run) doing(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Progress.Doing(what)
}

// prepare resolves the kernels and chooses the accelerator of their guests. A kernel
// that is needed in any case boots while the others are still being resolved.
func (r *run) prepare(ctx context.Context, suites []plan.Suite, picked []scenario.Info) ([]*plan.Kernel, error) {
	r.shelves = r.shelve(suites)
	ks, err := r.resolve(ctx, picked)
	if err != nil {
		return ks, err
	}
	names := map[string]string{}
	for i, k := range ks {
		if other, twice := names[k.Name]; twice {
			return ks, errkind.Requestf("two kernels have the name %q (%s and %s); "+
				"give them different names in a matrix file (name:)", k.Name, other, r.Kernels[i].Spec)
		}
		names[k.Name] = r.Kernels[i].Spec
	}
	return ks, nil
}

// resolve fetches and unpacks the kernels, one per core in parallel, because unpacking
// keeps a core busy. A kernel that is not available loses only its own cells, if others
// are available. The error is that of the first kernel in order; the resolved kernels
// are returned with it.
func (r *run) resolve(ctx context.Context, picked []scenario.Info) ([]*plan.Kernel, error) {
	ks, errs := make([]*plan.Kernel, len(r.Kernels)), make([]error, len(r.Kernels))
	left := int64(len(ks))
	one := func(i int) {
		e := r.Kernels[i]
		r.doing("resolve " + e.Spec)
		k, err := e.Resolve(ctx, kernels.Options{Cache: r.Cache, Log: r.say})
		others := atomic.AddInt64(&left, -1) > 0
		if ks[i], errs[i] = kernelOf(ctx, e, k, err); errs[i] == nil && err == nil {
			errs[i] = r.chooseAccel(ctx, ks[i], picked, others)
		}
	}
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	alone := func(i int) bool { return source.All().Alone(r.Kernels[i].Spec) }
	for i := range ks {
		if !alone(i) {
			g.Go(func() error { one(i); return nil })
		}
	}
	_ = g.Wait() // the errors are in errs
	for i := range ks {
		if alone(i) && !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
			one(i)
		}
	}
	ks = slices.DeleteFunc(ks, func(k *plan.Kernel) bool { return k == nil })
	for _, err := range errs {
		if err != nil {
			return ks, err
		}
	}
	if err := unavailable(ks, r.All); err != nil {
		return ks, err
	}
	for _, k := range ks {
		if k.Unavailable != nil {
			r.say("%s is not available; its cells are infrastructure failures: %v", k.Name, k.Unavailable)
		}
	}
	return ks, nil
}

// kernelOf returns the plan's kernel of an entry that was resolved to k or to err. With
// an infrastructure error the kernel is not available; any other error is returned.
func kernelOf(ctx context.Context, e matrix.Entry, k *kernels.Kernel, err error) (*plan.Kernel, error) {
	switch {
	case err == nil:
		return &plan.Kernel{Kernel: k}, nil
	case ctx.Err() != nil || errkind.Of(err) != errkind.Infra:
		return nil, &KernelError{Entry: e, Err: err}
	}
	return &plan.Kernel{Kernel: e.Unresolved(), Unavailable: &KernelError{Entry: e, Err: err}}, nil
}

// unavailable returns why there can be no run: the first unavailable kernel's error, if
// none is available or all must be.
func unavailable(ks []*plan.Kernel, all bool) error {
	var lost []error
	for _, k := range ks {
		if k.Unavailable != nil {
			lost = append(lost, k.Unavailable)
		}
	}
	if len(lost) == len(ks) || all && len(lost) > 0 {
		return lost[0]
	}
	return nil
}

// chooseAccel chooses the accelerator of a kernel's guests, one kernel at a time, because
// the first probe of KVM boots a guest. While others are still being resolved, it starts
// the boot of a kernel that is needed in any case.
func (r *run) chooseAccel(ctx context.Context, k *plan.Kernel, picked []scenario.Info, others bool) (err error) {
	r.admitting.Lock()
	defer r.admitting.Unlock()
	if r.executor == nil {
		if r.executor, err = NewExecutor(ctx, r.Cache, k.Arch, r.Jobs); err != nil {
			return err
		}
		r.executor.Say, r.executor.Doing = r.say, r.doing
	}
	if k.Accel, k.AccelWhy, err = r.executor.host.Accel(ctx, r.Accel, k.Kernel); err != nil {
		return err
	}
	if k.AccelWhy != "" && !r.toldWhy {
		r.toldWhy = true
		r.say("guests run with %s: KVM cannot run them here; run faultline doctor for the reason", k.Accel)
	}
	if others && r.boots(ctx, k, picked) {
		return r.executor.Early(ctx, k)
	}
	return nil
}

// boots reports whether a kernel's default guest is needed regardless of the other
// kernels. For a shard or a resumed run that depends on the plan of all kernels.
func (r *run) boots(ctx context.Context, k *plan.Kernel, picked []scenario.Info) bool {
	if r.Resume || r.Shard != (results.Shard{}) {
		return false
	}
	todo := plan.Make([]*plan.Kernel{k}, r.shelves.suites, picked, plan.Options{Kept: r.known(ctx)})
	return slices.Contains(needed(todo.Tasks), guest{k, k.Accel})
}

// addCell stores a finished cell.
func (r *run) addCell(c observe.Cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.folder.PutCell(c); err != nil {
		c.Verdict, c.Message = observe.Infra, fmt.Sprintf("store the cell: %v; it was observed as: %s", err, c.Headline())
	}
	r.observed = append(r.observed, c)
	c = judge.Declare([]observe.Cell{c}, r.record.Known())[0] // the file has the cell as observed
	r.cells = append(r.cells, c)
	r.done++
	r.Progress.Cell(c, r.done, r.total)
}

// finish judges the collected cells, and writes the record and the report.
func (r *run) finish(ctx context.Context) (*results.Run, *results.Folder, error) {
	r.record.Cells = r.cells
	r.record.Sort()
	r.record.Interrupted = ctx.Err() != nil
	r.record.Finished = time.Now()
	judge.Run(&r.record)
	if err := r.folder.PutRun(r.record); err != nil {
		return nil, nil, err
	}
	if err := report.Write(r.record, r.folder); err != nil {
		return nil, nil, err
	}
	return &r.record, r.folder, nil
}
