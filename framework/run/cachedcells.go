package run

import (
	"context"
	"errors"
	"slices"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/cellcache"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
)

// cachedCells are the cached cells that a run can use. If a entry can't be opened, its
// cells are neither reused nor stored: that costs time and is no failure.
type cachedCells struct {
	Options
	executor *Executor
	progress *progress

	suites  []plan.Suite
	digests map[string]string // of a suite's program
	guests  map[guest]string  // keys of templates
	open    map[entryOf]*cellcache.Entry
}

// entryOf identifies a entry: one suite on one kind of guest.
type entryOf struct {
	guest
	suite string
}

func newCachedCells(opt Options, x *Executor, suites []plan.Suite, p *progress) *cachedCells {
	return &cachedCells{
		Options: opt, executor: x, progress: p, suites: suites,
		digests: map[string]string{}, guests: map[guest]string{}, open: map[entryOf]*cellcache.Entry{},
	}
}

func (s *cachedCells) close() {
	for _, entry := range s.open {
		if entry != nil {
			entry.Close()
		}
	}
}

// of returns the entry of a suite on a kernel's guests, or nil.
func (s *cachedCells) of(ctx context.Context, k *plan.Kernel, suite plan.Suite, a qemu.Accel) *cellcache.Entry {
	at := entryOf{guest{k, a}, suite.Name}
	entry, asked := s.open[at]
	if asked {
		return entry
	}
	key, err := s.key(ctx, at.guest, suite)
	if err == nil {
		entry, err = cellcache.Open(ctx, s.Cache, key)
	}
	if err != nil && ctx.Err() == nil {
		s.progress.say("cells of %s on %s are not cached: %v", suite.Name, k.Name, err)
	}
	s.open[at] = entry
	return entry
}

// key covers everything that determines what a suite's scenarios show in such a guest.
// The suite's program contains the scenario and the host's side of it; the template's
// key covers what runs the guest: QEMU with its libraries, modules and firmware, and
// with KVM this machine's processor.
func (s *cachedCells) key(ctx context.Context, g guest, suite plan.Suite) (string, error) {
	var err error
	template, ok := s.guests[g]
	if !ok {
		if template, err = s.executor.host.TemplateKey(ctx, vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel}); err != nil {
			return "", err
		}
		s.guests[g] = template
	}
	program, ok := s.digests[suite.Name]
	if !ok {
		if program, err = cache.FileSum(suite.Program); err != nil {
			return "", err
		}
		s.digests[suite.Name] = program
	}
	more := []string{s.executor.host.Programs()["guest/victim32"]} // which is not in the template
	if suite.Inputs != "" {
		more = append(more, suite.Inputs)
	}
	return cellcache.Key(template, program, more...), nil
}

// known returns a function that finds cells of earlier runs; nil if every cell is to be
// observed.
func (s *cachedCells) known(ctx context.Context) func(*plan.Kernel, plan.Suite, scenario.Info) (observe.Cell, bool) {
	if !s.Known || s.Repeat > 1 {
		return nil
	}
	return func(k *plan.Kernel, suite plan.Suite, i scenario.Info) (observe.Cell, bool) {
		entry := s.of(ctx, k, suite, qemu.Accel(i.Accel(string(k.Accel))))
		if entry == nil {
			return observe.Cell{}, false
		}
		return entry.Cell(i.ID)
	}
}

// boot returns the cached boot of a kernel; nil if there is none.
func (s *cachedCells) boot(k *plan.Kernel) *cellcache.Boot {
	for at, entry := range s.open {
		if at.kernel != k || entry == nil {
			continue
		}
		if boot, ok := entry.Boot(); ok {
			return &boot
		}
	}
	return nil
}

// keep stores the cells that a run observed, except those with findings: a finding is
// observed again in each run.
func (s *cachedCells) keep(ctx context.Context, rec *recorder, ks []*plan.Kernel) {
	if !s.Keep || s.Repeat > 1 {
		return
	}
	ctx = context.WithoutCancel(ctx) // finished cells are complete, even if the run is not
	rows := map[string]results.Scenario{}
	for _, row := range rec.record.Scenarios {
		rows[row.ID] = row
	}
	put := map[*cellcache.Entry]*plan.Kernel{}
	for _, c := range rec.observed {
		ki := slices.IndexFunc(ks, func(k *plan.Kernel) bool { return k.Name == c.Kernel })
		si := slices.IndexFunc(s.suites, func(suite plan.Suite) bool { return suite.Name == rows[c.Scenario].Suite })
		if c.Verdict != observe.Expected || c.ObservedBy != "" || ki < 0 || si < 0 ||
			suspected(c, rows[c.Scenario], rec.record.Findings) {
			continue
		}
		entry := s.of(ctx, ks[ki], s.suites[si], qemu.Accel(c.Accel))
		if entry == nil {
			continue
		}
		if err := entry.Put(c, rec.record.ID); err != nil {
			s.progress.say("no more cells are cached: %v", err)
			return
		}
		put[entry] = ks[ki]
	}
	for entry, k := range put {
		if err := keepBoot(entry, rec, k); err != nil {
			s.progress.say("the boot of %s is not cached: %v", k.Name, err)
		}
	}
}

func keepBoot(entry *cellcache.Entry, rec *recorder, k *plan.Kernel) error {
	column, _ := rec.record.Kernel(k.Name)
	boot := cellcache.Boot{Millis: column.BootMillis, Splats: column.Splats, Taint: column.Taint}
	var err, wrong error
	boot.Console, err = rec.folder.ReadFile(results.ConsoleFile(k.Name), cellcache.Most)
	boot.Command, wrong = rec.folder.ReadFile(results.CommandFile(k.Name), cellcache.Most)
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	return entry.PutBoot(boot)
}

// suspected reports whether a finding is about a cell, or about a change that its
// scenario depends on.
func suspected(c observe.Cell, row results.Scenario, findings []conclusion.Finding) bool {
	return slices.ContainsFunc(findings, func(f conclusion.Finding) bool {
		return slices.Contains(f.Kernels, c.Kernel) &&
			(f.Scenario == c.Scenario || f.Scenario == "" && slices.Contains(row.Changes, f.Change))
	})
}
