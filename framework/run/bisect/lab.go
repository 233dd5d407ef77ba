package bisect

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Lab builds kernels and observes scenarios on them.
type Lab interface {
	// Inputs returns, by name, what decides what a commit shows beside its source:
	// what is built with these settings, and what observes it.
	Inputs(ctx context.Context, settings []string) (map[string]string, error)
	// Built says, at little cost, that the kernel of a spec is there already.
	Built(ctx context.Context, spec string) bool
	// Build makes the kernel of a spec. What is the source's fault is a *SourceError.
	Build(ctx context.Context, spec string) error
	// Observe boots a kernel and observes scenarios on it; it says what kernel that
	// is. One that does not boot is a *SourceError.
	Observe(ctx context.Context, w Wanted) (results.Kernel, []observe.Cell, error)
	// Spare says that a core is free while these scenarios are observed.
	Spare(scenarios int) bool
}

// Wanted is what is to be observed.
type Wanted struct {
	Name      string // what the cells call the kernel
	Spec      string
	Scenarios []string
	Times     int    // that each is observed
	Consoles  string // the folder for what its guests print
}

// State is what became of a commit.
type State string

const (
	Observed     State = "observed"
	DoesNotApply State = "does_not_apply" // what was to be reverted or applied first
	DoesNotBuild State = "does_not_build"
	DoesNotBoot  State = "does_not_boot"
	LeftOut      State = "left_out" // by the user
)

// words are the states as a sentence has them.
var words = map[State]string{
	Observed: "observed", DoesNotApply: "does not apply", DoesNotBuild: "does not build", DoesNotBoot: "does not boot", LeftOut: "left out, as asked",
}

// String is the state in words.
func (s State) String() string { return words[s] }

// SourceError says that nothing can be observed of a commit, and that it is the
// commit's own doing.
type SourceError struct {
	State State
	// Console is the end of what the guest printed, of a kernel that does not boot.
	Console string
	Err     error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%v: %v", e.State, e.Err) }
func (e *SourceError) Unwrap() error { return e.Err }
