package explore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
)

// Wanted is a program to observe on some of the kernels.
type Wanted struct {
	generated.Program
	Attempt int
	Kernels []string // their names; none means all
}

// On reports whether the program is to be observed on a kernel.
func (w Wanted) On(kernel string) bool {
	return len(w.Kernels) == 0 || slices.Contains(w.Kernels, kernel)
}

// Lab observes programs on the kernels.
type Lab interface {
	// Observe passes on a cell for each program and kernel, in any order, one at a time. A
	// program that ctx interrupts has none.
	Observe(ctx context.Context, all []Wanted, cell func(observe.Cell)) error
}

// GuestLab is a Lab of real kernels in guests.
type GuestLab struct {
	// Kernels are the columns of the kernels, in their order.
	Kernels []results.Kernel

	kernels  []*plan.Kernel
	executor *run.Executor
	booted   map[string]bool // by kernel and accelerator
}

// GuestLabOptions configure a GuestLab.
type GuestLabOptions struct {
	Kernels []matrix.Entry
	Accel   string // "auto", "kvm" or "tcg"
	Jobs    int    // guests in parallel; 0 means as many as cores and memory allow
	Cache   *cache.Cache
	Log     func(format string, args ...any)
}

// NewGuestLab fetches the kernels. It must be closed.
func NewGuestLab(ctx context.Context, opt GuestLabOptions) (*GuestLab, error) {
	x, err := run.NewExecutor(ctx, opt.Cache, arch.AMD64.Name, opt.Jobs)
	if err != nil {
		return nil, err
	}
	x.Log = opt.Log
	l := &GuestLab{executor: x, booted: map[string]bool{}}
	for _, e := range opt.Kernels {
		k, err := e.Resolve(ctx, kernels.Options{Cache: opt.Cache, Log: opt.Log})
		if err != nil {
			l.Close()
			return nil, err
		}
		pk, err := x.Kernel(ctx, k, opt.Accel)
		l.kernels = append(l.kernels, pk)
		if err != nil {
			l.Close()
			return nil, err
		}
	}
	l.name()
	for _, k := range l.kernels[1:] {
		if k.Accel != l.kernels[0].Accel {
			l.Close()
			return nil, errkind.Requestf("%s runs with %s and %s with %s, so their results cannot be compared; give --accel tcg",
				l.kernels[0].Name, l.kernels[0].Accel, k.Name, k.Accel)
		}
	}
	for _, k := range l.kernels {
		l.Kernels = append(l.Kernels, run.Column(k))
	}
	return l, nil
}

// name makes the names of the kernels differ: the same kernel may be given twice.
func (l *GuestLab) name() {
	seen := map[string]int{}
	for _, k := range l.kernels {
		if seen[k.Name]++; seen[k.Name] > 1 {
			k.Name = fmt.Sprintf("%s#%d", k.Name, seen[k.Name])
		}
	}
}

// Close releases the kernels.
func (l *GuestLab) Close() {
	l.executor.Close() // before the files of its guests
	for _, k := range l.kernels {
		k.Close()
	}
}

// Describe sets the kernels of an exploration, and what identifies them and this machine.
func (l *GuestLab) Describe(ctx context.Context, opt *Options) error {
	host, err := l.executor.Host(ctx)
	if err != nil {
		return err
	}
	opt.QEMU = host.QEMU + " " + host.QEMUDigest
	for _, k := range l.Kernels {
		opt.Header.Kernels = append(opt.Header.Kernels, k.Name+" "+k.Digest+" "+k.Accel)
		opt.Kernels = append(opt.Kernels, Kernel{judge.NewKernel(k.Name, k.Version, k.Release, nil), k.Digest})
		if k.Accel != string(qemu.TCG) {
			opt.CPU = host.CPU + " " + host.CPUDigest
		}
	}
	exe, err := os.Executable()
	if err == nil {
		opt.Suite, err = cache.FileSum(exe)
	}
	return err
}

// Observe implements Lab.
func (l *GuestLab) Observe(ctx context.Context, all []Wanted, cell func(observe.Cell)) error {
	var ids []string
	for _, w := range all {
		ids = append(ids, w.ID())
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	suites, err := run.Suites(ctx, nil, ids...)
	if err != nil {
		return err
	}
	suites = slices.DeleteFunc(suites, func(s plan.Suite) bool { return s.Name != generated.Suite })
	if len(suites) != 1 {
		return fmt.Errorf("list the generated programs: %d suites of them", len(suites))
	}
	infos := map[string]scenario.Info{}
	for _, i := range suites[0].Scenarios {
		infos[i.ID] = i
	}
	type column struct {
		kernel  *plan.Kernel
		attempt int
	}
	var columns []column // in the order in which they are wanted
	picked := map[column][]scenario.Info{}
	for _, w := range all {
		i, ok := infos[w.ID()]
		if !ok {
			return fmt.Errorf("the suite does not list %s", w.ID())
		}
		for _, k := range l.kernels {
			if at := (column{k, w.Attempt}); w.On(k.Name) {
				if picked[at] == nil {
					columns = append(columns, at)
				}
				picked[at] = append(picked[at], i)
			}
		}
	}
	var tasks []plan.Task
	var mu sync.Mutex
	deliver := func(c observe.Cell) {
		mu.Lock()
		defer mu.Unlock()
		cell(c)
	}
	for _, c := range columns {
		todo := plan.Make([]*plan.Kernel{c.kernel}, suites, picked[c], plan.Options{})
		for _, cell := range todo.Impossible {
			cell.Attempt = c.attempt
			deliver(cell)
		}
		for _, t := range todo.Tasks {
			t.Attempt = c.attempt
			tasks = append(tasks, t)
		}
	}
	tasks = l.interleaved(tasks)
	if err := l.boot(ctx, tasks); err != nil {
		return err
	}
	l.executor.Observe(ctx, tasks, deliver)
	return context.Cause(ctx)
}

// interleaved orders tasks so that the kernels take turns: what is interrupted leaves few
// programs that only some kernels have run.
func (l *GuestLab) interleaved(tasks []plan.Task) (out []plan.Task) {
	byKernel := map[*plan.Kernel][]plan.Task{}
	for _, t := range tasks {
		byKernel[t.Kernel] = append(byKernel[t.Kernel], t)
	}
	for len(out) < len(tasks) {
		for _, k := range l.kernels {
			if rest := byKernel[k]; len(rest) > 0 {
				out, byKernel[k] = append(out, rest[0]), rest[1:]
			}
		}
	}
	return out
}

// boot makes the templates that tasks need and that were not made yet.
func (l *GuestLab) boot(ctx context.Context, tasks []plan.Task) error {
	var first []plan.Task
	for _, t := range tasks {
		for _, i := range t.Scenarios {
			accel := i.Accel(string(t.Kernel.Accel))
			if key := t.Kernel.Name + " " + accel; !l.booted[key] {
				l.booted[key] = true
				first = append(first, plan.Task{Kernel: t.Kernel, Suite: t.Suite, Scenarios: []scenario.Info{i}})
			}
		}
	}
	if len(first) == 0 {
		return nil
	}
	if err := l.executor.Boot(ctx, first, nil); err != nil {
		return err
	}
	for _, k := range l.kernels {
		if err := l.executor.Broken(k); err != nil {
			return err
		}
	}
	return nil
}
