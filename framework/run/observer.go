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

// Executor observes scenarios on kernels, for whoever drives it: a run with its
// folder, or something that wants cells and nothing else. Close it.
type Executor struct {
	// Jobs is how many guests run at a time.
	Jobs int
	// Consoles is the folder for what the guests of a kernel print, by its name;
	// nil keeps nothing.
	Consoles func(kernel string) string
	// Say hears what takes time or went wrong, and Doing what is under way.
	Say   func(format string, args ...any)
	Doing func(what string)

	rig     *vm.Host
	booted  map[*plan.Kernel]*booted
	early   map[guest]*bootAhead
	boots   chan struct{} // has room for as many as may be under way
	pace    sync.Mutex    // guards next
	next    time.Time     // when the next boot may start
	silence time.Duration // see the constant
}

// NewObserver makes an Observer for guests of an architecture (GOARCH). jobs 0
// means as many as cores and memory allow.
func NewObserver(ctx context.Context, c *cache.Cache, arch string, jobs int) (*Executor, error) {
	rig, err := vm.NewRig(ctx, c, arch)
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
		Jobs: jobs, Say: func(string, ...any) {}, Doing: func(string) {},
		rig: rig, booted: map[*plan.Kernel]*booted{}, early: map[guest]*bootAhead{}, boots: make(chan struct{}, jobs), silence: silence,
	}, nil
}

// Close removes what the Observer made outside the cache, and releases its kernels.
func (o *Executor) Close() {
	for _, e := range o.early {
		e.close()
	}
	for k := range o.booted {
		o.Release(k)
	}
	o.rig.Close()
}

// memoryPerGuest bounds what a guest takes, its private pages and QEMU's own, with
// room for scenarios that use most of its memory.
const memoryPerGuest = 400 << 20

// booted is what was made of a kernel.
type booted struct {
	templates []*vm.Template // those of standard guests, one an accelerator
	// broken is why nothing can be observed on it: its cells are trouble with
	// the rig, the other kernels' are as good as ever.
	broken error
}

// Kernel is a kernel to observe, with what its guests run with of what was asked
// for ("auto", "kvm" or "tcg").
func (o *Executor) Kernel(ctx context.Context, k *kernels.Kernel, accel string) (*plan.Kernel, error) {
	a, why, err := o.rig.Accel(ctx, accel, k)
	return &plan.Kernel{Kernel: k, Accel: a, AccelWhy: why}, err
}

// of is what was made of a kernel so far. Boot alone changes it.
func (o *Executor) of(k *plan.Kernel) *booted {
	if o.booted[k] == nil {
		return &booted{}
	}
	return o.booted[k]
}

// Host describes the machine that observes.
func (o *Executor) Host(ctx context.Context) (results.Host, error) {
	h := host(o.rig.QEMU.Version)
	var err, failed error
	h.QEMUDigest, err = o.rig.QEMU.Digest(ctx)
	h.CPUDigest, failed = vm.ProcessorDigest()
	return h, errors.Join(err, failed)
}

// Digests are those of the programs that observe picked scenarios: of the suites that
// have them, and of what runs in each guest.
func (o *Executor) Digests(suites []plan.Suite, picked []scenario.Info) (map[string]string, error) {
	out, err := digests(suites, picked)
	maps.Copy(out, o.rig.Programs())
	return out, err
}

// Broken is why a kernel that was booted can't be observed; nil where it can.
func (o *Executor) Broken(k *plan.Kernel) error { return o.of(k).broken }

// Booted is how long a kernel took to boot; 0 where its template was there already.
func (o *Executor) Booted(k *plan.Kernel) (took time.Duration) {
	for _, t := range o.of(k).templates {
		took += t.Boot
	}
	return took
}

// Release lets a kernel's templates be pruned.
func (o *Executor) Release(k *plan.Kernel) {
	for _, t := range o.of(k).templates {
		t.Close()
	}
	delete(o.booted, k)
}

// Boot makes the templates that tasks need, as many at a time as there are jobs,
// so that their processes find them. A kernel that can't be booted costs its own
// cells; an error is the user's to mend, and no kernel would fare better. keep, if
// there is one, gets the evidence.
func (o *Executor) Boot(ctx context.Context, tasks []plan.Task, keep Keeper) error {
	needed := needed(tasks)
	g, ctx := errgroup.WithContext(ctx)
	made := make([]*vm.Template, len(needed))
	broken := make([]error, len(needed))
	for i, n := range needed {
		g.Go(func() error {
			// Of a kernel that is booted twice, the first boot is the evidence.
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

// needed are the guests of tasks, each once, in the order of the tasks.
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

// Keeper keeps what a boot leaves behind.
type Keeper interface {
	// Booting gets a script that boots the same guest, and says which file its
	// console goes to.
	Booting(k *plan.Kernel, script string) (console string, err error)
	// Booted gets the finished template.
	Booted(k *plan.Kernel, t *vm.Template) error
}

func (o *Executor) boot(ctx context.Context, g guest, keep Keeper) (t *vm.Template, err error) {
	console := ""
	if keep != nil {
		script, err := o.rig.Script(ctx, vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel})
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

// template finds a guest's template, or boots the guest when it is its turn.
func (o *Executor) template(ctx context.Context, g guest, console string) (*vm.Template, error) {
	if err := o.await(ctx); err != nil {
		return nil, err
	}
	defer func() { <-o.boots }()
	o.Doing("boot " + g.kernel.Name)
	spec := vm.Spec{Kernel: g.kernel.Kernel, Accel: g.accel, Console: console}
	t, err := o.rig.Template(ctx, spec)
	if panicked(err) {
		o.Say("%v; once more", err)
		t, err = o.rig.Template(ctx, spec)
	}
	switch {
	case err != nil:
	case t.Built:
		o.Say("booted %s in %.1f s", g.kernel.Name, t.Boot.Seconds())
	default: // it was there, and disturbs nobody
		o.pace.Lock()
		o.next = time.Time{}
		o.pace.Unlock()
	}
	return t, err
}

// await waits for a boot's turn: until fewer are under way than there are jobs, and
// a moment behind the start of the one before, because two that probe timers at the
// same moment disturb each other most.
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

// sayBroken tells at once that a kernel can't be observed, with the end of what
// it printed: nothing else of it will be.
func (o *Executor) sayBroken(name string, broken error) {
	end := ""
	if tail := consoleTail(broken); tail != "" {
		end = "\nthe end of its console:\n  " + strings.ReplaceAll(tail, "\n", "\n  ")
	}
	o.Say("%s can't be observed: %v%s", name, broken, end)
}

func consoleTail(err error) string {
	var t *vm.GuestError
	if errors.As(err, &t) {
		return t.Tail
	}
	return ""
}

// Observe works tasks off, Jobs at a time, and hands on each cell as it is
// finished. What ctx cuts short has no cell.
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

// once drives a suite's process and hands on a cell for each scenario.
func (o *Executor) once(ctx context.Context, t plan.Task, f *Follow, cell func(observe.Cell)) {
	left := map[string]bool{}
	for _, i := range t.Scenarios {
		left[i.ID] = true
	}
	said, why, registers := "", "", ""
	if broken := o.of(t.Kernel).broken; broken != nil {
		said, why = consoleTail(broken), broken.Error()
		if t := (*vm.GuestError)(nil); errors.As(broken, &t) {
			registers = t.Registers
		}
	} else {
		var err error
		said, err = o.drive(ctx, t, f, func(c observe.Cell) {
			// What an interrupted process tells of the scenario it was in says
			// nothing about the kernel; it is observed anew with --resume.
			if !left[c.Scenario] || c.Kernel != t.Kernel.Name || ctx.Err() != nil && c.Verdict != observe.Expected {
				return
			}
			delete(left, c.Scenario)
			c.Attempt = t.Attempt
			cell(c)
		})
		why = "the suite's process did not come to it"
		if err != nil {
			why = fmt.Sprintf("the suite's process did not come to it: %v", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, i := range t.Scenarios {
		if left[i.ID] {
			c := t.Cell(i)
			c.Verdict, c.Message, c.ConsoleTail, c.Registers = observe.Infra, why, said, registers
			cell(c)
		}
	}
}
