package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
)

// DryRun describes what Do would do, with the QEMU command of each kernel. It fetches
// the kernels, because their modules determine the guest's contents, and builds none.
func DryRun(ctx context.Context, opt Options) (string, error) {
	_, picked, err := Pick(ctx, opt.Selection)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	d := dry{opt: opt, picked: picked}
	defer func() {
		if d.host != nil {
			d.host.Close()
		}
	}()
	var ks []*plan.Kernel
	for _, e := range opt.Kernels {
		k, err := d.kernel(ctx, &b, e)
		if err != nil {
			return "", err
		}
		ks = append(ks, k)
	}
	if err := unavailable(ks, opt.All); err != nil {
		return "", err
	}
	from, to := opt.Shard.Cut(len(opt.Kernels) * len(picked))
	fmt.Fprintf(
		&b,
		"# cells: %d of %d (scenarios: %d, kernels: %d):\n",
		to-from,
		len(opt.Kernels)*len(picked),
		len(picked),
		len(opt.Kernels),
	)
	for _, i := range picked {
		fmt.Fprintln(&b, i.ID)
	}
	return b.String(), nil
}

// dry is a dry run in progress.
type dry struct {
	opt    Options
	picked []scenario.Info
	host   *vm.Host // created with the first kernel
}

// kernel describes what would happen to an entry: the command of its guest and the
// scenarios that it cannot run, how it would be built, or that it is not available.
func (d *dry) kernel(ctx context.Context, b *strings.Builder, e matrix.Entry) (*plan.Kernel, error) {
	resolved, err := e.Resolve(ctx, kernels.Options{Cache: d.opt.Cache, Log: d.opt.Progress.Say, Cached: true})
	var built *kernels.NotBuiltError
	if errors.As(err, &built) {
		fmt.Fprintf(b, "# %s would be built: %s\n\n", e.Unresolved().Name, sanitize.Line(built.What))
		return &plan.Kernel{Kernel: e.Unresolved()}, nil
	}
	k, err := kernelOf(ctx, e, resolved, err)
	if err != nil {
		return nil, err
	}
	if k.Unavailable != nil {
		fmt.Fprintf(b, "# %s is not available; "+
			"its cells are infrastructure failures: %s\n\n", k.Name, sanitize.Line(k.Unavailable.Error()))
		return k, nil
	}
	defer k.Close()
	if d.host == nil {
		if d.host, err = vm.NewHost(ctx, d.opt.Cache, k.Arch); err != nil {
			return nil, err
		}
	}
	accel, _, err := d.host.KnownAccel(ctx, d.opt.Accel)
	if err != nil && !errors.Is(err, vm.ErrNotTried) {
		return nil, err
	}
	command, err := d.host.DryRun(ctx, vm.Spec{Kernel: k.Kernel, Accel: accel})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(b, "# %s (%s), %s\n%s\n", k.Name, k.Release, accel, command)
	for line := range strings.Lines(needs.Of(k.Kernel, d.picked).String()) {
		fmt.Fprintf(b, "# %s", line)
	}
	b.WriteByte('\n')
	return k, nil
}
