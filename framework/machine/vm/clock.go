package vm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/klog"
)

// A guest's clock continues while its QEMU does not run: if QEMU is stopped, a laptop is
// suspended or a runner is migrated, the guest's watchdogs see seconds without progress.
// The CPU time that a guest got is recorded to recognise that.

// share is the CPU time that a process has used, over the host's time.
type share struct {
	mu      sync.Mutex
	samples []sample
}

type sample struct {
	at  time.Time
	ran time.Duration
}

// sharePoll is the interval at which a guest's share is sampled.
const sharePoll = 250 * time.Millisecond

// follow samples a process's share until ctx ends.
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

// at returns the CPU time used at a time: interpolated between two samples, 0 before the
// first, and the last sample after it.
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

// ran returns the CPU time that a process has used so far; 0 if it has ended.
func ran(pid int) time.Duration {
	// A process's CPU clock (clock_getcpuclockid(3): MAKE_PROCESS_CPUCLOCK in
	// include/linux/posix-timers.h of the kernel).
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// Ran returns the CPU time that the guest's QEMU had between two times.
func (g *Guest) Ran(from, to time.Time) time.Duration { return g.share.at(to) - g.share.at(from) }

// StoodStill returns an error if a watchdog in a guest's log complains about an interval
// in which the guest ran for less than half of the time: the host was then suspended or
// busy, and the effects of that are not behaviour of the kernel.
func (g *Guest) StoodStill(log []string) error {
	for _, s := range klog.Standstills(log) {
		until := g.greeted.Add(s.Until - time.Duration(g.Hello.Uptime*float64(time.Second)))
		had := g.share.at(until) - g.share.at(until.Add(-s.For))
		if had >= s.For/2 {
			continue
		}
		return &GuestError{
			Kind:   HostFailed,
			Doing:  "observe",
			Kernel: g.spec.Kernel.Name,
			Err: fmt.Errorf(
				"its kernel reports (%s) no progress for %v, in which the guest ran for only %v: this machine was suspended or busy",
				s.Complaint,
				s.For,
				had.Round(10*time.Millisecond),
			),
			Hint: "run again",
		}
	}
	return nil
}
