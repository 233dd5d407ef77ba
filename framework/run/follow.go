package run

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
)

// Follow configures the observation of a scenario that a person watches.
type Follow struct {
	// OnEvent receives the events of the suite process as they arrive. A paused scenario
	// resumes when OnEvent returns from its event.
	OnEvent func(scenario.Event)
	// Pause is the step, from 1, before which the scenario waits with its guest open; 0
	// means that it does not wait.
	Pause int
	// Busybox is the guest's shell while it waits, a static program on this machine.
	Busybox string
}

// Follow observes a task's scenarios exactly once and passes on their cells.
func (o *Executor) Follow(ctx context.Context, t plan.Task, f Follow, cell func(observe.Cell)) {
	o.once(ctx, t, &f, cell)
}

// args returns the arguments of the suite process.
func (f *Follow) args() []string {
	args := []string{"--faultline.follow", fmt.Sprint("--faultline.resume=", resumeFD)}
	if f.Pause > 0 {
		// Ginkgo's default timeout of an hour is too short for a person.
		args = append(
			args,
			"-ginkgo.timeout="+noHurry.String(),
			fmt.Sprint("--faultline.pause=", f.Pause),
			"--faultline.busybox="+f.Busybox,
		)
	}
	return args
}

// noHurry is the timeout where a person decides when to continue.
const noHurry = 30 * 24 * time.Hour

// silence is how long the process may send no event.
func (f *Follow) silence(usual time.Duration) time.Duration {
	if f.Pause > 0 {
		return noHurry
	}
	return usual
}

// onEvent passes on an event, and resumes a process that waits.
func (f *Follow) onEvent(e scenario.Event, goOn io.Writer) {
	if f.OnEvent(e); e.Paused != nil {
		fmt.Fprintln(goOn) // if the process is gone, drive reports its end
	}
}
