package framework

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/machine/gdb"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/run/suite"
)

// scripted is a gdb stub without a guest. It accepts every watchpoint, and its
// memory is code around RIP.
type scripted struct {
	conn    net.Conn
	regs    gdb.Registers
	code    []byte        // Behind+Ahead bytes around RIP
	resumed chan struct{} // receives when the guest is resumed
	detach  func()        // called before D is answered
	quiet   atomic.Bool   // it does not acknowledge c
}

func (s *scripted) send(data string) {
	sum := byte(0)
	for i := range len(data) {
		sum += data[i]
	}
	fmt.Fprintf(s.conn, "$%s#%02x", data, sum)
}

func (s *scripted) serve() {
	r := bufio.NewReader(s.conn)
	for {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return
		case b == 0x03:
			s.send("T02thread:01;")
			continue
		case b != '$':
			continue
		}
		command, err := r.ReadString('#')
		if err != nil {
			return
		}
		command = strings.TrimSuffix(command, "#")
		r.Discard(2)
		if command == "c" && s.quiet.Load() {
			s.resumed <- struct{}{}
			continue
		}
		s.conn.Write([]byte("+"))
		switch command[0] {
		case 'q':
			s.send("PacketSize=1000")
		case '?':
			s.send("T05thread:01;")
		case 'c':
			s.resumed <- struct{}{}
		case 'g':
			b, _ := binary.Append(nil, binary.LittleEndian, s.regs)
			s.send(hex.EncodeToString(b))
		case 'm':
			s.send(hex.EncodeToString(s.code))
		case 'D':
			if s.detach != nil {
				s.detach()
			}
			s.send("OK")
		default:
			s.send("OK")
		}
	}
}

// watcherOf starts a watcher of a scripted stub, in which each address is also the
// physical one.
func watcherOf(t *testing.T, s *scripted) *watcher {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "gdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if s.conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	s.resumed = make(chan struct{}, 64)
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.serve()
	}()
	stub, err := gdb.Attach(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := stub.Continue(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-s.resumed
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{
		g: &Guest{}, stub: stub, asks: make(chan ask), stop: stop, done: make(chan struct{}), ended: make(chan struct{}),
		physical: func(_ context.Context, _ int, virt uint64) (uint64, error) { return virt, nil },
	}
	go w.watchUntil(ctx)
	t.Cleanup(func() {
		w.close()
		s.conn.Close()
		<-served
	})
	return w
}

// poisoned adds a poisoned line to a watcher.
func poisoned(t *testing.T, w *watcher, virt uint64) *line {
	t.Helper()
	l := &line{frame: virt, virt: map[uint64]bool{}, reached: make(chan struct{})}
	l.watched.virt = virt
	err := w.halted(t.Context(), func(ctx context.Context) error {
		w.lines = append(w.lines, l)
		return w.watch(ctx, l, []uint64{virt})
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Code around RIP: instructions that end there and that begin there.
func codeAt(before, after string) []byte {
	b := []byte(strings.Repeat("\x90", 96+16))
	copy(b[96-len(before):], before)
	copy(b[96:], after)
	return b
}

// A failure is known before the guest continues without watchpoints: its behaviour then
// is never judged.
func TestWatcherFailsBeforeTheGuestGoesOn(t *testing.T) {
	var w *watcher
	known := make(chan error, 1)
	s := &scripted{code: codeAt("\x48\x01\x06", "\x90"), regs: gdb.Registers{RIP: 0x1000, RSI: 0x7000}}
	s.detach = func() { known <- w.failed() }
	w = watcherOf(t, s)
	poisoned(t, w, 0x7000)
	<-s.resumed
	s.send("T05thread:01;rwatch:7000;") // by add %rax,(%rsi), which cannot be rewound
	select {
	case err := <-known:
		if err == nil {
			t.Error("the guest continues, and no failure is known")
		}
	case <-time.After(time.Minute):
		t.Fatal("the guest was not released")
	}
}

// A scenario may end while the guest is being resumed: that is not a failure, and takes
// no time.
func TestCloseWhileTheGuestIsLetGoOn(t *testing.T) {
	s := &scripted{}
	w := watcherOf(t, s)
	s.detach = func() { t.Error("it is detached from a guest that ends") }
	s.quiet.Store(true)
	if err := w.halted(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	<-s.resumed
	w.close()
	if err := w.failed(); err != nil {
		t.Error(err)
	}
}

// A panic after a failure to watch is caused by the failure, not by the kernel.
func TestPanicAfterTheWatcherFailed(t *testing.T) {
	w := &watcher{done: make(chan struct{}), err: errors.New("inexact")}
	close(w.done)
	g := &Guest{rec: suite.NewRecord(nil), injected: true, watcher: w}
	g.fail = func(err error) { panic(err) }
	g.notePanic(&vm.GuestError{Kind: vm.Panic, Tail: "Kernel panic - not syncing: Fatal exception"})
	if g.dead || g.rec.Panicked {
		t.Errorf("got dead %t, panicked %t; want neither", g.dead, g.rec.Panicked)
	}
}

// The same applies to a panic that a scenario expects.
func TestPanickedAfterTheWatcherFailed(t *testing.T) {
	w := &watcher{done: make(chan struct{}), err: errors.New("inexact")}
	close(w.done)
	g := &Guest{rec: suite.NewRecord(nil), injected: true, mayPanic: true, watcher: w}
	g.fail = func(err error) { panic(err) }
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, w.err) || g.dead {
			t.Errorf("got %v, dead %t; want %v, false", err, g.dead, w.err)
		}
	}()
	g.panicked(&vm.GuestError{Kind: vm.Panic, Tail: "Kernel panic - not syncing: Fatal exception"})
}

// next sends a stop, and waits until the guest continues.
func (s *scripted) next(t *testing.T, w *watcher, stop string) {
	t.Helper()
	s.send(stop)
	select {
	case <-s.resumed:
	case <-w.done:
	case <-time.After(time.Minute):
		t.Fatal("the guest does not continue")
	}
}

// An access to memory that is no longer mapped may have been to the line.
func TestAccessToWhatIsUnmapped(t *testing.T) {
	s := &scripted{code: codeAt("\x48\x8b\x06", "\x90"), regs: gdb.Registers{RIP: 0x1000, RSI: 0x7000}}
	w := watcherOf(t, s)
	poisoned(t, w, 0x7000)
	<-s.resumed
	err := w.halted(t.Context(), func(context.Context) error {
		w.physical = func(context.Context, int, uint64) (uint64, error) { return physical("Unmapped") }
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-s.resumed
	s.next(t, w, "T05thread:01;rwatch:7000;")
	select {
	case <-w.done:
	case <-time.After(time.Minute):
		t.Fatal("the access is ignored")
	}
	if err := w.failed(); !errors.Is(err, errUnmapped) {
		t.Errorf("got %v, want errUnmapped", err)
	}
}

func TestPhysical(t *testing.T) {
	for said, want := range map[string]uint64{"gpa: 0x1234\r\n": 0x1234, "gpa: 0x0\r\n": 0} {
		if got, err := physical(said); got != want || err != nil {
			t.Errorf("%q: got %#x, error %v; want %#x", said, got, err, want)
		}
	}
	for _, said := range []string{"Unmapped\r\n", "", "gpa: 0x"} {
		if got, err := physical(said); err == nil {
			t.Errorf("%q: got %#x, want an error", said, got)
		}
	}
}

// A write for which QEMU stops once can cover bytes of several lines.
func TestWriteAcrossLines(t *testing.T) {
	const at = 0x7000
	for name, tt := range map[string]struct {
		before string
		regs   gdb.Registers
		stop   string
		clean  bool   // the first line
		first  uint64 // its written bytes
		want   uint64 // the second line's written bytes; all bits: it is clean
	}{
		"a whole rep stosb":                   {"\xf3\xaa", gdb.Registers{RDI: at + 4096}, "T05thread:01;watch:7000;", true, 1<<64 - 1, 1<<64 - 1},
		"a store by 8 bytes":                  {"\x48\x89\x07", gdb.Registers{RDI: at + 60}, "T05thread:01;watch:703c;", false, 1<<60 | 1<<61 | 1<<62 | 1<<63, 0xf},
		"one that QEMU reports at the second": {"\x48\x89\x07", gdb.Registers{RDI: at + 60}, "T05thread:01;watch:7040;", false, 1<<60 | 1<<61 | 1<<62 | 1<<63, 0xf},
	} {
		t.Run(name, func(t *testing.T) {
			tt.regs.RIP = 0x1000
			s := &scripted{code: codeAt(tt.before, "\xc3"), regs: tt.regs}
			w := watcherOf(t, s)
			first := poisoned(t, w, at)
			<-s.resumed
			second := poisoned(t, w, at+lineBytes)
			<-s.resumed
			s.next(t, w, tt.stop)
			err := w.halted(t.Context(), func(context.Context) error { return nil }) // it has gone on
			w.close()
			if err != nil || w.err != nil {
				t.Fatalf("got %v, and of the watcher %v; want no error", err, w.err)
			}
			if clean := !slices.Contains(w.lines, first); clean != tt.clean || first.written != tt.first {
				t.Errorf("the first line: got clean %t, written %#x; want %t, %#x", clean, first.written, tt.clean, tt.first)
			}
			if second.written != tt.want || slices.Contains(w.lines, second) != (tt.want != 1<<64-1) {
				t.Errorf("the second line: wrote %#x, want %#x", second.written, tt.want)
			}
		})
	}
}
