package bisect

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/source"
	"github.com/faultline/faultline/kernels/source/tree"
)

// GuestLab is a Lab that boots real kernels in guests.
type GuestLab struct {
	// Picked are the selected scenarios.
	Picked []scenario.Info

	suites   []plan.Suite
	executor *run.Executor
	opts     kernels.Options
	accel    string
}

// GuestLabOptions configure a GuestLab.
type GuestLabOptions struct {
	run.Selection
	Accel string // "auto", "kvm" or "tcg"
	Jobs  int    // guests in parallel; 0 means as many as cores and memory allow
	Cache *cache.Cache
	// Log logs what takes time.
	Log func(format string, args ...any)
}

// NewGuestLab selects scenarios of the suites and prepares to observe them. The
// GuestLab must be closed.
func NewGuestLab(ctx context.Context, opt GuestLabOptions) (*GuestLab, error) {
	r := &GuestLab{accel: opt.Accel, opts: kernels.Options{Cache: opt.Cache, Log: opt.Log}}
	var err error
	if r.suites, r.Picked, err = run.Pick(ctx, opt.Selection); err != nil {
		return nil, err
	}
	// Kernels of a tree are compiled for this machine.
	if r.executor, err = run.NewExecutor(ctx, opt.Cache, runtime.GOARCH, opt.Jobs); err != nil {
		return nil, err
	}
	r.executor.Log = opt.Log
	return r, nil
}

// Host describes the machine for the record.
func (r *GuestLab) Host(ctx context.Context) (results.Host, error) { return r.executor.Host(ctx) }

// Here returns this machine and its suites, for EndsOf.
func (r *GuestLab) Here(ctx context.Context) (Here, error) {
	host, err := r.Host(ctx)
	if err != nil {
		return Here{}, err
	}
	suites, err := r.executor.Digests(r.suites, r.Picked)
	return Here{host, suites}, err
}

// Close releases the resources of the GuestLab.
func (r *GuestLab) Close() { r.executor.Close() }

// Inputs implements Lab.
func (r *GuestLab) Inputs(ctx context.Context, request Request) (map[string]string, error) {
	in := map[string]string{}
	if len(request.Kernels) == 0 {
		set := map[string]string{}
		for _, s := range request.Settings {
			name, value, _ := strings.Cut(s, "=")
			set[name] = value
		}
		var err error
		if in, err = tree.Inputs(ctx, set); err != nil {
			return nil, err
		}
	}
	here, err := r.Here(ctx)
	if err != nil {
		return nil, err
	}
	in["QEMU"] = here.Host.QEMU + " " + here.Host.QEMUDigest
	if r.accel != string(qemu.TCG) {
		in["processor"] = here.Host.CPU + " " + here.Host.CPUDigest
	}
	for name, sum := range here.Suites {
		in[name] = sum
	}
	for _, s := range r.suites {
		if sum, picked := here.Suites[s.Name]; picked {
			delete(in, s.Name)
			in["suite "+s.Name] = cache.Key(sum, s.Inputs)
		}
	}
	return in, nil
}

// Built implements Lab.
func (r *GuestLab) Built(ctx context.Context, spec string) bool {
	opts := r.opts
	opts.Log, opts.Cached = nil, true
	k, err := source.Resolve(ctx, spec, opts)
	if err != nil {
		return false
	}
	k.Close()
	return true
}

// Build implements Lab.
func (r *GuestLab) Build(ctx context.Context, spec string) error {
	k, err := source.Resolve(ctx, spec, r.opts)
	if err == nil {
		return k.Close()
	}
	var apply *git.ApplyError
	var compile *build.Error
	var request *kernels.SpecError
	switch {
	case errors.As(err, &apply):
		return &SourceError{State: DoesNotApply, Err: apply}
	case errors.As(err, &compile):
		return &SourceError{State: DoesNotBuild, Err: compile}
	case errors.As(err, &request) && !strings.HasPrefix(spec, "tree:"):
		return &SourceError{State: Unavailable, Err: request}
	case errors.As(err, &request): // the commit is not a complete kernel source
		return &SourceError{State: DoesNotBuild, Err: request}
	}
	return err
}

// Spare implements Lab: each guest keeps a core busy.
func (r *GuestLab) Spare(scenarios int) bool {
	return min(r.executor.Jobs, scenarios) < runtime.NumCPU()
}

// Observe implements Lab.
func (r *GuestLab) Observe(ctx context.Context, w Wanted) (column results.Kernel, cells []observe.Cell, err error) {
	resolved, err := source.Resolve(ctx, w.Spec, r.opts)
	if err != nil {
		return column, nil, err
	}
	defer resolved.Close()
	resolved.Name = w.Name
	k, err := r.executor.Kernel(ctx, resolved, r.accel)
	if err != nil {
		return column, nil, err
	}
	picked := slices.DeleteFunc(
		slices.Clone(r.Picked),
		func(i scenario.Info) bool { return !slices.Contains(w.Scenarios, i.ID) },
	)
	todo := plan.Make([]*plan.Kernel{k}, r.suites, picked, plan.Options{Repeat: w.Times})
	if err := r.boot(ctx, k, todo.Tasks); err != nil {
		return column, nil, err
	}
	defer r.executor.Release(k)
	r.executor.Consoles = func(string) string { return w.Consoles }
	cells = todo.Impossible
	var mu sync.Mutex
	r.executor.Observe(ctx, todo.Tasks, func(c observe.Cell) {
		mu.Lock()
		defer mu.Unlock()
		cells = append(cells, c)
	})
	column = run.Column(k)
	column.BootMillis = float64(r.executor.Booted(k).Microseconds()) / 1000
	return column, cells, context.Cause(ctx)
}

// boot makes the kernel's template. A panic, a reset of the machine, or two boots that
// do not finish count as the commit's result.
func (r *GuestLab) boot(ctx context.Context, k *plan.Kernel, tasks []plan.Task) error {
	for again := true; ; again = false {
		if err := r.executor.Boot(ctx, tasks, nil); err != nil {
			return err
		}
		err := r.executor.Broken(k)
		if err == nil {
			return nil
		}
		r.executor.Release(k)
		var t *vm.GuestError
		if !errors.As(err, &t) {
			return err
		}
		switch {
		case t.OfKernel() && (t.Kind != vm.Hang || !again):
			return &SourceError{State: DoesNotBoot, Console: t.Tail, Err: err}
		case t.Kind != vm.Hang || !again:
			return err
		}
		r.executor.Log("%s did not boot in time; booting again", k.Name)
	}
}
