package vm

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/kernels"
)

func TestRan(t *testing.T) {
	pid := spin(t)
	begun, before := time.Now(), ran(pid)
	for ran(pid)-before < 200*time.Millisecond { // without end, where it is not counted
		time.Sleep(10 * time.Millisecond)
	}
	unix.Kill(pid, unix.SIGSTOP)
	time.Sleep(50 * time.Millisecond)
	stopped := ran(pid)
	time.Sleep(100 * time.Millisecond)
	if now := ran(pid); now != stopped || now > time.Since(begun)+time.Second {
		t.Errorf("a stopped process: got %v, then %v; want the same", stopped, now)
	}
	const nobody = 1 << 27 // above the largest process id (PID_MAX_LIMIT)
	if ran(os.Getpid()) == 0 || ran(nobody) != 0 {
		t.Errorf("got %v for us, and %v for nobody; want some, and none", ran(os.Getpid()), ran(nobody))
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
			t.Errorf("at %v: got %v, want %v", at, got, want)
		}
	}
	if got := new(share).at(begun); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
}

// A watchdog's complaint counts if the guest ran for at least half of its interval.
func TestBelieved(t *testing.T) {
	begun := time.Now()
	g := &Guest{spec: Spec{Kernel: &kernels.Kernel{Name: "K"}}, greeted: begun, Hello: wire.HelloReply{Uptime: 10}}
	// It runs for 40 s, is stopped for 40 s, and then has a third of a core.
	for at, ran := range map[int]int{0: 0, 40: 40, 80: 40, 200: 80} {
		g.share.samples = append(g.share.samples, sample{begun.Add(time.Duration(at) * time.Second), time.Duration(ran) * time.Second})
	}
	slices.SortFunc(g.share.samples, func(a, b sample) int { return a.at.Compare(b.at) })
	lockup := func(uptime, stood int) string {
		return fmt.Sprintf("[%5d.000000] watchdog: BUG: soft lockup - CPU#0 stuck for %ds! [agent:1]", uptime, stood)
	}
	for name, c := range map[string]struct {
		log  []string
		says string
	}{
		"no complaint":              {[]string{"[   20.0] all is well"}, ""},
		"while it ran":              {[]string{lockup(45, 22)}, ""},
		"while it was stopped":      {[]string{lockup(90, 38)}, "no progress for 38s, in which the guest ran for only 0s"},
		"half of it":                {[]string{lockup(60, 20)}, ""},
		"less than half of it":      {[]string{lockup(65, 24)}, "for 24s, in which the guest ran for only 9s"},
		"a busy host":               {[]string{lockup(150, 30)}, "for 30s, in which the guest ran for only 10s"},
		"one of two":                {[]string{lockup(45, 22), lockup(90, 38)}, "for 38s"},
		"before it existed":         {[]string{lockup(5, 22)}, "in which the guest ran for only 0s"},
		"a clock that is far ahead": {[]string{lockup(10000, 22)}, "in which the guest ran for only 0s"},
	} {
		err := g.StoodStill(c.log)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: got %v, want no error", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { isGuestError(t, err, HostFailed, c.says, "") })
	}
}

// A complaint of a guest whose QEMU was stopped does not count.
func TestStoodStill(t *testing.T) {
	g := clone(t, template(t, newHost(t), recent))
	ask := func(req *wire.Request) *wire.Reply {
		t.Helper()
		reply, err := g.Call(t.Context(), req)
		must(t, err)
		return reply
	}
	writeGuest(t, g, "/proc/sys/kernel/watchdog_thresh", "1")
	// An idle CPU is not watched.
	victim := ask(&wire.Request{Spawn: &wire.Spawn{}}).Spawned.Victim
	m := ask(&wire.Request{To: victim, Map: &wire.Map{Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}}).Mapped
	g.Send(&wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: m.Addr, Width: 1, Spin: true}})
	ask(&wire.Request{Pmem: &wire.Pmem{}})
	must(t, unix.Kill(g.PID(), unix.SIGSTOP))
	time.Sleep(5500 * time.Millisecond)
	must(t, unix.Kill(g.PID(), unix.SIGCONT))
	log := ask(&wire.Request{KernelLog: &wire.KernelLog{Since: g.Hello.KmsgSeq}}).Log.Lines
	if !strings.Contains(strings.Join(log, "\n"), "soft lockup") {
		t.Fatalf("got the log %q, want a soft lockup", log)
	}
	isGuestError(t, g.StoodStill(log), HostFailed, "this machine was suspended or busy; run again", "")
}
