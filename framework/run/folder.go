package run

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/klog"
)

// checkFolder reads the run to resume, or checks, before kernels are fetched, that
// results can be written. It creates and changes nothing.
func (r *run) checkFolder() (err error) {
	if !r.Resume {
		return errors.Join(writable(r.Out), free(r.Out))
	}
	dir := r.Out
	if dir == "" {
		dir = results.Latest
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if filepath.Base(dir) == results.RunFile {
		dir = filepath.Dir(dir)
	}
	if r.folder, err = results.At(dir); err != nil {
		return err
	}
	none := errkind.Requestf("nothing to resume: no run was started in %s; run without --resume first", dir)
	if err = r.folder.Hold(); errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		return err
	}
	var from string
	r.record, from, err = r.folder.LoadBegun(judge.Run)
	switch {
	case errors.As(err, new(*results.NoRunError)):
		return none
	case errors.As(err, new(*results.LostError)):
		return errkind.Requestf("resume: %w", err)
	case err != nil:
		return errkind.Requestf("resume %s: %w; run without --resume", dir, err)
	case from != results.RunFile:
		r.say("%s in %s is missing or damaged; continuing with %s and the cells that are left", results.RunFile, dir, from)
	}
	return nil
}

// free checks that a folder, if it exists, can be used for a new run: no other process
// writes to it, and it contains only results.
func free(dir string) error {
	f, err := results.At(dir)
	if err != nil || dir == "" {
		return err
	}
	var busy *results.BusyError
	if err := f.Hold(); errors.As(err, &busy) {
		return busy
	}
	return errors.Join(f.Check(), f.Close())
}

// writable checks that a folder can be written to, or created.
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

// discardRun removes what begin created, when the request turns out to be wrong later.
// Other contents of the folder stay.
func (r *run) discardRun(ks []*plan.Kernel) {
	if r.Resume {
		return
	}
	for _, k := range ks {
		os.RemoveAll(r.folder.Path(results.KernelDir(k.Name)))
	}
	os.Remove(r.folder.Path(results.RunFile))
	os.Remove(r.folder.Path(results.BegunFile))
	os.Remove(r.folder.Path("kernels"))
	os.Remove(r.folder.Dir()) // fails, as intended, if anything is in it
	if r.Out == "" {
		os.Remove(results.Latest)
		os.Remove(filepath.Dir(results.Latest))
	}
}

// Booting implements Keeper.
func (r *run) Booting(k *plan.Kernel, script string) (console string, err error) {
	return r.folder.Path(results.ConsoleFile(k.Name)), r.folder.Put(results.CommandFile(k.Name), []byte(script))
}

// Booted implements Keeper.
func (r *run) Booted(k *plan.Kernel, t *vm.Template) error {
	said, err := t.Console()
	if err != nil {
		return err
	}
	return r.folder.Put(results.ConsoleFile(k.Name), said)
}

// begin writes the initial record, so that a killed run can be read and resumed; or
// checks that the run to resume is this one.
func (r *run) begin(ctx context.Context, ks []*plan.Kernel, picked []scenario.Info) error {
	here, err := r.executor.Host(ctx)
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
	if rec.Suites, err = r.executor.Digests(r.shelves.suites, picked); err != nil {
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
			r.say("the earlier run in %s was moved to %s", r.folder.Dir(), earlier)
		}
		r.record = rec
	}
	return r.folder.PutBegun(r.record)
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
		ID: i.ID, Doc: i.Doc, Suite: i.Suite, Needs: i.Needs, Changes: i.Changes, Catalogue: i.Catalogue, Skipped: i.Skipped, TCG: i.TCG, Lead: i.Lead, Program: i.Program,
	}
}

// recordBoot records the boot of the i-th kernel, or its cached boot if no guest of it
// was needed.
func (r *run) recordBoot(i int, k *plan.Kernel) error {
	kr := &r.record.Kernels[i]
	if err := r.noteKept(kr, k); err != nil {
		return err
	}
	if made := r.executor.of(k).templates; len(made) > 0 {
		t := made[0]
		kr.BootMillis = float64(t.BootTime().Microseconds()) / 1000
		kr.Splats, kr.Taint = klog.Splats(t.Log()), klog.Taint(0, t.Taint())
	}
	var t *vm.GuestError
	kr.DoesNotBoot = errors.As(r.executor.Broken(k), &t) && t.OfKernel()
	// There may be no console, if QEMU did not start.
	for file, at := range map[string]*string{results.ConsoleFile(k.Name): &kr.Console, results.CommandFile(k.Name): &kr.CommandFile} {
		if _, err := os.Stat(r.folder.Path(file)); err == nil {
			*at = file
		}
	}
	return nil
}
