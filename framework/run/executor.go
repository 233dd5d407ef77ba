package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
)

// Executor observes scenarios on kernels, for a run with its folder or for a caller that
// needs only cells. It must be closed.
type Executor struct {
	// Jobs is the number of guests that run in parallel.
	Jobs int
	// Consoles returns the folder for the consoles of the named kernel's guests; nil
	// discards them.
	Consoles func(kernel string) string
	// Log logs what took time or failed; Doing names the current activity.
	Log   func(format string, args ...any)
	Doing func(what string)

	host    *vm.Host
	booted  map[*plan.Kernel]*booted
	early   map[guest]*bootAhead
	boots   chan struct{} // one slot per boot that may be in progress
	pace    sync.Mutex    // guards next
	next    time.Time     // when the next boot may start
	silence time.Duration // see the constant
}

// NewExecutor returns an Executor for guests of an architecture (GOARCH). jobs 0 means
// as many as cores and memory allow.
func NewExecutor(ctx context.Context, c *cache.Cache, arch string, jobs int) (*Executor, error) {
	vmHost, err := vm.NewHost(ctx, c, arch)
	if err != nil {
		return nil, err
	}
	if jobs <= 0 {
		jobs = runtime.NumCPU()
		if free := availableMemory(); free > 0 {
			jobs = max(1, min(jobs, int(free/memoryPerGuest)))
		}
	}
	return &Executor{
		Jobs:    jobs,
		Log:     func(string, ...any) {},
		Doing:   func(string) {},
		host:    vmHost,
		booted:  map[*plan.Kernel]*booted{},
		early:   map[guest]*bootAhead{},
		boots:   make(chan struct{}, jobs),
		silence: silence,
	}, nil
}

// Close removes what the Executor created outside the cache, and releases its kernels.
func (o *Executor) Close() {
	for _, e := range o.early {
		e.close()
	}
	for k := range o.booted {
		o.Release(k)
	}
	o.host.Close()
}

// memoryPerGuest bounds the memory of a guest, in bytes: its private pages and QEMU's
// own, with room for scenarios that use most of its memory.
const memoryPerGuest = 400 << 20

// booted is the result of booting a kernel.
type booted struct {
	templates []*vm.Template // of standard guests, one per accelerator
	// broken is why nothing can be observed on it: its cells are infrastructure
	// failures; those of other kernels are not affected.
	broken error
}

// Kernel returns a kernel to observe, and chooses the accelerator of its guests as accel
// requests ("auto", "kvm" or "tcg").
func (o *Executor) Kernel(ctx context.Context, k *kernels.Kernel, accel string) (*plan.Kernel, error) {
	pk := &plan.Kernel{Kernel: k}
	return pk, o.chooseAccel(ctx, pk, accel)
}

// chooseAccel sets the accelerator of a kernel's guests.
func (o *Executor) chooseAccel(ctx context.Context, k *plan.Kernel, accel string) (err error) {
	k.NoTCG = o.host.TCG()
	k.Accel, k.AccelWhy, err = o.host.Accel(ctx, accel, k.Kernel)
	return err
}

// of returns the state of a kernel. Only Boot changes it.
func (o *Executor) of(k *plan.Kernel) *booted {
	if o.booted[k] == nil {
		return &booted{}
	}
	return o.booted[k]
}

// Host describes this machine.
func (o *Executor) Host(ctx context.Context) (results.Host, error) {
	h := host(o.host.QEMU.Version)
	var err, failed error
	h.QEMUDigest, err = o.host.QEMU.Digest(ctx)
	h.CPUDigest, failed = vm.ProcessorDigest()
	return h, errors.Join(err, failed)
}

// Digests returns the digests of the programs that observe the picked scenarios: their
// suites, and the programs that run in each guest.
func (o *Executor) Digests(suites []plan.Suite, picked []scenario.Info) (map[string]string, error) {
	out, err := digests(suites, picked)
	maps.Copy(out, o.host.Programs())
	return out, err
}

// Broken returns why a booted kernel cannot be observed, or nil.
func (o *Executor) Broken(k *plan.Kernel) error { return o.of(k).broken }

// Booted returns how long a kernel took to boot; 0 if its template was cached.
func (o *Executor) Booted(k *plan.Kernel) (took time.Duration) {
	for _, t := range o.of(k).templates {
		took += t.Boot
	}
	return took
}

// Release allows a kernel's templates to be pruned.
func (o *Executor) Release(k *plan.Kernel) {
	for _, t := range o.of(k).templates {
		t.Close()
	}
	delete(o.booted, k)
}

// Boot makes the templates that tasks need, Jobs at a time, so that the suite processes
// find them. A kernel that does not boot loses only its own cells; an error is one that
// the user has to fix and that affects every kernel. keep, if not nil, receives the
// evidence.
func (o *Executor) Boot(ctx context.Context, tasks []plan.Task, keep Keeper) error {
	needed := needed(tasks)
	g, ctx := errgroup.WithContext(ctx)
	made := make([]*vm.Template, len(needed))
	broken := make([]error, len(needed))
	for i, n := range needed {
		g.Go(func() error {
			// If a kernel boots twice, the first boot is the evidence.
			keep := keep
			if slices.IndexFunc(needed, func(o guest) bool { return o.kernel == n.kernel }) != i {
				keep = nil
			}
			t, err := o.boot(ctx, n, keep)
			if made[i] = t; err == nil {
				return nil
			}
			if ctx.Err() != nil || errkind.Of(err) != errkind.Infra {
				return err
			}
			broken[i] = err
			return nil
		})
	}
	err := g.Wait()
	for i, n := range needed {
		b := o.of(n.kernel)
		if made[i] != nil {
			b.templates = append(b.templates, made[i])
		}
		if broken[i] != nil && b.broken == nil {
			b.broken = broken[i]
			o.sayBroken(n.kernel.Name, b.broken)
		}
		o.booted[n.kernel] = b
	}
	return err
}

// guest is a kind of guest that tasks need.
type guest struct {
	kernel *plan.Kernel
	accel  qemu.Accel
}

// needed returns the guests of tasks, each once, in the order of the tasks.
func needed(tasks []plan.Task) []guest {
	var out []guest
	for _, t := range tasks {
		for _, i := range t.Scenarios {
			if g := (guest{t.Kernel, qemu.Accel(i.Accel(string(t.Kernel.Accel)))}); !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// Keeper stores the evidence of a boot.
type Keeper interface {
	// Booting receives a script that boots the same guest, and returns the file for its
	// console.
	Booting(k *plan.Kernel, script string) (console string, err error)
	// Booted receives the finished template.
	Booted(k *plan.Kernel, t *vm.Template) error
}

func (o *Executor) boot(ctx context.Context, g guest, keep Keeper) (t *vm.Template, err error) {
	console := ""
	if keep != nil {
		script, err := o.host.Script(ctx, vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel})
		if err != nil {
			return nil, err
		}
		if console, err = keep.Booting(g.kernel, script); err != nil {
			return nil, err
		}
	}
	if e := o.early[g]; e != nil {
		t, err = e.take(ctx, console)
	} else {
		t, err = o.template(ctx, g, console)
	}
	if err == nil && keep != nil {
		err = keep.Booted(g.kernel, t)
	}
	return t, err
}

// template returns a guest's template from the cache, or boots the guest in its turn.
func (o *Executor) template(ctx context.Context, g guest, console string) (*vm.Template, error) {
	if err := o.await(ctx); err != nil {
		return nil, err
	}
	defer func() { <-o.boots }()
	o.Doing("boot " + g.kernel.Name)
	spec := vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel, Console: console}
	t, err := o.host.Template(ctx, spec)
	if panicked(err) {
		o.Log("%v; booting again", err)
		t, err = o.host.Template(ctx, spec)
	}
	switch {
	case err != nil:
	case t.Built:
		o.Log("booted %s in %.1f s", g.kernel.Name, t.Boot.Seconds())
	default: // it was cached, and disturbs no other boot
		o.pace.Lock()
		o.next = time.Time{}
		o.pace.Unlock()
	}
	return t, err
}

// await waits for a boot's turn: until fewer than Jobs boots are in progress, and
// bootStagger after the start of the previous one, because boots that probe timers at
// the same time disturb each other most.
func (o *Executor) await(ctx context.Context) error {
	select {
	case o.boots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	o.pace.Lock()
	at := o.next
	if now := time.Now(); at.Before(now) {
		at = now
	}
	o.next = at.Add(bootStagger)
	o.pace.Unlock()
	select {
	case <-time.After(time.Until(at)):
		return nil
	case <-ctx.Done():
		<-o.boots
		return context.Cause(ctx)
	}
}

func panicked(err error) bool {
	var t *vm.GuestError
	return errors.As(err, &t) && t.Kind == vm.Panic
}

const bootStagger = 300 * time.Millisecond

// sayBroken logs that a kernel cannot be observed, with the end of its console, as soon
// as that is known.
func (o *Executor) sayBroken(name string, broken error) {
	end := ""
	if tail := consoleTail(broken); tail != "" {
		end = "\nend of its console:\n  " + strings.ReplaceAll(tail, "\n", "\n  ")
	}
	o.Log("%s cannot be observed: %v%s", name, broken, end)
}

func consoleTail(err error) string {
	var t *vm.GuestError
	if errors.As(err, &t) {
		return t.Tail
	}
	return ""
}

// Observe carries out tasks, Jobs at a time, and passes on each cell when it is
// finished. A scenario that ctx interrupts has no cell.
func (o *Executor) Observe(ctx context.Context, tasks []plan.Task, cell func(observe.Cell)) {
	var g errgroup.Group
	g.SetLimit(o.Jobs)
	for _, t := range tasks {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			o.observe(ctx, t, cell)
			return nil
		})
	}
	g.Wait()
}

// once runs a suite process and passes on a cell for each scenario.
func (o *Executor) once(ctx context.Context, t plan.Task, f *Follow, cell func(observe.Cell)) {
	left := map[string]bool{}
	for _, i := range t.Scenarios {
		left[i.ID] = true
	}
	output, why, registers := "", "", ""
	if broken := o.of(t.Kernel).broken; broken != nil {
		output, why = consoleTail(broken), broken.Error()
		if t := (*vm.GuestError)(nil); errors.As(broken, &t) {
			registers = t.Registers
		}
	} else {
		var err error
		output, err = o.drive(ctx, t, f, func(c observe.Cell) {
			// The cell of an interrupted scenario has no meaning for the kernel;
			// --resume observes it again.
			if !left[c.Scenario] || c.Kernel != t.Kernel.Name || ctx.Err() != nil && c.Verdict != observe.Expected {
				return
			}
			delete(left, c.Scenario)
			c.Attempt = t.Attempt
			cell(c)
		})
		why = "no result from the suite process"
		if err != nil {
			why = fmt.Sprintf("no result from the suite process: %v", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, i := range t.Scenarios {
		if left[i.ID] {
			c := t.Cell(i)
			c.Verdict, c.Message, c.ConsoleTail, c.Registers = observe.Infra, why, output, registers
			cell(c)
		}
	}
}
