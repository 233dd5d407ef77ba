package victim

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// As in the agent's main package, the victim stays on the main thread.
func init() { runtime.LockOSThread() }

// TestMain makes the test binary act as a victim if it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "victim" {
		if err := Serve(wire.Disposition(os.Args[2]), FD(0), FD(1)); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == "storm" {
		if err := storm(10_000); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// subject is a victim and the pipes to it.
type subject struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	lines *wire.Reader
	id    uint64
}

func start(t *testing.T, d wire.Disposition) *subject {
	t.Helper()
	stdin, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{t: t, in: in, lines: wire.NewReader(out)}
	s.cmd = exec.Command("/proc/self/exe", "victim", string(d))
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = Env()
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = stdin, stdout, os.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	stdout.Close()
	t.Cleanup(func() {
		in.Close()
		if s.cmd.ProcessState == nil {
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("victim: got %v, want exit status 0 at the end of its input", err)
			}
		}
		out.Close()
	})
	return s
}

func (s *subject) send(q *wire.Request) {
	s.t.Helper()
	s.id++
	q.ID = s.id
	b, err := wire.Encode(q)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.in.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) receive() *wire.Reply {
	s.t.Helper()
	line, err := s.lines.Line()
	if err != nil {
		s.t.Fatalf("read a reply: %v", err)
	}
	var r wire.Reply
	if err := wire.Decode(line, &r); err != nil {
		s.t.Fatal(err)
	}
	if r.ID != s.id {
		s.t.Fatalf("got reply %d, want that to request %d", r.ID, s.id)
	}
	return &r
}

func (s *subject) ask(q *wire.Request) *wire.Reply {
	s.t.Helper()
	s.send(q)
	return s.receive()
}

func (s *subject) must(q *wire.Request) *wire.Reply {
	s.t.Helper()
	r := s.ask(q)
	if r.Error != "" {
		s.t.Fatal(r.Error)
	}
	return r
}

func (s *subject) access(kind wire.Kind, addr uint64, width int, value uint64) *wire.Accessed {
	s.t.Helper()
	return s.must(&wire.Request{Access: &wire.Access{Kind: kind, Addr: addr, Width: width, Value: value}}).Accessed
}

func (s *subject) call(name string, args ...wire.Arg) *wire.SyscallReply {
	s.t.Helper()
	return s.must(&wire.Request{Syscall: &wire.Syscall{Name: name, Args: args}}).Called
}

func (s *subject) mmap(m *wire.Map) *wire.MapReply {
	s.t.Helper()
	r := s.must(&wire.Request{Map: m}).Mapped
	if r.Errno != "" {
		s.t.Fatalf("mmap: %s", r.Errno)
	}
	return r
}

func (s *subject) anonymous() uint64 {
	s.t.Helper()
	return s.mmap(&wire.Map{Length: 8192, Prot: unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC, Flags: unix.MAP_PRIVATE}).Addr
}

// short maps four pages of a file of one hundred bytes: an access to the second
// page or later is a SIGBUS, BUS_ADRERR.
func (s *subject) short() *wire.MapReply {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "short")
	if err := os.WriteFile(path, make([]byte, 100), 0o666); err != nil {
		s.t.Fatal(err)
	}
	return s.mmap(&wire.Map{Path: path, Length: 4 * 4096, Prot: unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC, Flags: unix.MAP_SHARED})
}

// signal checks that exactly one signal was delivered, and that it is the expected one.
func signal(t *testing.T, a *wire.Accessed, signo, code int32, addr uint64) {
	t.Helper()
	if a.Done {
		t.Fatal("the access succeeded, want a signal")
	}
	if len(a.Signals) != 1 || a.Lost != 0 {
		t.Fatalf("got %d signals and %d lost, want one", len(a.Signals), a.Lost)
	}
	in, err := siginfo.Decode(a.Signals[0])
	if err != nil {
		t.Fatal(err)
	}
	if in.Signo != signo || in.Code != code || in.Addr != addr {
		t.Fatalf("got %v at %#x, want %s %s at %#x", in, in.Addr, siginfo.SignalName(signo), siginfo.CodeName(signo, code), addr)
	}
}

func TestAccessGoodMemory(t *testing.T) {
	s := start(t, wire.Handle)
	addr := s.anonymous()
	const pattern = 0xf1e2d3c4b5a69788
	for width, mask := range map[int]uint64{1: 0xff, 2: 0xffff, 4: 0xffffffff, 8: ^uint64(0)} {
		s.access(wire.Store, addr, 8, ^uint64(0))
		if a := s.access(wire.Store, addr, width, pattern); !a.Done || len(a.Signals) != 0 || a.Value != 0 {
			t.Errorf("store of %d bytes: got %+v, want it done, without a signal", width, a)
		}
		if a := s.access(wire.Load, addr, width, 0); !a.Done || a.Value != pattern&mask {
			t.Errorf("load of %d bytes: got %#x, want %#x", width, a.Value, uint64(pattern)&mask)
		}
		if a := s.access(wire.Load, addr, 8, 0); a.Value != pattern&mask|^mask {
			t.Errorf("load after a store of %d bytes: got %#x, want %#x", width, a.Value, pattern&mask|^mask)
		}
	}
	s.access(wire.Store, addr+4095, 1, 0xc3) // ret
	if a := s.access(wire.Exec, addr+4095, 0, 0); !a.Done || len(a.Signals) != 0 {
		t.Errorf("exec: got %+v, want it done, without a signal", a)
	}
}

func TestAccessPastTheEndOfFile(t *testing.T) {
	s := start(t, wire.Handle)
	m := s.short()
	for _, kind := range []wire.Kind{wire.Load, wire.Store} {
		for _, width := range []int{1, 2, 4, 8} {
			addr := m.Addr + 8192 + 24
			signal(t, s.access(kind, addr, width, 7), siginfo.SIGBUS, siginfo.BusADRERR, addr)
		}
	}
	signal(t, s.access(wire.Exec, m.Addr+4096, 0, 0), siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+4096)
	if a := s.access(wire.Load, m.Addr, 8, 0); !a.Done {
		t.Error("load of the existing page failed")
	}
}

func TestSegmentationFaultOfAnAccess(t *testing.T) {
	s := start(t, wire.Handle)
	const nowhere = mapBase - 4096
	signal(t, s.access(wire.Load, nowhere, 1, 0), siginfo.SIGSEGV, 1, nowhere)
	signal(t, s.access(wire.Exec, nowhere, 1, 0), siginfo.SIGSEGV, 1, nowhere)
	ro := s.mmap(&wire.Map{Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_PRIVATE}).Addr
	signal(t, s.access(wire.Store, ro, 1, 1), siginfo.SIGSEGV, 2, ro)
	signal(t, s.access(wire.Exec, ro, 1, 0), siginfo.SIGSEGV, 2, ro)
	const notCanonical = 0x8000_0000_0000_0000
	signal(t, s.access(wire.Load, notCanonical, 1, 0), siginfo.SIGSEGV, siginfo.Kernel, 0)
}

// With the handler installed, the Go runtime still turns a nil dereference into a
// panic.
func TestOtherSegmentationFaultsReachTheRuntime(t *testing.T) {
	if err := Install(wire.Handle); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	var p *int
	*p = 1
}

func TestMappingAddressesAreFixed(t *testing.T) {
	s := start(t, wire.Handle)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("hello"), 0o444); err != nil {
		t.Fatal(err)
	}
	for i, m := range []*wire.Map{
		{Path: path, Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED},
		{Length: 5 << 20, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: unix.MAP_PRIVATE},
		{Path: path, Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED_VALIDATE},
	} {
		r := s.mmap(m)
		if want := uint64(mapBase + i*mapStep); r.Addr != want {
			t.Errorf("mapping %d: got address %#x, want %#x", i, r.Addr, want)
		}
		if want := []int{3, -1, 4}[i]; r.FD != want {
			t.Errorf("mapping %d: got file descriptor %d, want %d", i, r.FD, want)
		}
	}
	if a := s.access(wire.Load, mapBase, 4, 0); a.Value != uint64(binary.LittleEndian.Uint32([]byte("hell"))) {
		t.Errorf("load: got %#x, want hell", a.Value)
	}
	if r := s.must(&wire.Request{Map: &wire.Map{Path: path, Length: 4096, Offset: 1, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED}}).Mapped; r.Errno != "EINVAL" || r.FD != -1 {
		t.Errorf("mapping at offset 1: got %+v, want EINVAL", r)
	}
	if r := s.ask(&wire.Request{Map: &wire.Map{Path: "/nowhere", Length: 4096}}); !strings.Contains(r.Error, "/nowhere") {
		t.Errorf("mapping of a missing file: got %q, want an error that names it", r.Error)
	}
}

func TestSyscalls(t *testing.T) {
	s := start(t, wire.Handle)
	path := filepath.Join(t.TempDir(), "f")
	fd := s.call("openat", wire.Arg{Int: unix.AT_FDCWD}, wire.Arg{Str: path}, wire.Arg{Int: unix.O_RDWR | unix.O_CREAT}, wire.Arg{Int: 0o600})
	if fd.Ret != 3 {
		t.Fatalf("openat: got %+v, want 3", fd)
	}
	data := []byte("faultline")
	if r := s.call("pwrite64", wire.Arg{Int: fd.Ret}, wire.Arg{In: data}, wire.Arg{Int: int64(len(data))}, wire.Arg{Int: 100}); r.Ret != int64(len(data)) {
		t.Errorf("pwrite64: got %+v, want %d", r, len(data))
	}
	if r := s.call("pread64", wire.Arg{Int: fd.Ret}, wire.Arg{Out: 5000}, wire.Arg{Int: 5000}, wire.Arg{Int: 100}); r.Ret != int64(len(data)) || string(r.Out[0][:r.Ret]) != string(data) {
		t.Errorf("pread64: got %d %s, want %d and the data", r.Ret, r.Errno, len(data))
	}
	addr := s.anonymous()
	if r := s.call("preadv", wire.Arg{Int: fd.Ret}, wire.Arg{Iov: []uint64{addr, 4, addr + 100, 5}}, wire.Arg{Int: 2}, wire.Arg{Int: 100}); r.Ret != 9 {
		t.Errorf("preadv: got %+v, want 9", r)
	}
	if a := s.access(wire.Load, addr+104, 1, 0); a.Value != 'e' {
		t.Errorf("load after preadv: got %#x, want 0x65", a.Value)
	}
	m := s.short()
	for _, c := range []struct {
		name  string
		call  *wire.SyscallReply
		errno string
	}{
		{"madvise of an unaligned address", s.call("madvise", wire.Arg{Int: int64(addr + 1)}, wire.Arg{Int: 4096}, wire.Arg{Int: unix.MADV_DONTNEED}), "EINVAL"},
		{"madvise of an unmapped page", s.call("madvise", wire.Arg{Int: mapBase - 4096}, wire.Arg{Int: 4096}, wire.Arg{Int: unix.MADV_DONTNEED}), "ENOMEM"},
		{"pread64 of a closed descriptor", s.call("pread64", wire.Arg{Int: 999}, wire.Arg{Out: 1}, wire.Arg{Int: 1}), "EBADF"},
		{"write from a page past the end", s.call("write", wire.Arg{Int: fd.Ret}, wire.Arg{Int: int64(m.Addr + 4096)}, wire.Arg{Int: 10}), "EFAULT"},
	} {
		if c.call.Ret != -1 || c.call.Errno != c.errno || len(c.call.Signals) != 0 {
			t.Errorf("%s: got %+v, want %s", c.name, c.call, c.errno)
		}
	}
	if r := s.ask(&wire.Request{Syscall: &wire.Syscall{Name: "frobnicate"}}); !strings.Contains(r.Error, `"frobnicate"`) {
		t.Errorf("unknown system call: got %+v, want an error with its name", r)
	}
	for _, q := range []*wire.Request{{}, {Pmem: &wire.Pmem{}}, {Map: &wire.Map{}, Fork: &wire.Fork{}},
		{Access: &wire.Access{Kind: "lick"}}, {Access: &wire.Access{Kind: wire.Load, Width: 3}}} {
		if r := s.ask(q); r.Error == "" {
			t.Errorf("%+v: got %+v, want an error", q, r)
		}
	}
}

// A signal at the return of a system call does not change its result.
func TestSignalDuringASyscall(t *testing.T) {
	s := start(t, wire.Handle)
	pid := int64(s.cmd.Process.Pid)
	r := s.call("tgkill", wire.Arg{Int: pid}, wire.Arg{Int: pid}, wire.Arg{Int: siginfo.SIGBUS})
	if r.Ret != 0 || len(r.Signals) != 1 {
		t.Fatalf("tgkill: got %+v, want 0 and 1 signal", r)
	}
	if in, _ := siginfo.Decode(r.Signals[0]); in.Signo != siginfo.SIGBUS || in.Code != siginfo.TKill {
		t.Errorf("got %v, want SIGBUS by tkill", in)
	}
	// A process may send itself codes that otherwise only the kernel sends: all of them
	// are kept, and none counts as the failure of an access.
	for _, code := range []byte{siginfo.BusMCEErrAR, siginfo.BusMCEErrAO} {
		sent := make([]byte, siginfo.Size)
		sent[0], sent[8], sent[24] = siginfo.SIGBUS, code, 21
		binary.LittleEndian.PutUint64(sent[16:], mapBase)
		r := s.call("rt_tgsigqueueinfo", wire.Arg{Int: pid}, wire.Arg{Int: pid}, wire.Arg{Int: siginfo.SIGBUS}, wire.Arg{In: sent})
		if r.Ret != 0 || len(r.Signals) != 1 || !bytes.Equal(r.Signals[0], sent) {
			t.Errorf("rt_tgsigqueueinfo: got %+v, want %v", r, sent)
		}
	}
	// A signal that arrives while the victim is idle is part of its next answer.
	if err := unix.Tgkill(int(pid), int(pid), unix.SIGBUS); err != nil {
		t.Fatal(err)
	}
	if r := s.call("gettid"); r.Ret != pid || len(r.Signals) != 1 {
		t.Errorf("after a signal while idle: got %+v, want the PID and 1 signal", r)
	}
	for range 40 {
		unix.Tgkill(int(pid), int(pid), unix.SIGBUS)
		time.Sleep(time.Millisecond) // an equal signal that is still pending would absorb it
	}
	if r := s.call("gettid"); len(r.Signals) != ringSize || len(r.Signals)+r.Lost > 40 || r.Lost == 0 {
		t.Errorf("after 40 signals: got %d and %d lost, want %d and some lost", len(r.Signals), r.Lost, ringSize)
	}
}

func TestDispositions(t *testing.T) {
	for _, c := range []struct {
		d      wire.Disposition
		killed bool // by a SIGBUS that the kernel forces
		posted int  // expected signals when one is sent by a process
	}{
		{wire.Handle, false, 1}, {wire.Default, true, -1}, {wire.Ignore, true, 0}, {wire.Block, true, 0},
	} {
		t.Run(string(c.d), func(t *testing.T) {
			s := start(t, c.d)
			m := s.short()
			if c.posted >= 0 {
				pid := int64(s.cmd.Process.Pid)
				if r := s.call("tgkill", wire.Arg{Int: pid}, wire.Arg{Int: pid}, wire.Arg{Int: siginfo.SIGBUS}); r.Ret != 0 || len(r.Signals) != c.posted {
					t.Fatalf("tgkill: got %+v, want 0 and %d signals", r, c.posted)
				}
			}
			if c.d == wire.Block {
				set := make([]byte, 8)
				binary.LittleEndian.PutUint64(set, 1<<(siginfo.SIGBUS-1))
				r := s.call("rt_sigtimedwait", wire.Arg{In: set}, wire.Arg{Out: siginfo.Size}, wire.Arg{In: make([]byte, 16)}, wire.Arg{Int: 8})
				if in, err := siginfo.Decode(r.Out[0]); r.Ret != siginfo.SIGBUS || err != nil || in.Code != siginfo.TKill {
					t.Errorf("rt_sigtimedwait: got %d %s, %v, error %v; want SIGBUS by tkill", r.Ret, r.Errno, in, err)
				}
			}
			s.send(&wire.Request{Access: &wire.Access{Kind: wire.Load, Addr: m.Addr + 4096, Width: 1}})
			if !c.killed {
				signal(t, s.receive().Accessed, siginfo.SIGBUS, siginfo.BusADRERR, m.Addr+4096)
				return
			}
			s.cmd.Wait()
			if ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGBUS {
				t.Errorf("got %v, want killed by SIGBUS", s.cmd.ProcessState)
			}
		})
	}
}
