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

// patience is how long a scenario may take that somebody looks into.
const patience = 30 * 24 * time.Hour

// Patience is the time that something may take: usual, but where the suite waits
// for a person.
func Patience(usual time.Duration) time.Duration {
	if flags.pause > 0 {
		return patience
	}
	return usual
}

// Approach waits, where the suite's process was asked to, before the scenario does
// what ends in so many steps, one of them that of --faultline.pause: its guest is
// open, and it goes on when its parent says so.
func (r *Record) Approach(ctx context.Context, g *vm.Guest, steps int) error {
	if flags.pause == 0 || r.paused || len(r.Steps)+steps < flags.pause {
		return nil
	}
	r.paused = true
	doors, err := g.Open(ctx, flags.busybox)
	if err != nil {
		return err
	}
	tell(scenario.Event{Paused: &scenario.Paused{Taken: len(r.Steps), DebugEndpoints: scenario.DebugEndpoints(doors)}})
	resumed := make(chan error, 1)
	go func() {
		from := os.NewFile(uintptr(flags.resume), "resume")
		_, err := bufio.NewReader(from).ReadString('\n')
		resumed <- err
	}()
	select {
	case err := <-resumed:
		if err != nil {
			return fmt.Errorf("wait for the word to go on: %w", err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
