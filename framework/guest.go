package framework

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/sanitize"
)

// Sizes in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

// PageBytes is the size of a page of the kernel that this process observes
// (PAGE_SIZE). Before a suite runs, as in a package's variables, no kernel is known.
func PageBytes() int64 { return 1 << suite.Kernel().PageShift() }

// HugePageBytes is the size of a huge page of that kernel (PMD_SIZE).
func HugePageBytes() int64 { return 1 << suite.Kernel().HugePageShift() }

// Page is the offset of page n, in bytes.
func Page(n int64) int64 { return n * PageBytes() }

// Guest is a scenario's guest. Its methods are the primitives: each does one
// thing and records what came of it. Where the rig fails them they end the
// scenario, which then is not judged.
type Guest struct {
	vm   *vm.Guest
	rec  *suite.Record
	fail func(error) // ends the scenario; does not return

	page    uint64            // the size of a page of its kernel, in bytes
	start   uint64            // kernel log position at the scenario's start
	names   map[string]int    // how often a name was given out
	files   []vm.File         // those that were there, and are not taken
	paths   map[string]string // those that were taken, by where they lie, as if they had been made
	mounted []*Mount
	disks   map[string]string // canonical names of the disks that Pmem found
	told    map[string]bool   // witnesses that are a step already: disks for their bad blocks
	bare    map[string]bool   // disks that Unmount unmounted
	victims map[string]*Victim

	watcher  *watcher  // nil until something consumes poison
	direct   uint64    // where the kernel maps physical memory, once asked for
	injected bool      // something was made bad, so that what follows is the kernel's doing
	poisoned bool      // memory was, so that its witnesses are worth asking
	frames   []watched // pages that poison was aimed at
	mayPanic bool      // a panic is what the scenario is after
	dead     bool      // the guest panicked, as the scenario expected
}

func newGuestVM(g *vm.Guest, rec *suite.Record, fail func(error)) *Guest {
	return &Guest{vm: g, rec: rec, fail: fail, page: 1 << g.Spec().Kernel.PageShift(), start: g.Welcome.KmsgSeq, names: map[string]int{}, files: slices.Clone(g.Files), paths: map[string]string{}, disks: map[string]string{}, told: map[string]bool{}, bare: map[string]bool{}, victims: map[string]*Victim{}}
}

// call asks the agent, and ends the scenario where it can't.
func (g *Guest) call(ctx context.Context, req *wire.Request) *wire.Reply {
	reply := g.ask(ctx, req)
	if reply.Died != nil {
		op, _ := req.Op()
		g.fail(fmt.Errorf("%s: the victim that was asked for it died: %+v", op, *reply.Died))
	}
	return reply
}

// approach is called before the guest is made to do what ends in so many steps: a
// person who wants to look at it before one of them does so here.
func (g *Guest) approach(ctx context.Context, steps int) {
	if err := g.watcher.failed(); err != nil {
		g.fail(err)
	}
	if err := g.rec.Approach(ctx, g.vm, steps); err != nil {
		g.fail(err)
	}
}

// ask is call for what a victim may die of.
func (g *Guest) ask(ctx context.Context, req *wire.Request) *wire.Reply {
	g.approach(ctx, 1)
	for _, v := range g.victims {
		if v.id == req.To && req.To != 0 {
			return v.ask(ctx, req)
		}
	}
	reply, err := g.vm.Call(ctx, req)
	if err != nil {
		g.ended(err)
	}
	return reply
}

// ended ends the scenario because the guest can't be asked.
func (g *Guest) ended(err error) {
	g.notePanic(err)
	g.fail(err)
}

// lacking ends a scenario that the kernel turns out not to be able to do, for a
// reason that its configuration does not tell.
type lacking struct{ reason string }

func (l *lacking) Error() string { return l.reason }

// Monitor is the guest's QMP connection.
func (g *Guest) Monitor() *qemu.Monitor { return g.vm.Monitor() }

// unique numbers names: file, file2, file3.
func (g *Guest) unique(name string) string {
	g.names[name]++
	if n := g.names[name]; n > 1 {
		return fmt.Sprint(name, n)
	}
	return name
}

// LoadModule loads a module of vm's on-demand list with what it depends on. One
// that the kernel has built in, or loaded already, is fine.
func (g *Guest) LoadModule(ctx context.Context, name string) {
	if err := g.vm.LoadModules(ctx, name); err != nil {
		g.fail(err)
	}
}

// callOK makes a system call in the agent that sets the scenario up, and so must work.
func (g *Guest) callOK(ctx context.Context, name string, args ...any) *wire.SyscallReply {
	wired, words := wireArgs(args)
	called := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: name, Args: wired}}).Called
	if called.Errno != "" {
		g.fail(fmt.Errorf("set up the guest: %s(%s): %s", name, words, called.Errno))
	}
	return called
}

// ReadFile reads a file of the guest: of sysfs or procfs, mostly. It records nothing.
func (g *Guest) ReadFile(ctx context.Context, path string) string {
	f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("read %s in the guest: %s", path, f.Errno))
	}
	return string(f.Data)
}

// WriteFile writes a file of the guest with one write(2). It records nothing.
func (g *Guest) WriteFile(ctx context.Context, path, data string) {
	f := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte(data)}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("write %q to %s in the guest: %s", data, path, f.Errno))
	}
}

// WriteSysctl sets a sysctl of the guest's kernel, which needs not know it, and
// records what came of it.
func (g *Guest) WriteSysctl(ctx context.Context, name, value string) *Observation {
	f := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sys/" + name, Data: []byte(value)}}).File
	return record(g.rec, "agent", fmt.Sprintf("sysctl %s=%s", name, value), observe.Outcome{Errno: f.Errno}, "")
}

var errNoGuest = errors.New("framework.Guest was called outside a scenario; make the spec one with framework.Scenario")

// readPart reads n bytes of a file of the guest, or as many as there are, from an offset on.
func (g *Guest) readPart(ctx context.Context, path string, offset int64, n int) string {
	f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path, Offset: offset, Length: n}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("read %s in the guest: %s", path, f.Errno))
	}
	return string(f.Data)
}

// GuestOption makes a guest different from the standard one.
type GuestOption func(*vm.Spec)

// CPUs gives the guest so many processors.
func CPUs(n int) GuestOption { return func(s *vm.Spec) { s.CPUs = n } }

// Memory gives it so many bytes of memory, 2.5 GiB at most.
func Memory(bytes int64) GuestOption { return func(s *vm.Spec) { s.RAM = bytes } }

// AMD gives it a processor of AMD's that does not recover from poison (arch.Milan).
func AMD() GuestOption { return func(s *vm.Spec) { s.CPU = arch.Milan.String() } }

// StartGuest is the scenario's guest: a fresh clone of the kernel's template, which
// ends with the scenario.
func StartGuest(ctx context.Context, options ...GuestOption) *Guest {
	s := suite.Current()
	if s == nil {
		ginkgo.Fail(errNoGuest.Error(), 1)
	}
	rec := s.Record
	fail := func(err error) {
		if l := (*lacking)(nil); errors.As(err, &l) {
			ginkgo.Skip(l.reason, callerSkip())
		}
		// What fails after a victim did not return follows from that, but for the guest's end.
		follows := rec.Hung && !errors.As(err, new(*vm.GuestError))
		if !rec.Panicked && !follows {
			rec.Trouble = err
			rec.Lost(err)
		}
		ginkgo.Fail(suite.Describe(err), callerSkip())
	}
	started, err := s.Guest(ctx, func(spec *vm.Spec) {
		for _, o := range options {
			o(spec)
		}
	})
	if err != nil {
		fail(err)
	}
	g := newGuestVM(started, rec, fail)
	ginkgo.DeferCleanup(func(ctx context.Context) {
		defer started.Close()
		defer g.watcher.close()
		if rec.Trouble == nil {
			if err := g.collect(ctx); err != nil {
				if g.notePanic(err); !rec.Panicked {
					rec.Trouble = err
					rec.Lost(err)
				}
			}
		}
		rec.Blocks = started.Blocks(ctx)
		if rec.ConsoleTail == "" && (rec.Trouble != nil || g.dead) {
			rec.ConsoleTail = started.ConsoleTail(60)
		}
		if rec.Panicked && !ginkgo.CurrentSpecReport().Failed() {
			ginkgo.Fail(sanitize.Log("the kernel panicked:\n" + rec.ConsoleTail))
		}
	}, ginkgo.NodeTimeout(suite.Patience(time.Minute)))
	return g
}

// callerSkip is how many frames lie between its caller and the scenario that
// called a primitive, so that a failure names the scenario's line. It is the
// first function that is not of this package: GinkgoHelper would have to stand
// in every primitive and in all that one calls.
func callerSkip() int {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	own := reflect.TypeFor[Guest]().PkgPath() + "."
	for skip := 0; ; skip++ {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, own) {
			return skip
		}
	}
}
