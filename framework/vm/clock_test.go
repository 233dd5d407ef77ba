package vm

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

func TestRan(t *testing.T) {
	pid := spin(t)
	begun, before := time.Now(), ran(pid)
	for ran(pid)-before < 200*time.Millisecond {
		if time.Since(begun) > time.Minute {
			t.Fatalf("a process that is always busy ran for %v in a minute", ran(pid)-before)
		}
		time.Sleep(10 * time.Millisecond)
	}
	unix.Kill(pid, unix.SIGSTOP)
	time.Sleep(50 * time.Millisecond)
	stopped := ran(pid)
	time.Sleep(100 * time.Millisecond)
	if now := ran(pid); now != stopped || now > time.Since(begun)+time.Second {
		t.Errorf("a process that is stopped went on from %v to %v", stopped, now)
	}
	const nobody = 1 << 27 // behind the largest process id (PID_MAX_LIMIT)
	if ran(os.Getpid()) == 0 || ran(nobody) != 0 {
		t.Errorf("we ran for %v, and nobody for %v", ran(os.Getpid()), ran(nobody))
	}
}

func TestShare(t *testing.T) {
	begun := time.Now()
	after := func(d time.Duration) time.Time { return begun.Add(d) }
	var u share
	for _, s := range []sample{{after(0), time.Second}, {after(2 * time.Second), 3 * time.Second}, {after(10 * time.Second), 3 * time.Second}} {
		u.add(s)
	}
	for at, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 0: time.Second, time.Second: 2 * time.Second, 5 * time.Second: 3 * time.Second, time.Minute: 3 * time.Second,
	} {
		if got := u.at(after(at)); got != want {
			t.Errorf("at %v: %v, not %v", at, got, want)
		}
	}
	if got := new(share).at(begun); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// A watchdog is believed where the guest had the time, and only there.
func TestStoodStill(t *testing.T) {
	tm := template(t, rig(t), recent)
	ask := func(t *testing.T, g *Guest, req *wire.Request) *wire.Reply {
		t.Helper()
		reply, err := g.Call(t.Context(), req)
		must(t, err)
		return reply
	}
	log := func(t *testing.T, g *Guest) []string {
		t.Helper()
		lines := ask(t, g, &wire.Request{KernelLog: &wire.KernelLog{Since: g.Welcome.KmsgSeq}}).Log.Lines
		if !strings.Contains(strings.Join(lines, "\n"), "soft lockup") {
			t.Fatalf("no watchdog complains: %q", lines)
		}
		return lines
	}
	// A processor that does nothing is not watched.
	busy := func(t *testing.T) *Guest {
		t.Helper()
		g := clone(t, tm)
		writeGuest(t, g, "/proc/sys/kernel/watchdog_thresh", "1")
		victim := ask(t, g, &wire.Request{Spawn: &wire.Spawn{}}).Spawned.Victim
		m := ask(t, g, &wire.Request{To: victim, Map: &wire.Map{Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}}).Mapped
		g.Send(&wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: m.Addr, Width: 1, Spin: true}})
		ask(t, g, &wire.Request{Pmem: &wire.Pmem{}})
		return g
	}
	t.Run("stopped", func(t *testing.T) {
		g := busy(t)
		must(t, unix.Kill(g.PID(), unix.SIGSTOP))
		time.Sleep(5500 * time.Millisecond)
		must(t, unix.Kill(g.PID(), unix.SIGCONT))
		isTrouble(t, g.StoodStill(log(t, g)), Host, "this machine stood still or was busy; run again", "")
	})
	t.Run("locked up", func(t *testing.T) {
		g := busy(t)
		if err := g.StoodStill(nil); err != nil {
			t.Errorf("without a complaint: %v", err)
		}
		for begun := ran(g.PID()); ran(g.PID())-begun < 3*time.Second; {
			time.Sleep(sharePoll)
		}
		writeGuest(t, g, "/dev/kmsg", "watchdog: BUG: soft lockup - CPU#0 stuck for 3s! [agent:1]\n")
		if err := g.StoodStill(log(t, g)); err != nil {
			t.Error(err)
		}
	})
}
