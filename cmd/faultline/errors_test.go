package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
)

func TestExitCode(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing":          {nil, 0},
		"usage":            {errkind.Requestf("x"), 2},
		"spec":             {&kernels.SpecError{What: "x"}, 2},
		"tool":             {&execx.MissingError{Tool: "depmod"}, 2},
		"mkfs":             {&execx.MissingError{Tool: "mkfs.xfs"}, 2},
		"no QEMU":          {&qemu.MissingError{Reason: "x"}, 2},
		"trouble":          {&vm.GuestError{Kind: vm.Panic}, 3},
		"disk full":        {&vm.GuestError{Kind: vm.HostFailed, Err: errors.New("disk full")}, 3},
		"any other":        {errors.New("x"), 3},
		"unexpected":       {exitError(errkind.ExitUnexpected), 1},
		"a guest's status": {exitError(139), 139},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.want {
				t.Errorf("%v: got exit code %d, want %d", c.err, got, c.want)
			}
			if c.err != nil {
				if got := exitCode(fmt.Errorf("doing: %w", c.err)); got != c.want {
					t.Errorf("%v, wrapped: got exit code %d, want %d", c.err, got, c.want)
				}
			}
		})
	}
}
