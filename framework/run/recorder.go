package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run/cellcache"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/klog"
)

// recorder writes down a run: its folder, its record, and each cell when it is finished.
type recorder struct {
	Options
	progress *progress
	folder   *results.Folder
	record   results.Run

	mu    sync.Mutex // guards what follows
	done  int
	total int
	cells []observe.Cell
	// observed are the cells as observed, before declarations are applied.
	observed []observe.Cell
}

// begin writes the initial record, so that a killed run can be read and resumed; or
// checks that the run to resume is this one.
func (r *recorder) begin(
	ctx context.Context,
	x *Executor,
	suites []plan.Suite,
	ks []*plan.Kernel,
	picked []scenario.Info,
) error {
	here, err := x.Host(ctx)
	if err != nil {
		return err
	}
	rec := results.Run{
		Schema: results.Schema, ID: results.NewID(time.Now()), Started: time.Now(), Tool: r.Tool, Command: r.Command,
		Accel: r.Accel, Shard: r.Shard, Origin: r.Origin, Host: here, Changes: r.Changes,
	}
	for _, k := range ks {
		rec.Kernels = append(rec.Kernels, Column(k))
	}
	for _, i := range picked {
		rec.Scenarios = append(rec.Scenarios, Row(i))
	}
	if rec.Suites, err = x.Digests(suites, picked); err != nil {
		return err
	}
	installation, err := results.OpenInstallation(r.Cache.Dir())
	if err != nil {
		return err
	}
	installation.Sign(&rec)
	if r.Resume {
		if err := r.takeOver(rec); err != nil {
			return err
		}
	} else {
		if r.folder, err = results.Begin(r.Out); err != nil {
			return err
		}
		if earlier := r.folder.Earlier(); earlier != "" {
			r.progress.say("the earlier run in %s was moved to %s", r.folder.Dir(), earlier)
		}
		r.record = rec
	}
	return r.folder.PutBegun(r.record)
}

// Booting implements Keeper.
func (r *recorder) Booting(k *plan.Kernel, script string) (console string, err error) {
	return r.folder.Path(results.ConsoleFile(k.Name)), r.folder.Put(results.CommandFile(k.Name), []byte(script))
}

// Booted implements Keeper.
func (r *recorder) Booted(k *plan.Kernel, t *vm.Template) error {
	console, err := t.Console()
	if err != nil {
		return err
	}
	return r.folder.Put(results.ConsoleFile(k.Name), console)
}

// consoles returns the folder for the consoles of a kernel's guests.
func (r *recorder) consoles(kernel string) string {
	return r.folder.Path(results.KernelDir(kernel), "consoles")
}

// recordBoot records the boot of the i-th kernel, or its cached boot if no guest of it
// was needed.
func (r *recorder) recordBoot(i int, k *plan.Kernel, x *Executor, cached *cellcache.Boot) error {
	kr := &r.record.Kernels[i]
	if made := x.of(k).templates; len(made) > 0 {
		t := made[0]
		kr.BootMillis = float64(t.BootTime().Microseconds()) / 1000
		kr.Splats, kr.Taint = klog.Splats(t.Log()), klog.Taint(0, t.Taint())
	} else if cached != nil && kr.Console == "" {
		kr.BootMillis, kr.Splats, kr.Taint = cached.Millis, cached.Splats, cached.Taint
		err := errors.Join(
			r.folder.Put(results.ConsoleFile(k.Name), cached.Console),
			r.folder.Put(results.CommandFile(k.Name), cached.Command),
		)
		if err != nil {
			return err
		}
	}
	var t *vm.GuestError
	kr.DoesNotBoot = errors.As(x.Broken(k), &t) && t.OfKernel()
	// There may be no console, if QEMU did not start.
	for file, at := range map[string]*string{
		results.ConsoleFile(k.Name): &kr.Console, results.CommandFile(k.Name): &kr.CommandFile,
	} {
		if _, err := os.Stat(r.folder.Path(file)); err == nil {
			*at = file
		}
	}
	return nil
}

// addCell stores a finished cell.
func (r *recorder) addCell(c observe.Cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.folder.PutCell(c); err != nil {
		c.Verdict, c.Message = observe.Infra, fmt.Sprintf("store the cell: %v; it was observed as: %s", err, c.Headline())
	}
	r.observed = append(r.observed, c)
	c = judge.Declare([]observe.Cell{c}, r.record.Known())[0] // the file has the cell as observed
	r.cells = append(r.cells, c)
	r.done++
	r.progress.cell(c, r.done, r.total)
}

// finish judges the collected cells, and writes the record and the report.
func (r *recorder) finish(ctx context.Context) error {
	r.record.Cells = r.cells
	r.record.Sort()
	r.record.Interrupted = ctx.Err() != nil
	r.record.Finished = time.Now()
	judge.Run(&r.record)
	if err := r.folder.PutRun(r.record); err != nil {
		return err
	}
	return report.Write(r.record, r.folder)
}

// Column returns the record of a kernel before its boot.
func Column(k *plan.Kernel) results.Kernel {
	c := results.Kernel{
		Name: k.Name, Spec: k.Spec, Release: k.Release, Version: k.Version, Arch: k.Arch, Digest: k.Digest,
		Accel: string(k.Accel), AccelWhy: k.AccelWhy, Claims: k.Has,
	}
	if k.Unavailable != nil {
		c.Unavailable = k.Unavailable.Error()
	}
	for _, p := range k.Packages {
		c.Packages = append(c.Packages, results.Package{Name: p.Name, Version: p.Version})
	}
	return c
}

// Row returns the record of a scenario.
func Row(i scenario.Info) results.Scenario {
	return results.Scenario{
		ID:        i.ID,
		Doc:       i.Doc,
		Suite:     i.Suite,
		Needs:     i.Needs,
		Changes:   i.Changes,
		Catalogue: i.Catalogue,
		Skipped:   i.Skipped,
		TCG:       i.TCG,
		Lead:      i.Lead,
		Program:   i.Program,
	}
}
