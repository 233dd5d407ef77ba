package vm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/klog"
)

// A guest's clock goes on while its QEMU stands still: who stops QEMU, suspends a
// laptop or moves a runner makes the guest's watchdogs see seconds in which
// nothing went on. What a guest had of its processor is kept for that.

// share is how much processor time a process had used, by the time of the host.
type share struct {
	mu      sync.Mutex
	samples []sample
}

type sample struct {
	at  time.Time
	ran time.Duration
}

// sharePoll is how often a guest's share is looked at.
const sharePoll = 250 * time.Millisecond

// follow keeps a process' share until ctx ends.
func (u *share) follow(ctx context.Context, pid int) {
	tick := time.NewTicker(sharePoll)
	defer tick.Stop()
	for {
		u.add(sample{time.Now(), ran(pid)})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (u *share) add(s sample) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.samples = append(u.samples, s)
}

// at is what was used until then: between two samples evenly, before the first
// nothing, and behind the last as much as there.
func (u *share) at(then time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	var before sample
	for i, s := range u.samples {
		if s.at.After(then) {
			if i == 0 {
				return 0
			}
			part := float64(then.Sub(before.at)) / float64(s.at.Sub(before.at))
			return before.ran + time.Duration(part*float64(s.ran-before.ran))
		}
		before = s
	}
	return before.ran
}

// ran is the processor time that a process has used so far; 0 where it is gone.
func ran(pid int) time.Duration {
	// A process' processor clock (clock_getcpuclockid(3): MAKE_PROCESS_CPUCLOCK in
	// include/linux/posix-timers.h of the kernel).
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// Ran is how much processor time the guest's QEMU had between two moments.
func (g *Guest) Ran(from, to time.Time) time.Duration { return g.share.at(to) - g.share.at(from) }

// StoodStill says of a guest's log that a watchdog of its kernel complains in it of
// a time for less than half of which the guest ran: the host stood still then, or
// was busy, and what else came of that is no behaviour. nil where none does.
func (g *Guest) StoodStill(log []string) error {
	for _, s := range klog.Standstills(log) {
		until := g.greeted.Add(s.Until - time.Duration(g.Welcome.Uptime*float64(time.Second)))
		had := g.share.at(until) - g.share.at(until.Add(-s.For))
		if had >= s.For/2 {
			continue
		}
		return &GuestError{
			Kind: HostFailed, Doing: "observe", Kernel: g.spec.Kernel.Name,
			Err:  fmt.Errorf("its kernel complains (%s) that nothing went on for %v, of which it ran for %v: this machine stood still or was busy", s.Complaint, s.For, had.Round(10*time.Millisecond)),
			Hint: "run again",
		}
	}
	return nil
}
