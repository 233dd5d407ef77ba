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

// notePanic makes a panic that nobody expected a step of its own, where it came in
// none and after something was made bad.
func (g *Guest) notePanic(err error) {
	if g.watcher.failed() != nil { // the panic may come from that
		return
	}
	if t := (*vm.GuestError)(nil); !g.dead && !g.mayPanic && g.injected && errors.As(err, &t) && t.Kind == vm.Panic {
		record(g.rec, "kernel", "panic", g.panicked(err), "")
	}
}

// Inject applies an injection and records what the injector was told.
func (g *Guest) Inject(ctx context.Context, i inject.Injection) *Observation {
	o := g.apply(ctx, i)
	if o.Errno != "" {
		g.fail(fmt.Errorf("%s: %s", i.Action, o.Errno))
	}
	return record(g.rec, "host", i.Action, o, "")
}

// InjectMayFail is Inject for an injection whose refusal is what the scenario is after.
func (g *Guest) InjectMayFail(ctx context.Context, i inject.Injection) *Observation {
	return record(g.rec, "host", i.Action, g.apply(ctx, i), "")
}

// apply applies an injection, with the module that it needs.
func (g *Guest) apply(ctx context.Context, i inject.Injection) observe.Outcome {
	g.approach(ctx, 1)
	if i.Module != "" {
		g.LoadModule(ctx, i.Module)
	}
	g.injected, g.poisoned = true, g.poisoned || i.Memory
	o, err := i.Apply(ctx, g.vm)
	if err != nil {
		g.ended(fmt.Errorf("%s: %w", i.Action, err))
	}
	return o
}

// AllowPanic makes a panic an observation: the outcome of the step that it comes
// in. Nothing can be asked of the guest after it.
func (g *Guest) AllowPanic() { g.mayPanic = true }

// panicked is the outcome of a step that the guest's panic ended: an observation
// where the scenario expects one, and also where it does not but made something
// bad before. Any other trouble ends the scenario, and so does a panic without words.
func (g *Guest) panicked(err error) observe.Outcome {
	if failed := g.watcher.failed(); failed != nil { // the panic may come from that
		g.fail(failed)
	}
	var t *vm.GuestError
	if !errors.As(err, &t) || t.Kind != vm.Panic || !g.mayPanic && !g.injected {
		g.fail(err)
	}
	note := klog.PanicNote(t.Tail)
	if note == "" { // what it panicked of is not known, so nothing was observed
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
