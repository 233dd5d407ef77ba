package bisect

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Lab builds kernels and observes scenarios on them.
type Lab interface {
	// Inputs returns, by name, what determines the results of a request in addition to its
	// kernels: the inputs of a build of a tree, and the observing programs.
	Inputs(ctx context.Context, r Request) (map[string]string, error)
	// Built reports, at little cost, whether the kernel of a spec is already built.
	Built(ctx context.Context, spec string) bool
	// Build builds the kernel of a spec. A failure caused by the source is a *SourceError.
	Build(ctx context.Context, spec string) error
	// Observe boots a kernel and observes scenarios on it. A kernel that does not boot is
	// a *SourceError.
	Observe(ctx context.Context, w Wanted) (results.Kernel, []observe.Cell, error)
	// Spare reports whether a core is free while that many scenarios are observed.
	Spare(scenarios int) bool
}

// Wanted is an observation to make.
type Wanted struct {
	Name      string // of the kernel in its cells
	Spec      string
	Scenarios []string
	Times     int    // how often each is observed
	Consoles  string // the folder for the consoles of its guests
}

// State is the result of building and booting a commit.
type State string

const (
	Observed     State = "observed"
	DoesNotApply State = "does_not_apply" // the edit that comes before the build
	DoesNotBuild State = "does_not_build"
	Unavailable  State = "unavailable" // a built kernel that is not there, or not complete
	DoesNotBoot  State = "does_not_boot"
	LeftOut      State = "left_out" // by the user
)

// texts are the states in sentences.
var texts = map[State]string{
	Observed: "observed", DoesNotApply: "does not apply", DoesNotBuild: "does not build", Unavailable: "is unavailable",
	DoesNotBoot: "does not boot", LeftOut: "skipped, as requested",
}

// String returns the state for use in a sentence.
func (s State) String() string { return texts[s] }

// SourceError is the error of a commit that cannot be observed because of its source.
type SourceError struct {
	State State
	// Console is the end of the console of a kernel that does not boot.
	Console string
	Err     error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%v: %v", e.State, e.Err) }
func (e *SourceError) Unwrap() error { return e.Err }
