package suite

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/images"
)

// Guest starts the scenario's guest: a clone of the template for the standard spec as
// modified by alter. The guest must be closed.
func (s *Scenario) Guest(ctx context.Context, alter func(*vm.Spec)) (*vm.Guest, error) {
	spec := vm.Spec{Kernel: process.kernel, Accel: qemu.Accel(s.Accel(flags.accel))}
	alter(&spec)
	console := ""
	if flags.console != "" {
		console = filepath.Join(flags.console, strings.ReplaceAll(s.ID, "/", "__")+".console")
	}
	if flags.fresh {
		spec.Console = console
		return process.host.Boot(ctx, spec)
	}
	t, err := template(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.started = time.Now() // the boot of the template does not count
	g, err := t.Clone(ctx, vm.CloneOptions{Console: console, Debug: flags.pause > 0})
	if err == nil && flags.follow {
		emit(scenario.Event{Guest: append([]string{process.host.QEMU.Path}, g.Args()...)})
	}
	return g, err
}

// template returns the template of the guests of a spec.
func template(ctx context.Context, spec vm.Spec) (*vm.Template, error) {
	if t := process.templates[spec]; t != nil {
		return t, nil
	}
	t, err := (*vm.Template)(nil), error(nil)
	if standard := (vm.Spec{Kernel: process.kernel, Accel: qemu.Accel(flags.accel)}); flags.template != "" &&
		spec == standard {
		t, err = process.host.Known(ctx, spec, flags.template)
	} else {
		t, err = process.host.Template(ctx, spec)
	}
	if err != nil {
		return nil, err
	}
	if process.templates == nil {
		process.templates = map[vm.Spec]*vm.Template{}
	}
	process.templates[spec] = t
	return t, nil
}

// Victim32 returns the path of the program of 32-bit victims.
func (s *Scenario) Victim32() string { return process.host.Victim32() }

// Pmem returns an image of persistent memory.
func (s *Scenario) Pmem(ctx context.Context, spec images.PmemSpec) (*images.Pmem, error) {
	return images.MakePmem(ctx, process.host.Cache, spec)
}
