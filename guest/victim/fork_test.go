package victim

import (
	"strings"
	"syscall"
	"testing"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

func TestForkedChild(t *testing.T) {
	s := start(t, wire.Handle)
	m := s.short()
	private := s.anonymous()
	s.access(wire.Store, private, 8, 42)
	const one, two = 11, 12
	for _, n := range []int{one, two} {
		if r := s.must(&wire.Request{Fork: &wire.Fork{Victim: n}}).Spawned; r.Victim != n || r.PID <= 0 {
			t.Fatalf("fork: got %+v, want victim %d and its PID", r, n)
		}
	}
	in := func(to int, kind wire.Kind, addr uint64, value uint64) *wire.Accessed {
		t.Helper()
		return s.must(&wire.Request{To: to, Access: &wire.Access{Kind: kind, Addr: addr, Width: 8, Value: value}}).Accessed
	}
	if a := in(one, wire.Load, private, 0); !a.Done || a.Value != 42 {
		t.Errorf("load in the child: got %+v, want 42", a)
	}
	in(one, wire.Store, private, 43)
	if a := s.access(wire.Load, private, 8, 0); a.Value != 42 {
		t.Errorf("load in the parent after the child's store: got %d, want 42", a.Value)
	}
	in(one, wire.Store, m.Addr, 44)
	if a := in(two, wire.Load, m.Addr, 0); a.Value != 44 {
		t.Errorf("load of shared memory in the other child: got %d, want 44", a.Value)
	}
	for _, kind := range []wire.Kind{wire.Load, wire.Store, wire.Exec} {
		signal(t, in(two, kind, m.Addr+8192, 0), siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+8192)
	}
	if a := s.access(wire.Load, private, 8, 0); len(a.Signals) != 0 {
		t.Errorf("parent: got the child's signals %+v, want none", a)
	}
	if r := s.ask(&wire.Request{To: one, Syscall: &wire.Syscall{Name: "getpid"}}); r.Error == "" {
		t.Errorf("system call in a child: got %+v, want an error", r)
	}
	if r := s.ask(&wire.Request{Wait: &wire.Wait{Victim: one, Limit: 20}}); !strings.Contains(r.Error, "still runs") {
		t.Errorf("wait for a running child: got %+v, want a timeout", r)
	}
	if r := s.must(&wire.Request{Wait: &wire.Wait{Victim: one, Kill: true}}); r.Status.Signal != siginfo.SIGKILL {
		t.Errorf("kill the child: got %+v, want SIGKILL", r.Status)
	}
	if r := s.ask(&wire.Request{To: one, Access: &wire.Access{Kind: wire.Load, Addr: private, Width: 1}}); r.Error == "" {
		t.Errorf("access in a dead child: got %+v, want an error", r)
	}
}

func TestForkedChildDies(t *testing.T) {
	s := start(t, wire.Default)
	m := s.short()
	s.must(&wire.Request{Fork: &wire.Fork{Victim: 2}})
	r := s.must(&wire.Request{To: 2, Access: &wire.Access{Kind: wire.Load, Addr: m.Addr + 4096, Width: 1}})
	if r.Died == nil || r.Died.Signal != siginfo.SIGBUS || r.Died.Code != -1 {
		t.Fatalf("got %+v, want killed by SIGBUS", r)
	}
	if a := s.access(wire.Load, m.Addr, 1, 0); !a.Done {
		t.Error("the parent no longer works")
	}
}

func TestThread(t *testing.T) {
	s := start(t, wire.Handle)
	m := s.short()
	private := s.anonymous()
	const thread = 11
	r := s.must(&wire.Request{Fork: &wire.Fork{Victim: thread, Thread: true}}).Spawned
	if r.Victim != thread || r.PID <= 0 || r.PID == s.cmd.Process.Pid {
		t.Fatalf("start a thread: got %+v, want victim %d and its own ID", r, thread)
	}
	in := func(kind wire.Kind, addr uint64, value uint64) *wire.Accessed {
		t.Helper()
		return s.must(&wire.Request{To: thread, Access: &wire.Access{Kind: kind, Addr: addr, Width: 8, Value: value}}).Accessed
	}
	call := func(name string, args ...wire.Arg) *wire.SyscallReply {
		t.Helper()
		return s.must(&wire.Request{To: thread, Syscall: &wire.Syscall{Name: name, Args: args}}).Called
	}
	in(wire.Store, private, 43)
	if a := s.access(wire.Load, private, 8, 0); a.Value != 43 {
		t.Errorf("load after the thread's store: got %d, want 43", a.Value)
	}
	if c := call("getpid"); int(c.Ret) != s.cmd.Process.Pid || c.Errno != "" {
		t.Errorf("getpid in the thread: got %+v, want %d", c, s.cmd.Process.Pid)
	}
	if c := call("gettid"); int(c.Ret) != r.PID {
		t.Errorf("gettid in the thread: got %+v, want %d", c, r.PID)
	}
	if c := call("close", wire.Arg{Int: 12345}); c.Errno != "EBADF" || c.Ret != -1 {
		t.Errorf("close of an unused descriptor: got %+v, want EBADF", c)
	}
	// Each receives its own signals, alternately.
	for range 3 {
		signal(t, in(wire.Load, m.Addr+8192, 0), siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+8192)
		if c := s.call("getpid"); len(c.Signals) != 0 {
			t.Errorf("victim: got the thread's signals %+v, want none", c)
		}
		signal(t, s.access(wire.Load, m.Addr+4096, 8, 0), siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+4096)
		if c := call("getpid"); len(c.Signals) != 0 {
			t.Errorf("thread: got the victim's signals %+v, want none", c)
		}
	}
	if r := s.ask(&wire.Request{Fork: &wire.Fork{Victim: 12, Thread: true}}); r.Error == "" {
		t.Error("second thread: got no error")
	}
	if r := s.ask(&wire.Request{Wait: &wire.Wait{Victim: thread}}); r.Error == "" {
		t.Error("wait for a thread: got no error")
	}
}

// SA_RESETHAND: the first signal is delivered to the handler, the second is fatal.
func TestOnce(t *testing.T) {
	s := start(t, wire.Once)
	m := s.short()
	signal(t, s.access(wire.Load, m.Addr+8192, 8, 0), siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+8192)
	s.send(&wire.Request{Access: &wire.Access{Kind: wire.Load, Addr: m.Addr + 8192, Width: 1}})
	if err := s.cmd.Wait(); err == nil || s.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGBUS {
		t.Errorf("after the second signal: got %v, want killed by SIGBUS", err)
	}
}
