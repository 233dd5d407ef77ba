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
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/arch"
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
// matches, and a shard has a part of them. lost are the patterns without a kernel.
func Kernels(ctx context.Context, opt Options) (entries []matrix.Entry, lost []string, err error) {
	all, lost, err := matrix.Each(ctx, opt.Kernels, kernels.Options{Cache: opt.Cache, Log: opt.Progress.Say})
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(all, func(e matrix.Entry) bool { return !mine(name(e), opt.Part) }), lost, nil
}

// name identifies a kernel among those of all sweeps in a folder.
func name(e matrix.Entry) string { return cmp.Or(e.Build, e.Spec) }

// mine reports whether a kernel belongs to a shard. That does not depend on the other
// kernels, because the archive may change between two shards.
func mine(name string, part results.Shard) bool {
	if part.Of == 0 {
		return true
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32()%uint32(part.Of)) == part.Index-1
}

// Do carries out a sweep, and returns the merged run, its folder, and what could not be
// observed: patterns and specs. Each costs only its own cells: the next sweep tries it again.
// If ctx ends, the result has the kernels so far.
func Do(ctx context.Context, opt Options) (record *results.Run, folder *results.Folder, lost []string, err error) {
	s := sweep{Options: opt}
	held, err := s.hold()
	if err != nil {
		return nil, nil, nil, err
	}
	defer held.Close()
	entries, lost, err := Kernels(ctx, opt)
	if err == nil {
		err = s.describe(ctx)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	for i, e := range entries {
		k, err := s.observe(ctx, e)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil, nil, nil, err
		}
		if k.Err != nil {
			lost = append(lost, k.Spec)
		}
		k.Number, k.Of = i+1, len(entries)
		if opt.Done != nil {
			opt.Done(k)
		}
	}
	record, folder, err = s.merge(ctx)
	return record, folder, lost, err
}

type sweep struct {
	Options
	now     results.Run // what a run would record now, without kernels and cells
	fetched [][]string  // paths in the cache, by kernel, oldest first
}

// hold locks the sweep's folder against another sweep.
func (s *sweep) hold() (*results.Folder, error) {
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return nil, &results.NotWritableError{Dir: s.Out, Err: err}
	}
	f, err := results.At(s.Out)
	if err == nil {
		err = f.Hold()
	}
	return f, err
}

// describe collects what decides whether an earlier run is still of this sweep.
func (s *sweep) describe(ctx context.Context) error {
	suites, picked, err := run.Pick(ctx, s.Selection)
	if err != nil {
		return err
	}
	x, err := run.NewExecutor(ctx, s.Cache, arch.AMD64.Name, s.Jobs)
	if err != nil {
		return err
	}
	defer x.Close()
	s.now = results.Run{Tool: s.Tool, Accel: s.Accel, Changes: s.Changes}
	for _, i := range picked {
		s.now.Scenarios = append(s.now.Scenarios, run.Row(i))
	}
	if s.now.Host, err = x.Host(ctx); err != nil {
		return err
	}
	s.now.Suites, err = x.Digests(suites, picked)
	return err
}

// outdated reports whether a run was of another build, on another machine, or with other
// flags: its cells cannot be merged with new ones.
func (s *sweep) outdated(r results.Run) bool {
	attempts := 1
	for _, c := range r.Cells {
		attempts = max(attempts, c.Attempt)
	}
	return r.Tool != s.now.Tool || r.Accel != s.now.Accel || !maps.Equal(r.Suites, s.now.Suites) ||
		!reflect.DeepEqual(r.Changes, s.now.Changes) || attempts != max(1, s.Repeat) ||
		r.Host.Unlike(s.now.Host, r.WithKVM()) != ""
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
		results.Slug(name(e)),
	), results.Shard{}
	old, err := s.load(opt.Out)
	if err != nil {
		return k, err
	}
	if old != nil && s.outdated(*old) {
		s.Progress.Say("%s was observed by another build of Faultline or QEMU, or with other flags; observe it again", e.Spec)
		old = nil
	}
	// Without a build, the kernel may have changed since; its run shows that.
	if opt.Resume = old != nil; opt.Resume && e.Build != "" && complete(*old) {
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
	if err != nil && opt.Resume && errkind.Of(err) == errkind.Request && ctx.Err() == nil {
		s.Progress.Say("%v", err)
		opt.Resume = false
		record, folder, err = run.Do(ctx, opt)
	}
	t.end()
	k.Phases = t.phases
	s.drop(before)
	var unavailable *run.KernelError
	switch {
	case errors.As(err, &unavailable) && errkind.Of(err) != errkind.Tool:
		k.Err = err
		return k, nil
	case err != nil:
		return k, err
	}
	k.Run = record
	return k, folder.Close()
}

// load reads the run in a folder; nil if there is none that can be read.
func (s *sweep) load(dir string) (*results.Run, error) {
	f, err := results.At(dir)
	if err != nil {
		return nil, err
	}
	r, _, err := f.LoadBegun(judge.Run)
	if err != nil {
		if !errors.As(err, new(*results.NoRunError)) && !errors.Is(err, fs.ErrNotExist) {
			s.Progress.Say("%v; observe the kernel again", err)
		}
		return nil, nil
	}
	same := slices.EqualFunc(r.Scenarios, s.now.Scenarios, func(a, b results.Scenario) bool { return a.ID == b.ID })
	if r.Tool == s.now.Tool && !same {
		return nil, errkind.Requestf(
			"%s has a run of %d other scenarios, this sweep has %d; give the same flags as before, or another --out",
			dir,
			len(r.Scenarios),
			len(s.now.Scenarios),
		)
	}
	return &r, nil
}

// complete reports whether a run has an observation, or the reason for none, in each cell.
// A kernel that does not boot has none.
func complete(r results.Run) bool {
	return !r.Interrupted && len(r.Cells) > 0 &&
		(slices.ContainsFunc(r.Kernels, func(k results.Kernel) bool { return k.DoesNotBoot }) ||
			!slices.ContainsFunc(r.Cells, func(c observe.Cell) bool { return c.Verdict == observe.Infra }))
}

// merge writes the merged run of all kernels that belong to this sweep, oldest first.
func (s *sweep) merge(ctx context.Context) (*results.Run, *results.Folder, error) {
	dirs, err := os.ReadDir(filepath.Join(s.Out, "runs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	type one struct {
		folder  *results.Folder
		version upstream.Version
		spec    string
	}
	var all []one
	others := 0
	for _, d := range dirs {
		dir := filepath.Join(s.Out, "runs", d.Name())
		r, err := s.load(dir)
		if err != nil {
			return nil, nil, err
		}
		if r == nil || len(r.Kernels) == 0 || s.outdated(*r) {
			others++
			continue
		}
		f, err := results.At(dir)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, one{f, upstream.Of(r.Kernels[0].Version, r.Kernels[0].Release).Version, r.Kernels[0].Spec})
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no kernel was observed; the messages above have the reasons")
	}
	if others > 0 {
		s.Progress.Say("%d earlier runs are of another build of Faultline or QEMU, or with other flags, and are left out; "+
			"faultline history also takes their folders", others)
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(a.version.Compare(b.version), cmp.Compare(a.spec, b.spec)) })
	var folders []*results.Folder
	for _, o := range all {
		folders = append(folders, o.folder)
	}
	return s.replace(ctx, folders)
}

// replace merges runs into the folder all, once the merge has succeeded.
func (s *sweep) replace(ctx context.Context, from []*results.Folder) (*results.Run, *results.Folder, error) {
	to, next := filepath.Join(s.Out, "all"), filepath.Join(s.Out, "all.new")
	if _, err := os.Lstat(to); err == nil {
		if _, err := results.Open(to); err != nil {
			return nil, nil, errkind.Requestf("%s is not the merged run of a sweep (%w); give another --out", to, err)
		}
	}
	if err := os.RemoveAll(next); err != nil {
		return nil, nil, err
	}
	folder, record, err := results.Merge(next, s.Changes, judge.Run, from...)
	if err != nil {
		return nil, nil, err
	}
	// An interrupted run of an earlier sweep is not this one's interruption.
	if record.Interrupted = ctx.Err() != nil; !record.Interrupted {
		judge.Run(&record)
		err = folder.PutRun(record)
	}
	if err := errors.Join(
		err,
		report.Write(record, folder),
		folder.Close(),
		os.RemoveAll(to),
		os.Rename(next, to),
	); err != nil {
		return nil, nil, err
	}
	folder, err = results.Open(to)
	return &record, folder, err
}
