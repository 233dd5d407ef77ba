package framework

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/klog"
)

// notePanic records an unexpected panic as a step of its own if it happened after an
// injection and not within a step.
func (g *Guest) notePanic(err error) {
	if g.watcher.failed() != nil { // which may have caused the panic
		return
	}
	if t := (*vm.GuestError)(nil); !g.dead && !g.mayPanic && g.injected && errors.As(err, &t) && t.Kind == vm.Panic {
		record(g.rec, "kernel", "panic", g.panicked(err), "")
	}
}

// Inject applies an injection and records it with its result. An error that the kernel
// returns to the injector is an infrastructure failure.
func (g *Guest) Inject(ctx context.Context, i inject.Injection) *Observation {
	o := g.apply(ctx, i)
	if o.Errno != "" {
		g.fail(fmt.Errorf("%s: %s", i.Action, o.Errno))
	}
	return record(g.rec, "host", i.Action, o, "")
}

// InjectMayFail is like Inject, but an error that the kernel returns to the injector is
// an outcome that the scenario can expect.
func (g *Guest) InjectMayFail(ctx context.Context, i inject.Injection) *Observation {
	return record(g.rec, "host", i.Action, g.apply(ctx, i), "")
}

// apply loads the module that an injection needs and applies the injection.
func (g *Guest) apply(ctx context.Context, i inject.Injection) observe.Outcome {
	g.approach(ctx, 1)
	if i.Module != "" {
		g.LoadModule(ctx, i.Module)
	}
	g.injected, g.poisoned = true, g.poisoned || i.Memory
	o, err := i.Apply(ctx, g.vm)
	if err != nil && g.mayPanic {
		return g.panicked(fmt.Errorf("%s: %w", i.Action, err))
	}
	if err != nil {
		g.ended(fmt.Errorf("%s: %w", i.Action, err))
	}
	return o
}

// FilterPoison restricts the pages that any kind of injection poisons (hwpoison_filter in
// mm/memory-failure.c).
func (g *Guest) FilterPoison(ctx context.Context, f inject.Filter) {
	g.LoadModule(ctx, "hwpoison_inject")
	for _, file := range f.Files() {
		g.WriteFile(ctx, file[0], file[1])
	}
	record(g.rec, "agent", "filter poison"+f.String(), observe.Outcome{}, "")
}

// AllowPanic lets a step end in a kernel panic, which Panics can expect. After a panic no primitive can use the guest.
func (g *Guest) AllowPanic() { g.mayPanic = true }

// panicked returns the outcome of a step that ended in a panic of the guest. The panic is
// an observation if the scenario allows one, or if it injected an error before. Any other
// error ends the scenario, and so does a panic whose message is not known.
func (g *Guest) panicked(err error) observe.Outcome {
	if failed := g.watcher.failed(); failed != nil { // which may have caused the panic
		g.fail(failed)
	}
	var t *vm.GuestError
	if !errors.As(err, &t) || t.Kind != vm.Panic || !g.mayPanic && !g.injected {
		g.fail(err)
	}
	note := klog.PanicNote(t.Tail)
	if note == "" { // the reason of the panic is not known, so nothing was observed
		g.fail(err)
	}
	g.dead = true
	g.rec.KernelLog = strings.Split(t.Tail, "\n")
	if !g.mayPanic {
		g.rec.Panicked = true
		g.rec.Lost(err)
		g.rec.Witnesses[observe.WitnessSplats] = strings.Join(klog.Splats(g.rec.KernelLog), "\n")
	}
	return observe.Outcome{Note: note}
}
