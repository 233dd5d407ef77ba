package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/needs"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/kernels"
)

// DryRun says what Do would do, and the QEMU command of each kernel. It fetches
// the kernels, because their modules decide what a guest is made of.
func DryRun(ctx context.Context, opt Options) (string, error) {
	_, picked, err := Pick(ctx, opt.Scenarios, opt.Label)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var rig *vm.Rig
	for _, e := range opt.Kernels {
		k, err := e.Resolve(ctx, kernels.Options{Cache: opt.Cache, Log: opt.Progress.Say})
		if err != nil {
			return "", err
		}
		defer k.Close()
		if rig == nil {
			if rig, err = vm.NewRig(ctx, opt.Cache, k.Arch); err != nil {
				return "", err
			}
			defer rig.Close()
		}
		accel, _, err := rig.KnownAccel(ctx, opt.Accel)
		if err != nil && !errors.Is(err, vm.ErrNotTried) {
			return "", err
		}
		command, err := rig.DryRun(ctx, vm.Spec{Kernel: k, Accel: accel})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "# %s (%s), %s\n%s\n", k.Name, k.Release, accel, command)
		for line := range strings.Lines(needs.Of(k, picked).String()) {
			fmt.Fprintf(&b, "# %s", line)
		}
		b.WriteByte('\n')
	}
	from, to := opt.Shard.Cut(len(opt.Kernels) * len(picked))
	fmt.Fprintf(&b, "# cells: %d of %d (scenarios: %d, kernels: %d):\n", to-from, len(opt.Kernels)*len(picked), len(picked), len(opt.Kernels))
	for _, i := range picked {
		fmt.Fprintln(&b, i.ID)
	}
	return b.String(), nil
}
