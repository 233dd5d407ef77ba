package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// TestMain makes the test binary act as the agent, or as a victim that the agent starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && (os.Args[1] == "serve" || os.Args[1] == "victim") {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host is the other end of an agent.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	lines *wire.Reader
	id    uint64
	early map[uint64]*wire.Reply
}

func start(t *testing.T) *host {
	t.Helper()
	stdin, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, in: in, lines: wire.NewReader(out), early: map[uint64]*wire.Reply{}}
	h.cmd = exec.Command("/proc/self/exe", "serve", "-")
	h.cmd.Dir = t.TempDir()
	h.cmd.Stdin, h.cmd.Stdout, h.cmd.Stderr = stdin, stdout, os.Stderr
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	stdout.Close()
	t.Cleanup(func() {
		in.Close()
		if err := h.cmd.Wait(); err != nil {
			t.Errorf("agent: got %v, want no error", err)
		}
		out.Close()
	})
	return h
}

func (h *host) send(q *wire.Request) uint64 {
	h.t.Helper()
	h.id++
	q.ID = h.id
	b, err := wire.Encode(q)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.in.Write(b); err != nil {
		h.t.Fatal(err)
	}
	return q.ID
}

func (h *host) receive(id uint64) *wire.Reply {
	h.t.Helper()
	for h.early[id] == nil {
		line, err := h.lines.Line()
		if err != nil {
			h.t.Fatalf("read a reply: %v", err)
		}
		var r wire.Reply
		if err := wire.Decode(line, &r); err != nil {
			h.t.Fatal(err)
		}
		h.early[r.ID] = &r
	}
	r := h.early[id]
	delete(h.early, id)
	return r
}

func (h *host) ask(q *wire.Request) *wire.Reply {
	h.t.Helper()
	return h.receive(h.send(q))
}

func (h *host) must(q *wire.Request) *wire.Reply {
	h.t.Helper()
	r := h.ask(q)
	if r.Error != "" {
		h.t.Fatalf("got the error %s", r.Error)
	}
	return r
}

func (h *host) spawn(d wire.Disposition) *wire.Spawned {
	h.t.Helper()
	return h.must(&wire.Request{Spawn: &wire.Spawn{SIGBUS: d}}).Spawned
}

// short maps a file that only has its first page into a victim.
func (h *host) short(victim int) uint64 {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "short")
	h.must(&wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte("hello"), Create: true}})
	m := h.must(&wire.Request{To: victim, Map: &wire.Map{Path: path, Length: 8192, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED}}).Mapped
	if m.Errno != "" {
		h.t.Fatalf("map %s: %s", path, m.Errno)
	}
	return m.Addr
}

func load(victim int, addr uint64) *wire.Request {
	return &wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: addr, Width: 1}}
}

func TestHello(t *testing.T) {
	h := start(t)
	w := h.must(&wire.Request{Hello: &wire.Hello{Entropy: []byte("sixteen bytes ok"), Spare: 2}}).Welcome
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	if w.Release != strings.TrimSpace(string(release)) || w.Machine == "" || w.Uptime <= 0 {
		t.Errorf("got %+v, want release %q, a machine and an uptime", w, release)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", h.cmd.Process.Pid, h.cmd.Process.Pid))
	if err == nil && len(bytes.Fields(children)) != 2 {
		t.Errorf("got children %q, want two spare victims", children)
	}
	for n := 1; n <= 3; n++ {
		s := h.spawn("")
		if s.Victim != n {
			t.Errorf("got victim %d, want %d", s.Victim, n)
		}
		if r := h.must(&wire.Request{To: n, Syscall: &wire.Syscall{Name: "getpid"}}); r.Called.Ret != int64(s.PID) {
			t.Errorf("getpid in victim %d: got %d, want %d", n, r.Called.Ret, s.PID)
		}
	}
}

func TestVictims(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Handle).Victim
	addr := h.short(v)
	if r := h.must(load(v, addr)); !r.Accessed.Done || r.Accessed.Value != 'h' {
		t.Errorf("load of the first page: got %+v, want 'h'", r.Accessed)
	}
	r := h.must(load(v, addr+4096))
	if r.Accessed.Done || len(r.Accessed.Signals) != 1 {
		t.Fatalf("load past the end: got %+v, want one signal", r.Accessed)
	}
	if in, err := siginfo.Decode(r.Accessed.Signals[0]); err != nil || in.String() != "SIGBUS BUS_ADRERR" || in.Addr != addr+4096 {
		t.Errorf("got %v at %#x, %v; want SIGBUS BUS_ADRERR at %#x", in, in.Addr, err, addr+4096)
	}

	child := h.must(&wire.Request{To: v, Fork: &wire.Fork{}}).Spawned
	if child.Victim != v+1 || child.PID <= 0 {
		t.Errorf("got child %+v, want victim %d", child, v+1)
	}
	if r := h.must(load(child.Victim, addr+4096)); len(r.Accessed.Signals) != 1 {
		t.Errorf("load in the child: got %+v, want one signal", r.Accessed)
	}
	if r := h.must(&wire.Request{Wait: &wire.Wait{Victim: child.Victim, Kill: true}}); r.Status.Signal != siginfo.SIGKILL {
		t.Errorf("kill the child: got %+v, want SIGKILL", r.Status)
	}
	if r := h.ask(&wire.Request{Wait: &wire.Wait{Victim: v, Limit: 20}}); !strings.Contains(r.Error, "still runs") {
		t.Errorf("wait for a running victim: got %+v, want a timeout", r)
	}
	if r := h.must(&wire.Request{Wait: &wire.Wait{Victim: v, Kill: true}}); r.Status.Signal != siginfo.SIGKILL {
		t.Errorf("kill the victim: got %+v, want SIGKILL", r.Status)
	}
	for _, to := range []int{v, child.Victim, 99} {
		if r := h.ask(load(to, addr)); r.Error == "" || r.Died != nil {
			t.Errorf("access in dead victim %d: got %+v, want an error", to, r)
		}
	}
}

// A victim that is killed while it is idle answers the next request with its status, and
// later ones with an error.
func TestVictimDiesIdle(t *testing.T) {
	h := start(t)
	v := h.must(&wire.Request{Spawn: &wire.Spawn{SIGBUS: wire.Handle}}).Spawned
	if err := unix.Kill(v.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for {
		if err := unix.Kill(v.PID, 0); err != nil { // it was reaped
			break
		}
		time.Sleep(time.Millisecond)
	}
	if r := h.ask(load(v.Victim, 0)); r.Died == nil || r.Died.Signal != siginfo.SIGKILL {
		t.Errorf("first access: got %+v, want SIGKILL", r)
	}
	if r := h.ask(load(v.Victim, 0)); r.Error == "" {
		t.Errorf("second access: got %+v, want an error", r)
	}
}

func TestVictimDies(t *testing.T) {
	for _, d := range []wire.Disposition{wire.Default, wire.Ignore, wire.Block} {
		h := start(t)
		v := h.spawn(d).Victim
		addr := h.short(v)
		for _, r := range []*wire.Status{
			h.must(load(v, addr+4096)).Died,
			h.must(&wire.Request{Wait: &wire.Wait{Victim: v}}).Status,
		} {
			if r == nil || r.Signal != siginfo.SIGBUS || r.Code != -1 {
				t.Errorf("%s: got %+v, want killed by SIGBUS", d, r)
			}
		}
	}
}

// The death of a victim is detected even if its forked child still runs.
func TestParentDies(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Default).Victim
	addr := h.short(v)
	h.must(&wire.Request{To: v, Fork: &wire.Fork{}})
	if r := h.must(load(v, addr+4096)); r.Died == nil || r.Died.Signal != siginfo.SIGBUS {
		t.Errorf("got %+v, want killed by SIGBUS", r)
	}
}

// The end of a victim's stderr is part of its status.
func TestVictimOutput(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Handle).Victim
	long := strings.Repeat("a", 5000) + "the end"
	r := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "write", Args: []wire.Arg{{Int: 2}, {In: []byte(long)}, {Int: int64(len(long))}}}})
	if r.Called.Ret != int64(len(long)) {
		t.Fatalf("write: got %+v, want %d", r.Called, len(long))
	}
	s := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "exit_group", Args: []wire.Arg{{Int: 7}}}}).Died
	if s == nil || s.Code != 7 || s.Signal != 0 || s.Output != long[len(long)-maxOutput:] {
		t.Errorf("got %+v, want exit status 7 and the last %d bytes of output", s, maxOutput)
	}
}

// A blocked victim blocks neither the agent nor other victims.
func TestBlockedVictim(t *testing.T) {
	h := start(t)
	v, w := h.spawn(wire.Handle).Victim, h.spawn(wire.Handle).Victim
	r := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "pipe2", Args: []wire.Arg{{Out: 8}, {}}}}).Called
	if r.Ret != 0 {
		t.Fatalf("pipe2: got %+v, want 0", r)
	}
	stuck := h.send(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "read", Args: []wire.Arg{{Int: int64(r.Out[0][0])}, {Out: 1}, {Int: 1}}}})
	if r := h.must(&wire.Request{To: w, Syscall: &wire.Syscall{Name: "getpid"}}); r.Called.Ret <= 0 {
		t.Errorf("getpid: got %+v, want a process id", r.Called)
	}
	ended := h.send(&wire.Request{Wait: &wire.Wait{Victim: v}})
	killed := h.must(&wire.Request{Wait: &wire.Wait{Victim: v, Kill: true}}).Status
	if r := h.receive(ended); r.Status == nil || *r.Status != *killed {
		t.Errorf("wait: got %+v, want %+v", r, killed)
	}
	if r := h.receive(stuck); r.Died == nil || r.Died.Signal != siginfo.SIGKILL {
		t.Errorf("blocked read: got %+v, want killed by SIGKILL", r)
	}
}

func TestAgentRefuses(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Handle).Victim
	for _, q := range []*wire.Request{
		{},
		{Map: &wire.Map{Length: 4096}},
		{To: v, Pmem: &wire.Pmem{}},
		{To: v, Spawn: &wire.Spawn{}},
		{Spawn: &wire.Spawn{SIGBUS: "shrug"}},
		{Wait: &wire.Wait{Victim: 99}},
		{DM: &wire.DM{}},
		{ReadFile: &wire.ReadFile{Path: "/dev/zero", Length: wire.MaxData + 1}},
	} {
		if r := h.ask(q); r.Error == "" {
			t.Errorf("%+v: got no error", q)
		}
	}
	if _, err := h.in.WriteString("this is no request\n"); err != nil {
		t.Fatal(err)
	}
	if r := h.receive(0); r.Error == "" {
		t.Errorf("malformed request: got %+v, want an error", r)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"serve"}, {"dance", "x"}, {"victim", "shrug"}, {"serve", "/nowhere"}} {
		if err := run(args); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
