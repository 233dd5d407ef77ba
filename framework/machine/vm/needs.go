package vm

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
)

// checkConfig returns a GuestError that names every required symbol which the
// kernel's configuration does not have, or nil. It is called before a boot, which
// would fail at the first of them.
func checkConfig(k *kernels.Kernel) error {
	missing := k.Lacks(required.Symbols()...)
	if len(missing) == 0 {
		return nil
	}
	set := "CONFIG_" + strings.Join(missing, ", CONFIG_")
	return &GuestError{
		Kind:   Refused,
		Doing:  "boot",
		Kernel: k.Name,
		Err:    fmt.Errorf("no guest runs without %s", set),
		Hint:   "build the kernel with them",
	}
}
