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

// Follow is how one scenario is observed that somebody watches.
type Follow struct {
	// Hear hears all that the suite's process tells, as it tells it. A scenario that
	// is paused goes on when Hear of that event returns.
	Hear func(scenario.Event)
	// Pause is the step, from 1, before which the scenario waits with its guest open;
	// 0 waits before none.
	Pause int
	// Busybox is the guest's shell where it waits, a static program of this machine.
	Busybox string
}

// Follow observes a task's scenarios once, whatever comes of it, and hands on
// their cells.
func (o *Executor) Follow(ctx context.Context, t plan.Task, f Follow, cell func(observe.Cell)) {
	o.once(ctx, t, &f, cell)
}

// args are those of the suite's process.
func (f *Follow) args() []string {
	args := []string{"--faultline.follow", fmt.Sprint("--faultline.resume=", resumeFD)}
	if f.Pause > 0 {
		// Ginkgo bounds a suite by an hour, which is long for a machine only.
		args = append(args, "-ginkgo.timeout="+noHurry.String(), fmt.Sprint("--faultline.pause=", f.Pause), "--faultline.busybox="+f.Busybox)
	}
	return args
}

// noHurry is how long may be what a person decides about.
const noHurry = 30 * 24 * time.Hour

// silence is how long the process may tell nothing.
func (f *Follow) silence(usual time.Duration) time.Duration {
	if f.Pause > 0 {
		return noHurry
	}
	return usual
}

// hear hands on an event, and lets the process go on that waits.
func (f *Follow) hear(e scenario.Event, goOn io.Writer) {
	if f.Hear(e); e.Paused != nil {
		fmt.Fprintln(goOn) // a process that is gone is told of by its end
	}
}
