package suite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/scenario"
)

// patience is the timeout of a scenario that a person debugs.
const patience = 30 * 24 * time.Hour

// Patience returns the timeout to use: usual, or a long one if the suite waits for a
// person.
func Patience(usual time.Duration) time.Duration {
	if flags.pause > 0 {
		return patience
	}
	return usual
}

// Approach waits, with the guest open, if the step of --faultline.pause is among the
// given number of steps that the scenario does next. It returns when the parent resumes
// the process.
func (r *Record) Approach(ctx context.Context, g *vm.Guest, steps int) error {
	if flags.pause == 0 || r.paused || len(r.Steps)+steps < flags.pause {
		return nil
	}
	r.paused = true
	doors, err := g.Open(ctx, flags.busybox)
	if err != nil {
		return err
	}
	emit(scenario.Event{Paused: &scenario.Paused{Taken: len(r.Steps), DebugEndpoints: scenario.DebugEndpoints(doors)}})
	resumed := make(chan error, 1)
	go func() {
		from := os.NewFile(uintptr(flags.resume), "resume")
		_, err := bufio.NewReader(from).ReadString('\n')
		resumed <- err
	}()
	select {
	case err := <-resumed:
		if err != nil {
			return fmt.Errorf("wait for resume: %w", err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
