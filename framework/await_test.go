package framework

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/wire"
)

// A wait lasts for a number of answers, however long the host takes for each: QEMU may be
// stopped, a laptop suspended, a runner migrated.
func TestPollCountsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		stall  time.Duration // of each answer
		after  int           // answers until done; 0 for never
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
				g := &Guest{rec: suite.NewRecord(nil), fail: func(err error) { t.Fatal(err) }}
				asked, begun := 0, time.Now()
				seen := g.poll(t.Context(), func() bool {
					time.Sleep(c.stall)
					asked++
					return asked == c.after
				})
				if seen != c.seen || time.Since(begun) > c.within {
					t.Errorf("got seen %t after %d answers and %v; want %t within %v", seen, asked, time.Since(begun), c.seen, c.within)
				}
				if !seen && asked != settlePolls+1 {
					t.Errorf("gave up after %d answers, want %d", asked, settlePolls+1)
				}
			})
		})
	}
}

func TestPollEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var failed error
	g := &Guest{fail: func(err error) { failed = err; panic("the scenario ends") }}
	defer func() {
		if recover() == nil || !errors.Is(failed, context.Canceled) {
			t.Errorf("ended with %v, want context.Canceled", failed)
		}
	}()
	g.poll(ctx, func() bool { cancel(); return false })
}

// Complaints of a guest's watchdogs while the host was suspended are not witnesses.
func TestStandstillIsNoWitness(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	g.WriteFile(t.Context(), "/proc/sys/kernel/watchdog_thresh", "1\n")
	// An idle processor is not watched.
	victim := g.call(t.Context(), &wire.Request{Spawn: &wire.Spawn{}}).Spawned.Victim
	m := g.call(t.Context(), &wire.Request{To: victim, Map: &wire.Map{
		Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS,
	}}).Mapped
	g.vm.Send(&wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: m.Addr, Width: 1, Spin: true}})
	g.call(t.Context(), &wire.Request{Pmem: &wire.Pmem{}})
	for _, signal := range []unix.Signal{unix.SIGSTOP, unix.SIGCONT} {
		if err := unix.Kill(g.vm.PID(), signal); err != nil {
			t.Fatal(err)
		}
		if signal == unix.SIGSTOP {
			time.Sleep(5500 * time.Millisecond)
		}
	}
	err := g.collect(t.Context())
	var trouble *vm.GuestError
	if !errors.As(err, &trouble) || trouble.Kind != vm.HostFailed || g.rec.Witnesses[observe.WitnessSplats] != "" {
		t.Errorf("got %v, witnesses %q; want a failure of the host, and no witness of splats", err, g.rec.Witnesses)
	}
}

// Text that a program writes to the kernel's log is not a complaint of the kernel.
func TestProgramsDoNotComplain(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	for _, text := range []string{
		"watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [agent:1]\n", "<0>BUG: KASAN: use-after-free in f+0x1/0x2\n",
		"WARNING: mm/x.c:1 at f+0x1/0x2, CPU#1: agent/1\n", "Kernel panic - not syncing: no\n",
	} {
		g.WriteFile(t.Context(), "/dev/kmsg", text)
	}
	err := g.collect(t.Context())
	if err != nil || g.rec.Witnesses[observe.WitnessSplats] != observe.NoSplats || g.rec.Witnesses[observe.WitnessLog] != observe.NothingAboutPoison {
		t.Errorf("got %v, witnesses %q; want no error, no splat and nothing about poison", err, g.rec.Witnesses)
	}
}
