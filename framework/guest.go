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

// PageBytes returns the page size of the kernel under test (PAGE_SIZE). Call it within a
// scenario: before the suite runs, as in package variables, no kernel is known.
func PageBytes() int64 { return 1 << suite.Kernel().PageShift() }

// HugePageBytes returns the huge page size of the kernel under test (PMD_SIZE).
func HugePageBytes() int64 { return 1 << suite.Kernel().HugePageShift() }

// Page returns the offset in a file of its page n, counted from 0, in bytes.
func Page(n int64) int64 { return n * PageBytes() }

// Guest is the virtual machine of a scenario. Its methods, and those of Victim, are the
// primitives of a scenario: each does one thing and, with documented exceptions, records
// it as a step with its outcome. A primitive that fails for a reason other than the
// kernel's behaviour ends the scenario as an infrastructure failure; the scenario is then
// not judged.
type Guest struct {
	vm   *vm.Guest
	rec  *suite.Record
	fail func(error) // ends the scenario; does not return

	page    uint64            // the size of a page of its kernel, in bytes
	start   uint64            // kernel log position at the scenario's start
	names   map[string]int    // how often a name was used
	files   []vm.File         // files that the template prepared and that are not taken
	paths   map[string]string // prepared files that were taken: real path to the path in the record
	mounted []*Mount
	disks   map[string]string // canonical names of the disks that Pmem found
	asStep  map[string]bool   // witnesses that are already a step: disks, for their bad blocks
	bare    map[string]bool   // disks that Unmount unmounted
	victims map[string]*Victim

	watcher  *watcher  // nil until something consumes poison
	direct   uint64    // address of the kernel's direct map, 0 until it is needed
	injected bool      // an error was injected, so that a panic is the kernel's behaviour
	poisoned bool      // memory was poisoned, so that its witnesses are collected
	frames   []watched // pages that were targets of poison
	mayPanic bool      // AllowPanic was called
	dead     bool      // the guest panicked, and the panic is an observation
}

func newGuestVM(g *vm.Guest, rec *suite.Record, fail func(error)) *Guest {
	return &Guest{
		vm:      g,
		rec:     rec,
		fail:    fail,
		page:    1 << g.Spec().Kernel.PageShift(),
		start:   g.Hello.KmsgSeq,
		names:   map[string]int{},
		files:   slices.Clone(g.Files),
		paths:   map[string]string{},
		disks:   map[string]string{},
		asStep:  map[string]bool{},
		bare:    map[string]bool{},
		victims: map[string]*Victim{},
	}
}

// call sends a request to the guest and returns the reply. It ends the scenario if that
// fails.
func (g *Guest) call(ctx context.Context, req *wire.Request) *wire.Reply {
	reply := g.ask(ctx, req)
	if reply.Died != nil {
		op, _ := req.Op()
		g.fail(fmt.Errorf("%s: the victim died: %+v", op, *reply.Died))
	}
	return reply
}

// approach is called before an operation that records as many steps. It is where a
// user who inspects the guest can stop before a step.
func (g *Guest) approach(ctx context.Context, steps int) {
	if err := g.watcher.failed(); err != nil {
		g.fail(err)
	}
	if err := g.rec.Approach(ctx, g.vm, steps); err != nil {
		g.fail(err)
	}
}

// ask is call for a request that may kill the victim.
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

// ended ends the scenario because the guest does not answer.
func (g *Guest) ended(err error) {
	g.notePanic(err)
	g.fail(err)
}

// unsupported is the error that skips a scenario which the kernel turns out not to
// support, for a reason that its configuration does not show.
type unsupported struct{ reason string }

func (l *unsupported) Error() string { return l.reason }

// Monitor returns the guest's QMP connection.
func (g *Guest) Monitor() *qemu.Monitor { return g.vm.Monitor() }

// unique returns unique names: file, file2, file3.
func (g *Guest) unique(name string) string {
	g.names[name]++
	if n := g.names[name]; n > 1 {
		return fmt.Sprint(name, n)
	}
	return name
}

// LoadModule loads a module of package vm's on-demand list and its dependencies. It does
// nothing if the module is built in or loaded already. It records nothing.
func (g *Guest) LoadModule(ctx context.Context, name string) {
	if err := g.vm.LoadModules(ctx, name); err != nil {
		g.fail(err)
	}
}

// callOK makes a system call in the agent that must succeed, to set up the scenario.
func (g *Guest) callOK(ctx context.Context, name string, args ...any) *wire.SyscallReply {
	wired, words := wireArgs(args)
	called := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: name, Args: wired}}).Called
	if called.Errno != "" {
		g.fail(fmt.Errorf("set up the guest: %s(%s): %s", name, words, called.Errno))
	}
	return called
}

// ReadFile reads a file of the guest, mostly of sysfs or procfs. It records nothing.
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

// WriteSysctl sets a sysctl of the guest's kernel and records the result; the kernel may
// not have that sysctl. The name is a path below /proc/sys: "vm/overcommit_memory".
func (g *Guest) WriteSysctl(ctx context.Context, name, value string) *Observation {
	f := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sys/" + name, Data: []byte(value)}}).File
	return record(g.rec, "agent", fmt.Sprintf("sysctl %s=%s", name, value), observe.Outcome{Errno: f.Errno}, "")
}

var errNoGuest = errors.New(
	"framework.StartGuest was called outside a scenario; decorate the spec with framework.Scenario",
)

// readPart reads up to n bytes of a file of the guest, starting at an offset.
func (g *Guest) readPart(ctx context.Context, path string, offset int64, n int) string {
	f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path, Offset: offset, Length: n}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("read %s in the guest: %s", path, f.Errno))
	}
	return string(f.Data)
}

// GuestOption changes a guest's hardware from the standard one.
type GuestOption func(*vm.Spec)

// CPUs sets the number of CPUs.
func CPUs(n int) GuestOption { return func(s *vm.Spec) { s.CPUs = n } }

// Memory sets the size of the memory in bytes, at most 2.5 GiB.
func Memory(bytes int64) GuestOption { return func(s *vm.Spec) { s.RAM = bytes } }

// LargeNVDIMM adds an empty nvdimm of 3 GiB: see Guest.LargeDeviceDAX.
func LargeNVDIMM() GuestOption { return func(s *vm.Spec) { s.LargeNVDIMM = true } }

// AMD selects an AMD CPU that does not recover from poison (arch.Milan).
func AMD() GuestOption { return func(s *vm.Spec) { s.CPU = arch.Milan.String() } }

// StartGuest returns the scenario's guest: a fresh clone of the kernel's template, which
// is closed at the end of the scenario.
func StartGuest(ctx context.Context, options ...GuestOption) *Guest {
	s := suite.Current()
	if s == nil {
		ginkgo.Fail(errNoGuest.Error(), 1)
	}
	rec := s.Record
	fail := func(err error) {
		if l := (*unsupported)(nil); errors.As(err, &l) {
			ginkgo.Skip(l.reason, callerSkip())
		}
		// A failure after a hung victim is a consequence of the hang, unless the guest
		// ended.
		follows := rec.Hung && !errors.As(err, new(*vm.GuestError))
		if !rec.Panicked && !follows {
			rec.InfraErr = err
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
		if rec.InfraErr == nil {
			if err := g.collect(ctx); err != nil {
				if g.notePanic(err); !rec.Panicked {
					rec.InfraErr = err
					rec.Lost(err)
				}
			}
		}
		rec.Blocks = started.Blocks(ctx)
		if rec.ConsoleTail == "" && (rec.InfraErr != nil || g.dead) {
			rec.ConsoleTail = started.ConsoleTail(60)
		}
		if rec.Panicked && !ginkgo.CurrentSpecReport().Failed() {
			ginkgo.Fail(sanitize.Log("the kernel panicked:\n" + rec.ConsoleTail))
		}
	}, ginkgo.NodeTimeout(suite.Patience(time.Minute)))
	return g
}

// callerSkip returns the number of frames between its caller and the scenario that called
// a primitive, so that a failure reports the scenario's line: the first function outside
// this package. GinkgoHelper would be needed in every primitive and in all its callees.
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
