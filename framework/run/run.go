package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/compare"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/images"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// Options say what to run and how.
type Options struct {
	Kernels   []kernels.Entry
	Scenarios []string // globs; none takes all
	Label     string   // a Ginkgo label filter
	Accel     string   // "auto", "kvm" or "tcg"
	// Out is the folder for the results; empty makes one in results/, and
	// points results/latest at it.
	Out    string
	Repeat int // how often each cell is observed; 0 means once
	Jobs   int // guests at a time; 0 means as many as cores and memory allow
	Resume bool
	Shard  Shard

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
	folder  *results.Folder
	record  results.Run
	rig     *vm.Rig
	silence time.Duration // see the constant

	mu    sync.Mutex // guards what follows, and Progress
	done  int
	total int
	cells []observe.Cell
}

// kernelRun is a kernel of the run.
type kernelRun struct {
	*kernels.Kernel
	accel    qemu.Accel
	template *vm.Template
	has      map[string]bool
	// broken is why nothing can be observed on it: its cells are trouble with
	// the rig, the other kernels' are as good as ever.
	broken error
}

// task is what one process of a suite does.
type task struct {
	kernel  *kernelRun
	suite   Suite
	ids     []string
	attempt int // from 1; 0 where each cell is observed once
}

// Do carries out a run and returns its record, which is in the folder too, with
// report.html beside it. An error says that there was no run; what went wrong
// within one is in the record's cells. Where ctx ends, the record says
// Interrupted and holds what was finished.
func Do(ctx context.Context, opt Options) (*results.Run, *results.Folder, error) {
	r := &run{Options: opt, silence: silence}
	r.phase(PhaseList)
	suites, err := Suites(ctx)
	if err != nil {
		return nil, nil, err
	}
	var all []framework.Info
	for _, s := range suites {
		all = append(all, s.Scenarios...)
	}
	picked, err := Select(all, opt.Scenarios, opt.Label)
	if err != nil {
		return nil, nil, err
	}
	if err := r.checkFolder(); err != nil {
		return nil, nil, err
	}
	r.phase(PhaseResolve)
	ks, err := r.prepare(ctx)
	defer func() {
		for _, k := range ks {
			if k.template != nil {
				k.template.Close()
			}
			k.Close()
		}
		if r.rig != nil {
			r.rig.Close()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
	if err := r.begin(ks, picked); err != nil {
		return nil, nil, err
	}
	tasks := r.plan(ks, suites, picked)
	r.phase(PhaseBoot)
	err = r.boot(ctx, needed(tasks))
	if err != nil && ctx.Err() == nil {
		r.forget(ks)
		return nil, nil, err
	}
	for i, k := range ks {
		r.note(i, k)
	}
	if err := r.folder.PutRun(r.record); err != nil {
		return nil, nil, err
	}
	r.phase(PhaseCells)
	r.carryOut(ctx, tasks)
	r.phase(PhaseReport)
	return r.finish(ctx)
}

// checkFolder reads the run to resume, or says early, before kernels are
// fetched, that results can't be written. Nothing is made or changed yet.
func (r *run) checkFolder() (err error) {
	if !r.Resume {
		return writable(r.Out)
	}
	dir := r.Out
	if dir == "" {
		dir = filepath.Join("results", "latest")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if r.folder, err = results.Open(dir); err != nil {
		var none *results.NoRunError
		if errors.As(err, &none) {
			return requestf("nothing to resume: no run was begun in %s; run without --resume first", dir)
		}
		return requestf("resume: %v", err)
	}
	if r.record, err = r.folder.LoadRun(); err != nil {
		return requestf("resume %s: %v; run without --resume", dir, err)
	}
	return nil
}

// writable says whether a folder can be written to, or made.
func writable(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue
		}
		if err == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err == nil {
			err = unix.Access(at, unix.W_OK|unix.X_OK)
		}
		if err != nil {
			return &results.NotWritableError{Dir: dir, Err: err}
		}
		return nil
	}
}

// createFolder makes the results folder, and has results/latest point at one
// without a name from now on: a run that is killed is the one to resume.
func (r *run) createFolder() error {
	dir := r.Out
	if dir == "" {
		id := results.NewID(time.Now())
		dir = filepath.Join("results", id)
		for n := 2; ; n++ { // another run may have begun in the same second
			if _, err := os.Lstat(dir); err != nil {
				break
			}
			dir = filepath.Join("results", fmt.Sprint(id, "-", n))
		}
	}
	dir, err := filepath.Abs(dir) // the suites' processes run elsewhere
	if err != nil {
		return err
	}
	if r.folder, err = results.Create(dir); err != nil {
		return err
	}
	if r.Out == "" {
		return r.folder.MarkLatest()
	}
	return nil
}

// forget removes what begin made, where the request turned out to be wrong
// afterwards. What else lies in the folder stays.
func (r *run) forget(ks []*kernelRun) {
	if r.Resume {
		return
	}
	for _, k := range ks {
		os.RemoveAll(r.folder.Path(results.KernelDir(k.Name)))
	}
	os.Remove(r.folder.Path(results.RunFile))
	os.Remove(r.folder.Path("kernels"))
	os.Remove(r.folder.Dir()) // fails where anything is in it, as it should
	if r.Out == "" {
		os.Remove(filepath.Join("results", "latest"))
		os.Remove("results")
	}
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

// prepare resolves the kernels, and finds out what their guests run with.
func (r *run) prepare(ctx context.Context) ([]*kernelRun, error) {
	var ks []*kernelRun
	names := map[string]string{}
	for _, e := range r.Kernels {
		r.doing("resolve " + e.Spec)
		k, err := e.Resolve(ctx, kernels.Options{Cache: r.Cache, Log: r.say})
		if err != nil {
			return ks, err
		}
		ks = append(ks, &kernelRun{Kernel: k})
		if other, twice := names[k.Name]; twice {
			return ks, requestf("two kernels are called %q (%s and %s); name them apart in a matrix file (name:)", k.Name, other, e.Spec)
		}
		names[k.Name] = e.Spec
	}
	var err error
	if r.rig, err = vm.NewRig(ctx, r.Cache, ks[0].Arch); err != nil {
		return ks, err
	}
	r.jobs()
	for i, k := range ks {
		a, why, err := r.rig.Accel(ctx, r.Accel, k.Kernel)
		if err != nil {
			return ks, err
		}
		if k.accel = a; why != "" && i == 0 {
			r.say("guests run with %s: KVM does not run them here (faultline doctor tells why)", a)
		}
	}
	return ks, nil
}

func (r *run) doing(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Progress.Doing(what)
}

// memoryPerGuest is what a guest takes at most, its private pages and QEMU's
// own: see docs/performance.md.
const memoryPerGuest = 400 << 20

// jobs sets how many guests run at a time: a core each, and memory for each.
func (r *run) jobs() {
	if r.Jobs > 0 {
		return
	}
	r.Jobs = runtime.NumCPU()
	if free := availableMemory(); free > 0 {
		r.Jobs = max(1, min(r.Jobs, int(free/memoryPerGuest)))
	}
}

// needed are the kernels that have something to do, in the order of the run.
func needed(tasks []task) []*kernelRun {
	var out []*kernelRun
	for _, t := range tasks {
		if !slices.Contains(out, t.kernel) {
			out = append(out, t.kernel)
		}
	}
	return out
}

// boot makes the templates, as many at a time as there are jobs. A boot starts
// a moment after the one before it, because two that probe timers at the same
// moment disturb each other most.
func (r *run) boot(ctx context.Context, ks []*kernelRun) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Jobs)
	for i, k := range ks {
		g.Go(func() error {
			if i > 0 && i < r.Jobs {
				select {
				case <-time.After(bootStagger):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			err := r.bootOne(ctx, k)
			if err == nil || ctx.Err() != nil || theUsers(err) {
				return err
			}
			r.breaks(k, err)
			return nil
		})
	}
	return g.Wait()
}

const bootStagger = 300 * time.Millisecond

// theUsers says whether an error is the user's to mend, and so ends the run:
// no other kernel would fare better.
func theUsers(err error) bool {
	var (
		request *RequestError
		tool    *kernels.ToolError
		mkfs    *images.MissingToolError
		noVM    *qemu.MissingError
	)
	return errors.As(err, &request) || errors.As(err, &tool) || errors.As(err, &mkfs) || errors.As(err, &noVM)
}

// breaks notes that a kernel can't be observed. What it printed stays in the
// folder; the end of it is told at once, because nothing else of it will be.
func (r *run) breaks(k *kernelRun, err error) {
	k.broken = err
	told := ""
	if tail := consoleTail(err); tail != "" {
		told = "\nthe end of its console:\n  " + strings.ReplaceAll(tail, "\n", "\n  ")
	}
	r.say("%s can't be observed: %v%s", k.Name, err, told)
}

func consoleTail(err error) string {
	var t *vm.Trouble
	if errors.As(err, &t) {
		return t.Tail
	}
	return ""
}

// bootOne makes a kernel's template, and finds out which changes it has.
func (r *run) bootOne(ctx context.Context, k *kernelRun) (err error) {
	r.doing("boot " + k.Name)
	spec := vm.Spec{Kernel: k.Kernel, Accel: k.accel, Console: r.folder.Path(results.ConsoleFile(k.Name))}
	script, err := r.rig.Script(ctx, spec)
	if err != nil {
		return err
	}
	if err := r.folder.Put(results.CommandFile(k.Name), []byte(script)); err != nil {
		return err
	}
	if k.template, err = r.rig.Template(ctx, spec); err != nil {
		return err
	}
	if k.template.Built {
		r.say("booted %s in %.1f s", k.Name, k.template.Boot.Seconds())
	}
	said, err := k.template.Console()
	if err != nil {
		return err
	}
	if err := r.folder.Put(results.ConsoleFile(k.Name), said); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range change.All() {
		has, declared := k.Has[c.ID]
		if !declared {
			if has, err = framework.Probe(ctx, k.template, c); err != nil {
				return err
			}
		}
		known[c.ID] = has
	}
	k.has = known
	return nil
}

// begin writes the record's first form, so that a run that is killed can be
// read and resumed; or checks that the run to resume is this one.
func (r *run) begin(ks []*kernelRun, picked []framework.Info) error {
	rec := results.Run{
		Schema: results.Schema, ID: results.NewID(time.Now()), Started: time.Now(), Tool: r.Tool, Command: r.Command,
		Accel: r.Accel, Host: host(r.rig.QEMU.Version),
	}
	for _, k := range ks {
		kr := results.Kernel{
			Name: k.Name, Spec: k.Spec, Release: k.Release, Version: k.Version, Arch: k.Arch, Digest: k.Digest, Accel: string(k.accel),
		}
		for _, p := range k.Packages {
			kr.Packages = append(kr.Packages, results.Package{Name: p.Name, Version: p.Version})
		}
		for _, c := range change.All() {
			if has, declared := k.Has[c.ID]; declared {
				kr.Changes = append(kr.Changes, compare.ChangeState{ID: c.ID, Has: has, Known: true, By: compare.ByDeclaration, Verdict: compare.Undetermined})
			}
		}
		rec.Kernels = append(rec.Kernels, kr)
	}
	for _, i := range picked {
		rec.Scenarios = append(rec.Scenarios, results.Scenario{
			ID: i.ID, Doc: i.Doc, Suite: i.Suite, Needs: i.Needs, Changes: i.Changes, Catalogue: i.Catalogue, NotDoable: i.NotDoable, Lead: i.Lead,
		})
	}
	if r.Resume {
		if err := r.takeOver(rec, ks); err != nil {
			return err
		}
	} else {
		if err := r.createFolder(); err != nil {
			return err
		}
		r.record = rec
	}
	return r.folder.PutRun(r.record)
}

// takeOver continues the run in the folder: its cells, and what was found out
// about its kernels.
func (r *run) takeOver(rec results.Run, ks []*kernelRun) error {
	if err := sameRun(r.record, rec); err != nil {
		return err
	}
	cells, skipped, err := r.folder.Cells()
	if err != nil {
		return err
	}
	for _, c := range cells {
		if (c.Attempt > 0) != (r.Repeat > 1) {
			return requestf("resume: the run was begun with another --repeat; give the same, or run without --resume")
		}
		if c.Verdict != observe.Rig { // those are tried again
			r.cells = append(r.cells, c)
		}
	}
	for _, s := range skipped {
		r.say("not taken over: %s", s)
	}
	rec.ID, rec.Started, rec.Merged = r.record.ID, r.record.Started, r.record.Merged
	for i := range rec.Kernels {
		old := r.record.Kernels[i]
		rec.Kernels[i].BootMillis, rec.Kernels[i].Console, rec.Kernels[i].CommandFile = old.BootMillis, old.Console, old.CommandFile
		rec.Kernels[i].Changes = old.Changes
	}
	r.record = rec
	return nil
}

// note puts into the record what the i-th kernel's boot told.
func (r *run) note(i int, k *kernelRun) {
	kr := &r.record.Kernels[i]
	if k.template != nil {
		kr.BootMillis = float64(k.template.BootTime().Microseconds()) / 1000
	}
	// A kernel that broke may have no console, if QEMU did not start.
	for file, at := range map[string]*string{results.ConsoleFile(k.Name): &kr.Console, results.CommandFile(k.Name): &kr.CommandFile} {
		if _, err := os.Stat(r.folder.Path(file)); err == nil {
			*at = file
		}
	}
	if k.has == nil {
		return // it was not booted, or broke
	}
	kr.Changes = nil
	for _, c := range change.All() {
		by := compare.ByProbe
		if _, declared := k.Has[c.ID]; declared {
			by = compare.ByDeclaration
		}
		kr.Changes = append(kr.Changes, compare.ChangeState{ID: c.ID, Has: k.has[c.ID], Known: true, By: by, Verdict: compare.Undetermined})
	}
}

// sameRun refuses to mix cells of different kernels or scenarios in one run.
func sameRun(old, now results.Run) error {
	if old.Tool != now.Tool {
		return requestf("resume: the run was begun by faultline %s, this is %s; run without --resume", old.Tool.Version, now.Tool.Version)
	}
	if len(old.Kernels) != len(now.Kernels) || len(old.Scenarios) != len(now.Scenarios) {
		return requestf("resume: the run was begun with %d kernels and %d scenarios, this is %d and %d; give the same flags, or run without --resume",
			len(old.Kernels), len(old.Scenarios), len(now.Kernels), len(now.Scenarios))
	}
	for i, k := range old.Kernels {
		if n := now.Kernels[i]; n.Digest != k.Digest || n.Name != k.Name || n.Accel != k.Accel {
			return requestf("resume: the run was begun with %s (digest %.12s, %s), this is %s (%.12s, %s); run without --resume",
				k.Name, k.Digest, k.Accel, n.Name, n.Digest, n.Accel)
		}
	}
	for i, s := range old.Scenarios {
		if now.Scenarios[i].ID != s.ID {
			return requestf("resume: the run was begun with scenario %s, this has %s instead; give the same flags", s.ID, now.Scenarios[i].ID)
		}
	}
	return nil
}

// mostPerTask bounds the scenarios of one process: small enough to spread over
// the cores and to lose little with a process, large enough that its start (a
// third of a second) does not count.
const mostPerTask = 16

// plan cuts what is to be done into tasks, the longest first, so that none is
// left alone at the end.
func (r *run) plan(ks []*kernelRun, suites []Suite, picked []framework.Info) []task {
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
		k  *kernelRun
		s  Suite
		id string
	}
	var pairs []pair
	for _, k := range ks {
		for _, s := range suites {
			for _, i := range s.Scenarios {
				if wanted[i.ID] {
					pairs = append(pairs, pair{k, s, i.ID})
				}
			}
		}
	}
	from, to := r.Shard.cut(len(pairs))
	var tasks []task
	for n := range max(r.Repeat, 1) {
		attempt := n + 1
		if r.Repeat <= 1 {
			attempt = 0
		}
		var t task
		flush := func() {
			if len(t.ids) > 0 {
				tasks = append(tasks, t)
			}
		}
		for _, p := range pairs[from:to] {
			r.total++
			if have[key{p.k.Name, p.id, attempt}] {
				r.done++
				continue
			}
			if t.kernel != p.k || t.suite.Name != p.s.Name || len(t.ids) == mostPerTask {
				flush()
				t = task{kernel: p.k, suite: p.s, attempt: attempt}
			}
			t.ids = append(t.ids, p.id)
		}
		flush()
	}
	sort.SliceStable(tasks, func(a, b int) bool { return len(tasks[a].ids) > len(tasks[b].ids) })
	return tasks
}

// carryOut works the tasks off, Jobs at a time.
func (r *run) carryOut(ctx context.Context, tasks []task) {
	var g errgroup.Group
	g.SetLimit(r.Jobs)
	for _, t := range tasks {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			r.carryOutOne(ctx, t)
			return nil
		})
	}
	g.Wait()
}

// carryOutOne drives a suite's process. Cells that it does not deliver are
// trouble with the rig.
func (r *run) carryOutOne(ctx context.Context, t task) {
	left := map[string]bool{}
	for _, id := range t.ids {
		left[id] = true
	}
	said, why := "", ""
	if t.kernel.broken != nil {
		said, why = consoleTail(t.kernel.broken), t.kernel.broken.Error()
	} else {
		var err error
		said, err = r.drive(ctx, t, func(c observe.Cell) {
			// What an interrupted process tells of the scenario it was in says
			// nothing about the kernel; it is observed anew with --resume.
			if !left[c.Scenario] || c.Kernel != t.kernel.Name || ctx.Err() != nil && c.Verdict != observe.Expected {
				return
			}
			delete(left, c.Scenario)
			r.take(c, t.attempt)
		})
		why = "the suite's process did not come to it"
		if err != nil {
			why = fmt.Sprintf("the suite's process did not come to it: %v", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, id := range t.ids {
		if left[id] {
			r.take(observe.Cell{
				Scenario: id, Kernel: t.kernel.Name, Accel: string(t.kernel.accel), Verdict: observe.Rig, Message: why, ConsoleTail: said, Started: time.Now(),
			}, t.attempt)
		}
	}
}

// take stores a finished cell.
func (r *run) take(c observe.Cell, attempt int) {
	c.Attempt = attempt
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.folder.PutCell(c); err != nil {
		c.Verdict, c.Message = observe.Rig, fmt.Sprintf("the cell could not be stored: %v; observed was: %s", err, c.Headline())
	}
	r.cells = append(r.cells, c)
	r.done++
	r.Progress.Cell(c, r.done, r.total)
}

// finish judges what was gathered and writes the record and the report.
func (r *run) finish(ctx context.Context) (*results.Run, *results.Folder, error) {
	rank := map[string]int{}
	for i, k := range r.record.Kernels {
		rank[k.Name] = i
	}
	sort.SliceStable(r.cells, func(a, b int) bool {
		x, y := r.cells[a], r.cells[b]
		if x.Scenario != y.Scenario {
			return x.Scenario < y.Scenario
		}
		if x.Kernel != y.Kernel {
			return rank[x.Kernel] < rank[y.Kernel]
		}
		return x.Attempt < y.Attempt
	})
	r.record.Cells = r.cells
	r.record.Interrupted = ctx.Err() != nil
	r.record.Finished = time.Now()
	r.record.Judge()
	if err := r.folder.PutRun(r.record); err != nil {
		return nil, nil, err
	}
	if _, err := report.Write(r.record, r.folder); err != nil {
		return nil, nil, err
	}
	return &r.record, r.folder, nil
}

// DryRun says what Do would do, and the QEMU command of each kernel. It fetches
// the kernels, because their modules decide what a guest is made of.
func DryRun(ctx context.Context, opt Options) (string, error) {
	suites, err := Suites(ctx)
	if err != nil {
		return "", err
	}
	var all []framework.Info
	for _, s := range suites {
		all = append(all, s.Scenarios...)
	}
	picked, err := Select(all, opt.Scenarios, opt.Label)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var rig *vm.Rig
	for _, e := range opt.Kernels {
		k, err := e.Resolve(ctx, kernels.Options{Cache: opt.Cache, Log: opt.Progress.Say})
		if err != nil {
			return "", err
		}
		defer k.Close()
		if rig == nil {
			if rig, err = vm.NewRig(ctx, opt.Cache, k.Arch); err != nil {
				return "", err
			}
			defer rig.Close()
		}
		accel, _, err := rig.KnownAccel(ctx, opt.Accel)
		if err != nil && !errors.Is(err, vm.ErrNotTried) {
			return "", err
		}
		command, err := rig.DryRun(ctx, vm.Spec{Kernel: k, Accel: accel})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "# %s (%s), %s\n%s\n\n", k.Name, k.Release, accel, command)
	}
	from, to := opt.Shard.cut(len(opt.Kernels) * len(picked))
	fmt.Fprintf(&b, "# cells: %d of %d (scenarios: %d, kernels: %d):\n", to-from, len(opt.Kernels)*len(picked), len(picked), len(opt.Kernels))
	for _, i := range picked {
		fmt.Fprintln(&b, i.ID)
	}
	return b.String(), nil
}

// host describes this machine for the record.
func host(qemuVersion string) results.Host {
	h := results.Host{OS: osName(), CPU: cpuName(), Cores: runtime.NumCPU(), QEMU: qemuVersion}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.MemoryBytes = int64(info.Totalram) * int64(info.Unit)
	}
	return h
}
