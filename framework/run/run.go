package run

import (
	"context"
	"slices"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels/matrix"
)

// Options select what to run and how.
type Options struct {
	Kernels []matrix.Entry
	Selection
	Accel string // "auto", "kvm" or "tcg"
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
	// earlier runs stored. Neither applies to cells with Repeat > 1.
	Keep, Known bool

	Cache    *cache.Cache
	Tool     results.Tool
	Command  []string // what the user typed, for the record
	Progress Progress
}

// Selection selects scenarios.
type Selection struct {
	Scenarios []string          // globs; none selects all
	Label     string            // a Ginkgo label filter
	Programs  []program.Program // the user's, which are scenarios, too
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

// Do carries out a run and returns its record, which is also in the folder, with
// report.html next to it. An error means that there was no run: the request is wrong, a
// program is missing, or no kernel is available (a *KernelError). Failures during a run are
// in the record's cells. If ctx ends, the record is marked Interrupted and contains
// the finished cells.
func Do(ctx context.Context, opt Options) (*results.Run, *results.Folder, error) {
	p := &progress{to: opt.Progress}
	p.phase(PhaseList)
	suites, picked, err := Pick(ctx, opt.Selection)
	if err != nil {
		return nil, nil, err
	}
	rec := &recorder{Options: opt, progress: p}
	defer func() { rec.folder.Close() }()
	if err := rec.checkFolder(); err != nil {
		return nil, nil, err
	}
	var ks []*plan.Kernel
	defer func() { // after the executor, whose guests use their files
		for _, k := range ks {
			k.Close()
		}
	}()
	executor, err := NewExecutor(ctx, opt.Cache, arch.AMD64.Name, opt.Jobs)
	if err != nil {
		return nil, nil, err
	}
	defer executor.Close()
	executor.Log, executor.Doing = p.say, p.doing
	cached := newCachedCells(opt, executor, suites, p)
	defer cached.close()

	p.phase(PhaseResolve)
	res := resolver{Options: opt, progress: p, executor: executor, boots: func(ctx context.Context, k *plan.Kernel) bool {
		// For a shard or a resumed run that depends on the plan of all kernels.
		if opt.Resume || opt.Shard != (results.Shard{}) {
			return false
		}
		alone := plan.Make([]*plan.Kernel{k}, suites, picked, plan.Options{Kept: cached.known(ctx)})
		return slices.Contains(needed(alone.Tasks), guest{k, k.Accel})
	}}
	if ks, err = res.resolve(ctx); err != nil {
		return nil, nil, err
	}
	if err := rec.begin(ctx, executor, suites, ks, picked); err != nil {
		return nil, nil, err
	}
	for _, k := range ks {
		if k.Unavailable != nil {
			continue
		}
		for _, line := range needs.Of(k.Kernel, picked).Brief() {
			p.say("%s", line)
		}
	}
	todo := plan.Make(
		ks,
		suites,
		picked,
		plan.Options{Shard: opt.Shard, Repeat: opt.Repeat, Have: rec.cells, Kept: cached.known(ctx)},
	)
	rec.total, rec.done = todo.Total, todo.Done
	for _, c := range slices.Concat(todo.Impossible, todo.Kept) {
		rec.addCell(c)
	}

	p.phase(PhaseBoot)
	executor.Consoles = rec.consoles
	err = executor.Boot(ctx, todo.Tasks, rec)
	if err != nil && ctx.Err() == nil {
		rec.discard(ks)
		return nil, nil, err
	}
	for i, k := range ks {
		if err := rec.recordBoot(i, k, executor, cached.boot(k)); err != nil {
			return nil, nil, err
		}
	}
	if err := rec.folder.PutBegun(rec.record); err != nil {
		return nil, nil, err
	}

	p.phase(PhaseCells)
	executor.Observe(ctx, todo.Tasks, rec.addCell)

	p.phase(PhaseReport)
	if err := rec.finish(ctx); err != nil {
		return nil, nil, err
	}
	cached.keep(ctx, rec, ks)
	return &rec.record, rec.folder, nil
}

// Pick returns the suites, and those of their scenarios that are selected (plan.Select). A
// generated program is selected by its id; no pattern stands for several.
func Pick(ctx context.Context, s Selection) ([]plan.Suite, []scenario.Info, error) {
	var made []string
	for _, id := range s.Scenarios {
		if !generated.Is(id) || slices.Contains(made, id) {
			continue
		}
		if _, err := generated.Parse(id); err != nil {
			return nil, nil, err
		}
		made = append(made, id)
	}
	suites, err := Suites(ctx, s.Programs, made...)
	if err != nil {
		return nil, nil, err
	}
	var all []scenario.Info
	for _, one := range suites {
		all = append(all, one.Scenarios...)
	}
	picked, err := plan.Select(all, s.Scenarios, s.Label)
	return suites, picked, err
}
