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

// Options say what to run and how.
type Options struct {
	Kernels   []matrix.Entry
	Scenarios []string // globs; none takes all
	Label     string   // a Ginkgo label filter
	Accel     string   // "auto", "kvm" or "tcg"
	// Out is the folder for the results; empty makes one in results/, and
	// points results/latest at it.
	Out    string
	Repeat int // how often each cell is observed; 0 means once
	Jobs   int // guests at a time; 0 means as many as cores and memory allow
	Resume bool
	// All has no run where one of the kernels is not available; else it costs its own
	// cells, where others are.
	All    bool
	Shard  results.Shard
	Origin string // see results.Run
	// Changes are those that the user declares, beside those that are known.
	Changes change.List

	// Keep has the cache keep what is observed, for later runs; Known takes from it
	// what earlier runs observed. Not of cells that are repeated.
	Keep, Known bool

	Cache    *cache.Cache
	Tool     results.Tool
	Command  []string // what the user typed, for the record
	Progress Progress
}

// Progress hears how a run goes. Its methods are called one at a time.
type Progress interface {
	// Phase begins a part of the run: PhaseResolve and so on.
	Phase(name string)
	// Say is a line about what takes time or went wrong.
	Say(format string, args ...any)
	// Doing names what is under way, until the next call or Cell.
	Doing(what string)
	// Cell is a finished cell, the done-th of total.
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

// run is one run under way.
type run struct {
	Options
	folder   *results.Folder
	record   results.Run
	observer *Executor
	shelves  *shelves

	admitting sync.Mutex // guards toldWhy, and the making of observer
	toldWhy   bool

	mu    sync.Mutex // guards what follows, and Progress
	done  int
	total int
	cells []observe.Cell
	// observed are the cells as they were observed, before what is declared of them.
	observed []observe.Cell
}

// KernelError says that a kernel could not be had. There was no run where the request
// was wrong or a program is missing, and where none of the kernels could be had.
type KernelError struct {
	Entry matrix.Entry
	Err   error
}

func (e *KernelError) Error() string { return e.Err.Error() } // which names the kernel

func (e *KernelError) Unwrap() error { return e.Err }

// Do carries out a run and returns its record, which is in the folder too, with
// report.html beside it. An error says that there was no run; what went wrong
// within one is in the record's cells. Where ctx ends, the record says
// Interrupted and holds what was finished.
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
		if r.observer != nil {
			r.observer.Close()
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
	r.observer.Consoles = func(kernel string) string { return r.folder.Path(results.KernelDir(kernel), "consoles") }
	todo := plan.Make(ks, suites, picked, plan.Options{Shard: r.Shard, Repeat: r.Repeat, Have: r.cells, Kept: r.known(ctx)})
	r.total, r.done = todo.Total, todo.Done
	for _, c := range slices.Concat(todo.Impossible, todo.Kept) {
		r.addCell(c)
	}
	r.phase(PhaseBoot)
	err = r.observer.Boot(ctx, todo.Tasks, r)
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
	r.observer.Observe(ctx, todo.Tasks, r.addCell)
	r.phase(PhaseReport)
	record, folder, err := r.finish(ctx)
	if err == nil {
		r.keep(ctx, ks)
	}
	return record, folder, err
}

// Pick are the compiled suites, and those of their scenarios that globs and a label
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

// prepare resolves the kernels, and finds out what their guests run with. One that is
// to be booted in any case is booted while the others are still being resolved.
func (r *run) prepare(ctx context.Context, suites []plan.Suite, picked []scenario.Info) ([]*plan.Kernel, error) {
	r.shelves = r.shelve(suites)
	ks, err := r.resolve(ctx, picked)
	if err != nil {
		return ks, err
	}
	names := map[string]string{}
	for i, k := range ks {
		if other, twice := names[k.Name]; twice {
			return ks, errkind.Requestf("two kernels are called %q (%s and %s); name them apart in a matrix file (name:)", k.Name, other, r.Kernels[i].Spec)
		}
		names[k.Name] = r.Kernels[i].Spec
	}
	return ks, nil
}

// resolve fetches and unpacks the kernels, as many at a time as there are cores: to
// unpack one takes a core. One that is not available costs its own cells, where
// others are. The error is that of the first in their order; those that were resolved
// are returned beside it.
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
	_ = g.Wait() // errs has what went wrong
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
			r.say("%s is not available, which costs its cells: %v", k.Name, k.Unavailable)
		}
	}
	return ks, nil
}

// kernelOf is what becomes of an entry that was resolved to k or to an error. Where
// the request is right and nothing is missing here, the kernel is not available.
func kernelOf(ctx context.Context, e matrix.Entry, k *kernels.Kernel, err error) (*plan.Kernel, error) {
	switch {
	case err == nil:
		return &plan.Kernel{Kernel: k}, nil
	case ctx.Err() != nil || errkind.Of(err) != errkind.Infra:
		return nil, &KernelError{Entry: e, Err: err}
	}
	return &plan.Kernel{Kernel: e.Unresolved(), Unavailable: &KernelError{Entry: e, Err: err}}, nil
}

// unavailable is why there can be no run: the first kernel's reason where none is
// available, or where all have to be.
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

// chooseAccel finds out what a kernel's guests run with, one kernel after the other: the
// first look at KVM is a boot. Where others are still to come it lets it boot.
func (r *run) chooseAccel(ctx context.Context, k *plan.Kernel, picked []scenario.Info, others bool) (err error) {
	r.admitting.Lock()
	defer r.admitting.Unlock()
	if r.observer == nil {
		if r.observer, err = NewObserver(ctx, r.Cache, k.Arch, r.Jobs); err != nil {
			return err
		}
		r.observer.Say, r.observer.Doing = r.say, r.doing
	}
	if k.Accel, k.AccelWhy, err = r.observer.rig.Accel(ctx, r.Accel, k.Kernel); err != nil {
		return err
	}
	if k.AccelWhy != "" && !r.toldWhy {
		r.toldWhy = true
		r.say("guests run with %s: KVM does not run them here (faultline doctor tells why)", k.Accel)
	}
	if others && r.boots(ctx, k, picked) {
		return r.observer.Early(ctx, k)
	}
	return nil
}

// boots says that a kernel's usual guest is needed, whatever the other kernels are.
// Of a shard, and of a run that goes on, the plan of all kernels says it.
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
		c.Verdict, c.Message = observe.Infra, fmt.Sprintf("the cell could not be stored: %v; observed was: %s", err, c.Headline())
	}
	r.observed = append(r.observed, c)
	c = judge.Declare([]observe.Cell{c}, r.record.Known())[0] // the file has what was observed
	r.cells = append(r.cells, c)
	r.done++
	r.Progress.Cell(c, r.done, r.total)
}

// finish judges what was gathered and writes the record and the report.
func (r *run) finish(ctx context.Context) (*results.Run, *results.Folder, error) {
	r.record.Cells = r.cells
	r.record.Sort()
	r.record.Interrupted = ctx.Err() != nil
	r.record.Finished = time.Now()
	r.record.Judge()
	if err := r.folder.PutRun(r.record); err != nil {
		return nil, nil, err
	}
	if err := report.Write(r.record, r.folder); err != nil {
		return nil, nil, err
	}
	return &r.record, r.folder, nil
}
