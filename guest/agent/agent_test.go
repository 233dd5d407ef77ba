package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// The test binary is the agent, and what the agent starts, when it is called so.
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
			t.Errorf("the agent ended with %v", err)
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
		h.t.Fatal(r.Error)
	}
	return r
}

func (h *host) spawn(d wire.Disposition) *wire.Spawned {
	h.t.Helper()
	return h.must(&wire.Request{Spawn: &wire.Spawn{SIGBUS: d}}).Spawned
}

// short maps a file of which only the first page is there, into a victim.
func (h *host) short(victim int) uint64 {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "short")
	h.must(&wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte("hello"), Create: true}})
	m := h.must(&wire.Request{To: victim, Map: &wire.Map{Path: path, Length: 8192, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED}}).Mapped
	if m.Errno != "" {
		h.t.Fatal(m.Errno)
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
		t.Errorf("%+v", w)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", h.cmd.Process.Pid, h.cmd.Process.Pid))
	if err == nil && len(bytes.Fields(children)) != 2 {
		t.Errorf("children %q, want two victims ready", children)
	}
	for n := 1; n <= 3; n++ {
		s := h.spawn("")
		if s.Victim != n {
			t.Errorf("victim %d, want %d", s.Victim, n)
		}
		if r := h.must(&wire.Request{To: n, Syscall: &wire.Syscall{Name: "getpid"}}); r.Called.Ret != int64(s.PID) {
			t.Errorf("victim %d is process %d, want %d", n, r.Called.Ret, s.PID)
		}
	}
}

func TestVictims(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Handle).Victim
	addr := h.short(v)
	if r := h.must(load(v, addr)); !r.Accessed.Done || r.Accessed.Value != 'h' {
		t.Errorf("%+v", r.Accessed)
	}
	r := h.must(load(v, addr+4096))
	if r.Accessed.Done || len(r.Accessed.Signals) != 1 {
		t.Fatalf("%+v", r.Accessed)
	}
	if in, err := siginfo.Decode(r.Accessed.Signals[0]); err != nil || in.String() != "SIGBUS BUS_ADRERR" || in.Addr != addr+4096 {
		t.Errorf("%v at %#x, %v", in, in.Addr, err)
	}

	child := h.must(&wire.Request{To: v, Fork: &wire.Fork{}}).Spawned
	if child.Victim != v+1 || child.PID <= 0 {
		t.Errorf("%+v", child)
	}
	if r := h.must(load(child.Victim, addr+4096)); len(r.Accessed.Signals) != 1 {
		t.Errorf("in the child: %+v", r.Accessed)
	}
	if r := h.must(&wire.Request{Wait: &wire.Wait{Victim: child.Victim, Kill: true}}); r.Status.Signal != siginfo.SIGKILL {
		t.Errorf("the child: %+v", r.Status)
	}
	if r := h.ask(&wire.Request{Wait: &wire.Wait{Victim: v, Limit: 20}}); !strings.Contains(r.Error, "still runs") {
		t.Errorf("waiting for a victim that lives: %+v", r)
	}
	if r := h.must(&wire.Request{Wait: &wire.Wait{Victim: v, Kill: true}}); r.Status.Signal != siginfo.SIGKILL {
		t.Errorf("the victim: %+v", r.Status)
	}
	for _, to := range []int{v, child.Victim, 99} {
		if r := h.ask(load(to, addr)); r.Error == "" || r.Died != nil {
			t.Errorf("an access of dead victim %d: %+v", to, r)
		}
	}
}

func TestAVictimThatDies(t *testing.T) {
	for _, d := range []wire.Disposition{wire.Default, wire.Ignore, wire.Block} {
		h := start(t)
		v := h.spawn(d).Victim
		addr := h.short(v)
		for _, r := range []*wire.Status{
			h.must(load(v, addr+4096)).Died,
			h.must(&wire.Request{Wait: &wire.Wait{Victim: v}}).Status,
		} {
			if r == nil || r.Signal != siginfo.SIGBUS || r.Code != -1 {
				t.Errorf("%s: %+v, want a death by SIGBUS", d, r)
			}
		}
	}
}

// A child that was forked does not keep its parent's death from being seen.
func TestAParentThatDies(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Default).Victim
	addr := h.short(v)
	h.must(&wire.Request{To: v, Fork: &wire.Fork{}})
	if r := h.must(load(v, addr+4096)); r.Died == nil || r.Died.Signal != siginfo.SIGBUS {
		t.Errorf("%+v", r)
	}
}

// What a victim says on stderr comes with its status.
func TestLastWords(t *testing.T) {
	h := start(t)
	v := h.spawn(wire.Handle).Victim
	long := strings.Repeat("a", 5000) + "the end"
	r := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "write", Args: []wire.Arg{{Int: 2}, {In: []byte(long)}, {Int: int64(len(long))}}}})
	if r.Called.Ret != int64(len(long)) {
		t.Fatalf("%+v", r.Called)
	}
	s := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "exit_group", Args: []wire.Arg{{Int: 7}}}}).Died
	if s == nil || s.Code != 7 || s.Signal != 0 || s.Output != long[len(long)-lastWords:] {
		t.Errorf("%+v", s)
	}
}

// A victim that is stuck does not keep the agent, or another victim, from answering.
func TestAStuckVictim(t *testing.T) {
	h := start(t)
	v, w := h.spawn(wire.Handle).Victim, h.spawn(wire.Handle).Victim
	r := h.must(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "pipe2", Args: []wire.Arg{{Out: 8}, {}}}}).Called
	if r.Ret != 0 {
		t.Fatalf("%+v", r)
	}
	stuck := h.send(&wire.Request{To: v, Syscall: &wire.Syscall{Name: "read", Args: []wire.Arg{{Int: int64(r.Out[0][0])}, {Out: 1}, {Int: 1}}}})
	if r := h.must(&wire.Request{To: w, Syscall: &wire.Syscall{Name: "getpid"}}); r.Called.Ret <= 0 {
		t.Errorf("%+v", r.Called)
	}
	ended := h.send(&wire.Request{Wait: &wire.Wait{Victim: v}})
	killed := h.must(&wire.Request{Wait: &wire.Wait{Victim: v, Kill: true}}).Status
	if r := h.receive(ended); r.Status == nil || *r.Status != *killed {
		t.Errorf("%+v, want %+v", r, killed)
	}
	if r := h.receive(stuck); r.Died == nil || r.Died.Signal != siginfo.SIGKILL {
		t.Errorf("%+v", r)
	}
}

func TestFiles(t *testing.T) {
	h := start(t)
	path := filepath.Join(t.TempDir(), "f")
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	if r := h.must(&wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: data, Create: true}}).File; r.N != len(data) || r.Errno != "" {
		t.Errorf("write: %d %s", r.N, r.Errno)
	}
	for _, c := range []struct {
		q    wire.ReadFile
		want string
	}{
		{wire.ReadFile{Path: path}, string(data)},
		{wire.ReadFile{Path: path, Offset: 12, Length: 5}, "23456"},
		{wire.ReadFile{Path: path, Offset: int64(len(data)) - 1, Length: 5}, "9"},
		{wire.ReadFile{Path: "/proc/self/comm", Length: 3}, "age"},
	} {
		if strings.HasPrefix(c.q.Path, "/proc") {
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.cmd.Process.Pid))
			c.want = string(comm[:3])
		}
		if r := h.must(&wire.Request{ReadFile: &c.q}).File; string(r.Data) != c.want || r.N != len(c.want) || r.Errno != "" {
			t.Errorf("%+v: %d bytes %s", c.q, r.N, r.Errno)
		}
	}
	for _, c := range []struct {
		q     wire.Request
		errno string
	}{
		{wire.Request{ReadFile: &wire.ReadFile{Path: path + "x"}}, "ENOENT"},
		{wire.Request{ReadFile: &wire.ReadFile{Path: "/"}}, "EISDIR"},
		{wire.Request{WriteFile: &wire.WriteFile{Path: path + "x"}}, "ENOENT"},
		{wire.Request{WriteFile: &wire.WriteFile{Path: "/dev/full", Data: data}}, "ENOSPC"},
	} {
		if r := h.must(&c.q).File; r.Errno != c.errno {
			t.Errorf("%+v: %s, want %s", c.q, r.Errno, c.errno)
		}
	}
}

func TestMakeFile(t *testing.T) {
	h := start(t)
	dir := t.TempDir()
	if err := canFiemap(dir); err != nil {
		t.Skipf("the file system of %s has no FIEMAP: %v", dir, err)
	}
	page := int64(os.Getpagesize())
	for _, layout := range []wire.Layout{wire.Written, wire.Unwritten, wire.Hole} {
		path := filepath.Join(dir, string(layout))
		made := h.must(&wire.Request{MakeFile: &wire.MakeFile{Path: path, Size: 600 * page, Layout: layout}}).Made
		got, err := os.ReadFile(path)
		if err != nil || int64(len(got)) != 600*page {
			t.Fatalf("%s: %d bytes, %v", layout, len(got), err)
		}
		for n := range int64(600) {
			want := byte(0)
			if layout == wire.Written {
				want = wire.Fill(n)
			}
			if !bytes.Equal(got[n*page:(n+1)*page], bytes.Repeat([]byte{want}, int(page))) {
				t.Fatalf("%s: page %d is not full of %#x", layout, n, want)
			}
		}
		var total int64
		const unwritten = 0x800 // FIEMAP_EXTENT_UNWRITTEN
		for _, e := range made.Extents {
			total += e.Length
			if (e.Flags&unwritten != 0) != (layout == wire.Unwritten) {
				t.Errorf("%s: extent %+v", layout, e)
			}
		}
		want := 600 * page
		if layout == wire.Hole {
			want = 0
		}
		if total != want {
			t.Errorf("%s: extents of %d bytes, want %d: %+v", layout, total, want, made.Extents)
		}
	}
	for _, q := range []*wire.MakeFile{
		{Path: dir + "/a", Size: 100, Layout: wire.Written},
		{Path: dir + "/a", Size: page, Layout: "liquid"},
		{Path: dir + "/a", Size: page, Layout: wire.Hole, Align: 2 << 20},
		{Path: dir + "/no/such", Size: page, Layout: wire.Written},
	} {
		if r := h.ask(&wire.Request{MakeFile: q}); r.Error == "" {
			t.Errorf("%+v: no error", q)
		}
	}
}

func TestMakeAlignedFile(t *testing.T) {
	h := start(t)
	dir := t.TempDir()
	if err := canFiemap(dir); err != nil {
		t.Skipf("the file system of %s has no FIEMAP: %v", dir, err)
	}
	const align = 2 << 20
	for i, base := range []int64{0, 64 << 10, 3 << 19} {
		path := filepath.Join(dir, fmt.Sprint(i))
		r := h.ask(&wire.Request{MakeFile: &wire.MakeFile{Path: path, Size: 2 * align, Layout: wire.Written, Align: align, Base: base}})
		if r.Error != "" {
			if strings.Contains(r.Error, "in a row") {
				t.Skipf("this file system is too fragmented: %s", r.Error)
			}
			t.Fatal(r.Error)
		}
		if first := r.Made.Extents[0]; first.Logical != 0 || (first.Physical+base)%align != 0 {
			t.Errorf("base %#x: %+v", base, first)
		}
		if s, err := os.Stat(path); err != nil || s.Size() != 2*align {
			t.Errorf("base %#x: %v %v", base, s, err)
		}
	}
}

func canFiemap(dir string) error {
	f, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = fiemap(int(f.Fd()))
	return err
}

func TestKernelLog(t *testing.T) {
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("the kernel log can't be read here: %v", err)
	}
	f.Close()
	h := start(t)
	all := h.must(&wire.Request{KernelLog: &wire.KernelLog{}}).Log
	if len(all.Lines) == 0 || !strings.HasPrefix(all.Lines[0], "[") {
		t.Fatalf("%d lines, %.1q", len(all.Lines), all.Lines)
	}
	again := h.must(&wire.Request{KernelLog: &wire.KernelLog{Since: all.Next - 1}}).Log
	if len(again.Lines) == 0 || again.Lines[0] != all.Lines[len(all.Lines)-1] {
		t.Errorf("the last line again: %q", again.Lines)
	}
	end := h.must(&wire.Request{KernelLog: &wire.KernelLog{Since: again.Next}}).Log
	if end.Next < again.Next {
		t.Errorf("the mark went back from %d to %d", again.Next, end.Next)
	}
}

func TestParseRecord(t *testing.T) {
	seq, line, err := parseRecord([]byte("6,339,5140900,-,caller=T1;NET: Registered; really\n SUBSYSTEM=net\n"))
	if err != nil || seq != 339 || line != "[    5.140900] NET: Registered; really" {
		t.Errorf("%d %q %v", seq, line, err)
	}
	for _, bad := range []string{"", "6,1,2,-", "6,1;x", "6,x,2,-;y", "6,1,x,-;y"} {
		if _, _, err := parseRecord([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;text\n KEY=value\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, line, err := parseRecord(b); err == nil && strings.Contains(line, "\n") {
			t.Errorf("%q is more than a line", line)
		}
	})
}

// sysfs makes a tree like that of a guest; the values are files' contents.
func sysfs(t *testing.T, values map[string]string, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, value := range values {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(value+"\n"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for path, to := range links {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.Symlink(filepath.Join(root, to), path)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestPmem(t *testing.T) {
	const nfit = "devices/LNXSYSTM:00/ACPI0012:00/ndbus0"
	const e820 = "devices/platform/e820_pmem/ndbus1"
	root := sysfs(t, map[string]string{
		nfit + "/provider":                              "ACPI.NFIT",
		nfit + "/region0/namespace0.0/resource":         "0x100000000",
		nfit + "/region0/pfn0.1/namespace":              "namespace0.0",
		nfit + "/region0/pfn0.1/resource":               "0x100200000",
		nfit + "/region0/pfn0.1/block/pmem0/size":       "1000",
		e820 + "/provider":                              "e820",
		e820 + "/region1/namespace1.0/resource":         "0x40000000",
		e820 + "/region1/namespace1.0/block/pmem1/size": "8",
	}, map[string]string{
		"block/pmem0": nfit + "/region0/pfn0.1/block/pmem0",
		"block/pmem1": e820 + "/region1/namespace1.0/block/pmem1",
		"block/vda":   "devices",
	})
	got, err := pmemIn(filepath.Join(root, "block"))
	want := []wire.Device{
		{Name: "pmem0", Provider: "nfit", Resource: 0x100000000, DataOffset: 0x200000, Bytes: 512000, Fsdax: true},
		{Name: "pmem1", Provider: "e820", Resource: 0x40000000, Bytes: 4096},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestDMTargets(t *testing.T) {
	b := dmTargets([]wire.Target{{Length: 8, Type: "linear", Params: "/dev/pmem0 0"}, {Start: 8, Length: 1, Type: "error"}})
	if len(b) != 40+16+40+8 || b[20] != 56 || string(b[24:30]) != "linear" || string(b[40:53]) != "/dev/pmem0 0\x00" ||
		b[56] != 8 || b[56+20] != 48 || string(b[56+24:56+29]) != "error" {
		t.Errorf("%q", b)
	}
}

func TestWhatTheAgentRefuses(t *testing.T) {
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
			t.Errorf("%+v: no error", q)
		}
	}
	if _, err := h.in.WriteString("this is no request\n"); err != nil {
		t.Fatal(err)
	}
	if r := h.receive(0); r.Error == "" {
		t.Errorf("%+v", r)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"serve"}, {"dance", "x"}, {"victim", "shrug"}, {"serve", "/nowhere"}} {
		if err := run(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
