// Package sweep observes many kernels, one after another, each in a run of its own, and
// merges the runs. A kernel that was observed is not fetched again, so a sweep can be
// stopped and continued, and grows when new kernels appear. Its folder contains:
//
//	runs/KERNEL/  the results of each kernel's run
//	all/          the merged run
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/upstream"
)

// Options configure a sweep. Out of the run's options is its folder; Resume and Shard are
// not used.
type Options struct {
	run.Options
	// KeepKernels is how many kernels keep their files in the cache, those observed last.
	KeepKernels int
	// Part selects the kernels of a shard.
	Part results.Shard
	// Done is called after each kernel; may be nil.
	Done func(Kernel)
}

// Kernel is a kernel of a sweep after its run.
type Kernel struct {
	Spec       string
	Number, Of int          // 3 of 45
	Run        *results.Run // nil with Err
	Err        error        // why there is no run: the kernel is not available
	Before     bool         // an earlier sweep observed it
	Phases     []Phase
}

// Phase is the duration of a part of a run (run.PhaseBoot and so on).
type Phase struct {
	Name string
	Took time.Duration
}

// Kernels returns the entries of a sweep, newest first: patterns stand for each kernel that
// matches, and a shard has a part of them.
func Kernels(ctx context.Context, opt Options) ([]matrix.Entry, error) {
	all, err := matrix.Each(ctx, opt.Kernels, kernels.Options{Cache: opt.Cache, Log: opt.Progress.Say})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(e matrix.Entry) bool { return !mine(e.Spec, opt.Part) }), nil
}

// mine reports whether a kernel belongs to a shard. That depends on its spec alone, because
// the archive may change between two shards.
func mine(spec string, part results.Shard) bool {
	if part.Of == 0 {
		return true
	}
	h := fnv.New32a()
	h.Write([]byte(spec))
	return int(h.Sum32()%uint32(part.Of)) == part.Index-1
}

// Do carries out a sweep, and returns the merged run and its folder. A kernel that is not
// available costs only its own cells: the next sweep tries it again.
func Do(ctx context.Context, opt Options) (*results.Run, *results.Folder, error) {
	entries, err := Kernels(ctx, opt)
	if err != nil {
		return nil, nil, err
	}
	s := sweep{Options: opt}
	if err := s.pick(ctx); err != nil {
		return nil, nil, err
	}
	for i, e := range entries {
		k, err := s.observe(ctx, e)
		if err != nil {
			return nil, nil, err
		}
		k.Number, k.Of = i+1, len(entries)
		if opt.Done != nil {
			opt.Done(k)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return s.merge()
}

type sweep struct {
	Options
	scenarios []string   // ids
	fetched   [][]string // paths in the cache, by kernel, oldest first
}

// pick finds the ids of the selected scenarios.
func (s *sweep) pick(ctx context.Context) error {
	_, picked, err := run.Pick(ctx, s.Selection)
	for _, i := range picked {
		s.scenarios = append(s.scenarios, i.ID)
	}
	return err
}

// observe runs a kernel, unless an earlier sweep has done so.
func (s *sweep) observe(ctx context.Context, e matrix.Entry) (Kernel, error) {
	k := Kernel{Spec: e.Spec}
	opt := s.Options.Options
	opt.Kernels, opt.Out, opt.Shard = []matrix.Entry{
		e,
	}, filepath.Join(
		s.Out,
		"runs",
		results.Slug(e.Spec),
	), results.Shard{}
	old, err := s.load(opt.Out)
	if err != nil {
		return k, err
	}
	opt.Resume = old != nil && old.Tool == s.Tool
	if opt.Resume && complete(*old) {
		k.Run, k.Before = old, true
		return k, nil
	}
	t := &timer{Progress: s.Progress}
	opt.Progress = t
	before, err := s.cached()
	if err != nil {
		return k, err
	}
	record, folder, err := run.Do(ctx, opt)
	t.end()
	k.Phases = t.phases
	if err := errors.Join(s.drop(before)); err != nil {
		return k, err
	}
	var unavailable *run.KernelError
	switch {
	case ctx.Err() != nil && record == nil:
		return k, context.Cause(ctx)
	case errors.As(err, &unavailable):
		k.Err = err
		return k, nil
	case err != nil:
		return k, err
	}
	k.Run = record
	return k, folder.Close()
}

// load reads the run in a folder; nil if there is none.
func (s *sweep) load(dir string) (*results.Run, error) {
	f, err := results.Open(dir)
	if errors.As(err, new(*results.NoRunError)) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := f.LoadRun(judge.Run)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, x := range r.Scenarios {
		ids = append(ids, x.ID)
	}
	if r.Tool == s.Tool && !slices.Equal(ids, s.scenarios) {
		return nil, errkind.Requestf(
			"%s has a run of %d other scenarios, this sweep has %d; give the same flags as before, or another --out",
			dir,
			len(ids),
			len(s.scenarios),
		)
	}
	return &r, nil
}

// complete reports whether a run has an observation, or the reason for none, in each cell.
func complete(r results.Run) bool {
	return !r.Interrupted && len(r.Cells) > 0 &&
		!slices.ContainsFunc(r.Cells, func(c observe.Cell) bool { return c.Verdict == observe.Infra })
}

// merge writes the merged run of all kernels that this build of Faultline observed, oldest
// first.
func (s *sweep) merge() (*results.Run, *results.Folder, error) {
	dirs, err := filepath.Glob(filepath.Join(s.Out, "runs", "*"))
	if err != nil {
		return nil, nil, err
	}
	type one struct {
		folder  *results.Folder
		version upstream.Version
		spec    string
	}
	var all []one
	others := 0
	for _, dir := range dirs {
		r, err := s.load(dir)
		if err != nil {
			return nil, nil, err
		}
		if r == nil || len(r.Kernels) == 0 || r.Tool != s.Tool {
			others++
			continue
		}
		f, err := results.Open(dir)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one{f, upstream.Of(r.Kernels[0].Version, r.Kernels[0].Release).Version, r.Kernels[0].Spec})
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("no kernel was observed; the messages above have the reasons")
	}
	if others > 0 {
		s.Progress.Say("%d kernels were observed by another build of Faultline, and are left out of %s; "+
			"faultline history also takes their folders", others, s.merged())
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(a.version.Compare(b.version), cmp.Compare(a.spec, b.spec)) })
	var folders []*results.Folder
	for _, o := range all {
		folders = append(folders, o.folder)
	}
	// It contains only what the runs have.
	if err := os.RemoveAll(s.merged()); err != nil {
		return nil, nil, err
	}
	folder, record, err := results.Merge(s.merged(), s.Changes, judge.Run, folders...)
	if err != nil {
		return nil, nil, err
	}
	if err := report.Write(record, folder); err != nil {
		return nil, nil, errors.Join(err, folder.Close())
	}
	return &record, folder, nil
}

func (s *sweep) merged() string { return filepath.Join(s.Out, "all") }
