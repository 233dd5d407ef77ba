package suite

import (
	"errors"
	"time"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/kernels"
)

// Record collects what one scenario observed.
type Record struct {
	Kernel    *kernels.Kernel
	Steps     []observe.Step
	Witnesses map[string]string
	LeftOut   []observe.Ignored
	KernelLog []string
	Blocks    int // see observe.Cell
	// InfraErr is the infrastructure failure that ended the scenario.
	InfraErr    error
	ConsoleTail string // after an infrastructure failure or a panic
	// Registers and Template are those of the lost guest: see vm.GuestError.
	Registers, Template string
	// Panicked reports that the kernel panicked unexpectedly.
	Panicked bool
	// Hung reports that a step did not return.
	Hung bool
	// Unmet are descriptions of the expectations that were not met. With AtEnd they fail
	// the scenario at its end; it is false outside a scenario.
	Unmet []string
	AtEnd bool

	started time.Time
	paused  bool
}

// NewRecord returns an empty record of a scenario on a kernel.
func NewRecord(k *kernels.Kernel) *Record {
	return &Record{Kernel: k, Witnesses: map[string]string{}, started: time.Now()}
}

// Lost records the post-mortem data of a guest, if err is a *vm.GuestError.
func (r *Record) Lost(err error) {
	var t *vm.GuestError
	if errors.As(err, &t) {
		r.ConsoleTail, r.Registers, r.Template = t.Tail, t.Registers, t.Template
	}
}

// Add adds a step and returns its index.
func (r *Record) Add(s observe.Step) int {
	r.Steps = append(r.Steps, s)
	if flags.follow {
		emit(scenario.Event{Step: &s})
	}
	return len(r.Steps) - 1
}
