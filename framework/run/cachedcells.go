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

// shelves are the cached cells that a run can use. If a shelf can't be opened, its cells
// are neither reused nor stored: that costs time and is no failure.
type shelves struct {
	run     *run
	suites  []plan.Suite
	digests map[string]string // of a suite's program
	guests  map[guest]string  // keys of templates
	open    map[shelfOf]*cellcache.Shelf
}

// shelfOf identifies a shelf: one suite on one kind of guest.
type shelfOf struct {
	guest
	suite string
}

func (r *run) shelve(suites []plan.Suite) *shelves {
	return &shelves{run: r, suites: suites, digests: map[string]string{}, guests: map[guest]string{}, open: map[shelfOf]*cellcache.Shelf{}}
}

func (s *shelves) close() {
	for _, shelf := range s.open {
		if shelf != nil {
			shelf.Close()
		}
	}
}

// of returns the shelf of a suite on a kernel's guests, or nil.
func (s *shelves) of(ctx context.Context, k *plan.Kernel, suite plan.Suite, a qemu.Accel) *cellcache.Shelf {
	at := shelfOf{guest{k, a}, suite.Name}
	shelf, asked := s.open[at]
	if asked {
		return shelf
	}
	key, err := s.key(ctx, at.guest, suite)
	if err == nil {
		shelf, err = cellcache.Open(ctx, s.run.Cache, key)
	}
	if err != nil && ctx.Err() == nil {
		s.run.say("cells of %s on %s are not cached: %v", suite.Name, k.Name, err)
	}
	s.open[at] = shelf
	return shelf
}

// key covers everything that determines what a suite's scenarios show in such a guest.
// The suite's program contains the scenario and the host's side of it; the template's
// key covers what runs the guest: QEMU with its libraries, modules and firmware, and
// with KVM this machine's processor.
func (s *shelves) key(ctx context.Context, g guest, suite plan.Suite) (string, error) {
	var err error
	template, ok := s.guests[g]
	if !ok {
		if template, err = s.run.executor.host.TemplateKey(ctx, vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel}); err != nil {
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
	var more []string
	if suite.Inputs != "" {
		more = append(more, suite.Inputs)
	}
	return cellcache.Key(template, program, more...), nil
}

// known returns a function that finds cells of earlier runs; nil if every cell is to be
// observed.
func (r *run) known(ctx context.Context) func(*plan.Kernel, plan.Suite, scenario.Info) (observe.Cell, bool) {
	if !r.Known || r.Repeat > 1 {
		return nil
	}
	return func(k *plan.Kernel, s plan.Suite, i scenario.Info) (observe.Cell, bool) {
		shelf := r.shelves.of(ctx, k, s, qemu.Accel(i.Accel(string(k.Accel))))
		if shelf == nil {
			return observe.Cell{}, false
		}
		return shelf.Cell(i.ID)
	}
}

// noteKept puts the cached boot of a kernel into its column, and its console and command
// into the folder, if none of the kernel's guests was needed.
func (r *run) noteKept(column *results.Kernel, k *plan.Kernel) error {
	if r.shelves == nil {
		return nil
	}
	for at, shelf := range r.shelves.open {
		if at.kernel != k || shelf == nil || len(r.executor.of(k).templates) > 0 || column.Console != "" {
			continue
		}
		boot, ok := shelf.Boot()
		if !ok {
			continue
		}
		column.BootMillis, column.Splats, column.Taint = boot.Millis, boot.Splats, boot.Taint
		return errors.Join(r.folder.Put(results.ConsoleFile(k.Name), boot.Console), r.folder.Put(results.CommandFile(k.Name), boot.Command))
	}
	return nil
}

// keep stores the observed cells in the cache, except those with findings: a finding is
// observed again in each run.
func (r *run) keep(ctx context.Context, ks []*plan.Kernel) {
	if !r.Keep || r.Repeat > 1 {
		return
	}
	ctx = context.WithoutCancel(ctx) // finished cells are complete, even if the run is not
	rows := map[string]results.Scenario{}
	for _, s := range r.record.Scenarios {
		rows[s.ID] = s
	}
	put := map[*cellcache.Shelf]*plan.Kernel{}
	for _, c := range r.observed {
		ki := slices.IndexFunc(ks, func(k *plan.Kernel) bool { return k.Name == c.Kernel })
		si := slices.IndexFunc(r.shelves.suites, func(s plan.Suite) bool { return s.Name == rows[c.Scenario].Suite })
		if c.Verdict != observe.Expected || c.ObservedBy != "" || ki < 0 || si < 0 || suspected(c, rows[c.Scenario], r.record.Findings) {
			continue
		}
		shelf := r.shelves.of(ctx, ks[ki], r.shelves.suites[si], qemu.Accel(c.Accel))
		if shelf == nil {
			continue
		}
		if err := shelf.Put(c, r.record.ID); err != nil {
			r.say("no more cells are cached: %v", err)
			return
		}
		put[shelf] = ks[ki]
	}
	for shelf, k := range put {
		if err := r.keepBoot(shelf, k); err != nil {
			r.say("the boot of %s is not cached: %v", k.Name, err)
		}
	}
}

func (r *run) keepBoot(shelf *cellcache.Shelf, k *plan.Kernel) error {
	column, _ := r.record.Kernel(k.Name)
	boot := cellcache.Boot{Millis: column.BootMillis, Splats: column.Splats, Taint: column.Taint}
	var err, wrong error
	boot.Console, err = r.folder.ReadFile(results.ConsoleFile(k.Name), cellcache.Most)
	boot.Command, wrong = r.folder.ReadFile(results.CommandFile(k.Name), cellcache.Most)
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	return shelf.PutBoot(boot)
}

// suspected reports whether a finding is about a cell, or about a change that its
// scenario depends on.
func suspected(c observe.Cell, row results.Scenario, findings []conclusion.Finding) bool {
	return slices.ContainsFunc(findings, func(f conclusion.Finding) bool {
		return slices.Contains(f.Kernels, c.Kernel) && (f.Scenario == c.Scenario || f.Scenario == "" && slices.Contains(row.Changes, f.Change))
	})
}
