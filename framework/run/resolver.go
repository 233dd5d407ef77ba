package run

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
)

// KernelError is the error of a kernel that is not available.
type KernelError struct {
	Entry matrix.Entry
	Err   error
}

func (e *KernelError) Error() string { return e.Err.Error() } // which names the kernel

func (e *KernelError) Unwrap() error { return e.Err }

// resolver fetches the kernels of a run and chooses the accelerators of their guests. A
// kernel that is needed in any case boots while the others are still being resolved.
type resolver struct {
	Options
	progress *progress
	executor *Executor
	// boots reports whether a kernel's default guest is needed regardless of the other
	// kernels.
	boots func(ctx context.Context, k *plan.Kernel) bool

	choosing sync.Mutex // guards toldWhy
	toldWhy  bool
}

// resolve fetches and unpacks the kernels, one per core in parallel, because unpacking
// keeps a core busy. A kernel that is not available loses only its own cells, if others
// are available. The error is that of the first kernel in order; the resolved kernels
// are returned with it. Their names differ.
func (r *resolver) resolve(ctx context.Context) ([]*plan.Kernel, error) {
	ks, errs := make([]*plan.Kernel, len(r.Kernels)), make([]error, len(r.Kernels))
	left := int64(len(ks))
	one := func(i int) {
		e := r.Kernels[i]
		r.progress.doing("resolve " + e.Spec)
		k, err := e.Resolve(ctx, kernels.Options{Cache: r.Cache, Log: r.progress.say})
		others := atomic.AddInt64(&left, -1) > 0
		if ks[i], errs[i] = kernelOf(ctx, e, k, err); errs[i] == nil && err == nil {
			errs[i] = r.chooseAccel(ctx, ks[i], others)
		}
	}
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	alone := func(i int) bool { return source.All().Alone(r.Kernels[i].Spec) }
	for i := range ks {
		if !alone(i) {
			g.Go(func() error { one(i); return nil })
		}
	}
	_ = g.Wait() // the errors are in errs
	for i := range ks {
		if alone(i) && !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
			one(i)
		}
	}
	ks = slices.DeleteFunc(ks, func(k *plan.Kernel) bool { return k == nil })
	for _, err := range errs {
		if err != nil {
			return ks, err
		}
	}
	if err := unavailable(ks, r.All); err != nil {
		return ks, err
	}
	for _, k := range ks {
		if k.Unavailable != nil {
			r.progress.say("%s is not available; its cells are infrastructure failures: %v", k.Name, k.Unavailable)
		}
	}
	return ks, r.sameName(ks)
}

// sameName returns an error if two kernels have the same name.
func (r *resolver) sameName(ks []*plan.Kernel) error {
	names := map[string]string{}
	for i, k := range ks {
		if other, twice := names[k.Name]; twice {
			return errkind.Requestf("two kernels have the name %q (%s and %s); "+
				"give them different names in a matrix file (name:)", k.Name, other, r.Kernels[i].Spec)
		}
		names[k.Name] = r.Kernels[i].Spec
	}
	return nil
}

// kernelOf returns the plan's kernel of an entry that was resolved to k or to err. With
// an infrastructure error the kernel is not available; any other error is returned.
func kernelOf(ctx context.Context, e matrix.Entry, k *kernels.Kernel, err error) (*plan.Kernel, error) {
	switch {
	case err == nil:
		return &plan.Kernel{Kernel: k}, nil
	case ctx.Err() != nil || errkind.Of(err) != errkind.Infra:
		return nil, &KernelError{Entry: e, Err: err}
	}
	return &plan.Kernel{Kernel: e.Unresolved(), Unavailable: &KernelError{Entry: e, Err: err}}, nil
}

// unavailable returns why there can be no run: the first unavailable kernel's error, if
// none is available or all must be.
func unavailable(ks []*plan.Kernel, all bool) error {
	var lost []error
	for _, k := range ks {
		if k.Unavailable != nil {
			lost = append(lost, k.Unavailable)
		}
	}
	if len(lost) == len(ks) || all && len(lost) > 0 {
		return lost[0]
	}
	return nil
}

// chooseAccel chooses the accelerator of a kernel's guests, one kernel at a time, because
// the first probe of KVM boots a guest. While others are still being resolved, it starts
// the boot of a kernel that is needed in any case.
func (r *resolver) chooseAccel(ctx context.Context, k *plan.Kernel, others bool) error {
	r.choosing.Lock()
	defer r.choosing.Unlock()
	if err := r.executor.chooseAccel(ctx, k, r.Accel); err != nil {
		return err
	}
	if k.AccelWhy != "" && !r.toldWhy {
		r.toldWhy = true
		r.progress.say("guests run with %s: KVM cannot run them here; run faultline doctor for the reason", k.Accel)
	}
	if others && r.boots(ctx, k) {
		return r.executor.Early(ctx, k)
	}
	return nil
}
