package suite

import (
	"errors"
	"time"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/kernels"
)

// Record gathers what one scenario saw.
type Record struct {
	Kernel    *kernels.Kernel
	Steps     []observe.Step
	Witnesses map[string]string
	LeftOut   []observe.LeftOut
	KernelLog []string
	Blocks    int // see observe.Cell
	// Trouble with the rig that ended the scenario.
	Trouble     error
	ConsoleTail string // when there was trouble, or a panic
	// Registers and Template are those of the guest that was lost: see vm.GuestError.
	Registers, Template string
	// Panicked says that the kernel panicked where the scenario did not expect it.
	Panicked bool
	// Hung says that a step did not return.
	Hung bool
	// Unmet are the expectations that were not met, in words, until the scenario's
	// end. Outside a scenario there is no end, and AtEnd is false.
	Unmet []string
	AtEnd bool

	started time.Time
	paused  bool
}

// NewRecord is an empty record of a scenario on a kernel.
func NewRecord(k *kernels.Kernel) *Record {
	return &Record{Kernel: k, Witnesses: map[string]string{}, started: time.Now()}
}

// Lost keeps what is left of a guest that an error says is lost.
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
		tell(scenario.Event{Step: &s})
	}
	return len(r.Steps) - 1
}
