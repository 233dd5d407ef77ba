package framework

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/suite"
	"github.com/faultline/faultline/framework/vm"
)

// A wait lasts for so many answers, however long the host takes for one: QEMU
// may be stopped, a laptop suspended, a runner moved.
func TestPollCountsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		stall  time.Duration // of each answer
		after  int           // answers until it is there; 0 for never
		seen   bool
		within time.Duration
	}{
		"at once":                              {0, 1, true, 0},
		"a host that stands still for seconds": {5500 * time.Millisecond, 3, true, time.Minute},
		"a busy host":                          {50 * time.Millisecond, settlePolls, true, 2 * time.Minute},
		"it never comes":                       {0, 0, false, settlePolls * settlePoll},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &GuestVM{rec: suite.NewRecord(nil), fail: func(err error) { t.Fatal(err) }}
				asked, begun := 0, time.Now()
				seen := g.poll(t.Context(), func() bool {
					time.Sleep(c.stall)
					asked++
					return asked == c.after
				})
				if seen != c.seen || time.Since(begun) > c.within {
					t.Errorf("seen %t after %d answers and %v", seen, asked, time.Since(begun))
				}
				if !seen && asked != settlePolls+1 {
					t.Errorf("gave up after %d answers", asked)
				}
			})
		})
	}
}

func TestPollEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var failed error
	g := &GuestVM{fail: func(err error) { failed = err; panic("the scenario ends") }}
	defer func() {
		if recover() == nil || !errors.Is(failed, context.Canceled) {
			t.Errorf("it ended with %v", failed)
		}
	}()
	g.poll(ctx, func() bool { cancel(); return false })
}

// What a guest's watchdogs saw while the host stood still is no witness.
func TestStandstillIsNoWitness(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	g.WriteFile(t.Context(), "/dev/kmsg", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [agent:1]\n")
	err := g.collect(t.Context())
	var trouble *vm.Trouble
	if !errors.As(err, &trouble) || trouble.Kind != vm.Host || g.rec.Witnesses[observe.WitnessSplats] != "" {
		t.Errorf("%v; the witnesses are %q", err, g.rec.Witnesses)
	}
}
