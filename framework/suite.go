package framework

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// Flags of a suite's binary. faultline run sets them; whoever uses Ginkgo
// directly gives them behind --, as in
//
//	ginkgo ./suites/dax -- --faultline.kernel=apt:bookworm/6.12
var flags struct {
	kernel, name, accel string
	digest              string
	console             string
	has                 hasFlag
	fresh               bool
	list                bool
	events              int
}

type hasFlag map[string]bool

func (h *hasFlag) String() string { return fmt.Sprint(map[string]bool(*h)) }

func (h *hasFlag) Set(s string) error {
	id, value, _ := strings.Cut(s, "=")
	if _, err := change.ByID(id); err != nil {
		return err
	}
	if *h == nil {
		*h = hasFlag{}
	}
	(*h)[id] = value != "false"
	return nil
}

func init() {
	flag.StringVar(&flags.kernel, "faultline.kernel", "apt:bookworm", "the kernel to observe, as a `spec`")
	flag.StringVar(&flags.name, "faultline.name", "", "what to call the kernel")
	flag.StringVar(&flags.digest, "faultline.digest", "", "refuse the kernel if it is not the one with this `digest`")
	flag.StringVar(&flags.accel, "faultline.accel", "tcg", "what runs the guests: tcg or kvm; scenarios that need TCG get it")
	flag.StringVar(&flags.console, "faultline.console", "", "a `folder` for the guests' consoles, one file a scenario")
	flag.Var(&flags.has, "faultline.has", "`change=true|false`: claim that the kernel has a change, or lacks it; what contradicts that is a finding; may be repeated")
	flag.BoolVar(&flags.fresh, "faultline.fresh", false, "boot a guest for each scenario, instead of cloning a template")
	flag.BoolVar(&flags.list, "faultline.list", false, "print the scenarios as JSON and run nothing")
	flag.IntVar(&flags.events, "faultline.events", 0, "a file `descriptor` to write events to, one JSON value a line")
}

// suite is the suite that this process runs.
type suite struct {
	name      string
	rig       *vm.Rig
	kernel    *kernels.Kernel
	templates map[vm.Spec]*vm.Template // of the guests that scenarios asked for so far
	events    *json.Encoder
	current   *recorder
	guest     *GuestVM
	observed  *entry // what Ginkgo's report of the current spec carries
}

// running is set by RunSuite: Ginkgo runs one suite in a process.
var running *suite

// Event is what a suite's process tells the one that started it.
type Event struct {
	Started  string        `json:"started,omitempty"`  // a scenario's id
	Finished *observe.Cell `json:"finished,omitempty"` // its cell
}

// RunSuite runs the suite of this binary; each suite's one Go test calls it.
func RunSuite(t *testing.T, name string) {
	running = &suite{name: name}
	infos, err := scenarios(name, ginkgo.PreviewSpecs(name).SpecReports)
	if err != nil {
		t.Fatal(err)
	}
	if flags.list {
		printScenarios(infos)
		return
	}
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	if flags.events > 0 {
		syscall.CloseOnExec(flags.events) // QEMU must not hold it open
		running.events = json.NewEncoder(os.NewFile(uintptr(flags.events), "events"))
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	// The first process builds what all share; the others find it in the cache.
	ginkgo.SynchronizedBeforeSuite(func(ctx ginkgo.SpecContext) {
		must(running.open(ctx))
	}, func(ctx ginkgo.SpecContext) {
		if running.kernel == nil {
			must(running.open(ctx))
		}
	})
	ginkgo.SynchronizedAfterSuite(func() { running.close() }, func() {})
	ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { running.begin() })
	ginkgo.AfterEach(func() { running.expectations() })
	ginkgo.ReportAfterEach(func(r ginkgo.SpecReport) { running.finish(r) })
	if running.events == nil { // faultline run judges for itself
		ginkgo.ReportAfterSuite("what this kernel has", func(r ginkgo.Report) { conclude(r) })
	}
	ginkgo.RunSpecs(t, name)
}

// must ends the suite where the rig fails before any scenario.
func must(err error) {
	if err != nil {
		ginkgo.Fail(describeError(err), 1)
	}
}

// describeError is an error with the end of the console, where it has one.
func describeError(err error) string {
	var t *vm.Trouble
	if errors.As(err, &t) && t.Tail != "" {
		return fmt.Sprintf("%v\n--- end of the console:\n%s", err, t.Tail)
	}
	return err.Error()
}

// scenarios are those among the specs. Two with the same id are an error,
// because what was observed is kept by id.
func scenarios(suite string, specs []ginkgo.SpecReport) (infos []Info, err error) {
	places := map[string]string{}
	for _, r := range specs {
		info, ok := describe(suite, r)
		if !ok {
			continue
		}
		place := fmt.Sprintf("%q at %v", info.Doc, r.LeafNodeLocation)
		if other := places[info.ID]; other != "" {
			return nil, fmt.Errorf("two scenarios of the suite %s have the id %s; give one of them another:\n  %s\n  %s", suite, info.ID, other, place)
		}
		places[info.ID] = place
		infos = append(infos, info)
	}
	return infos, nil
}

func printScenarios(list []Info) {
	// On a line of its own, behind whatever the test runner prints.
	data, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	fmt.Printf("\n%s%s\n", ListMark, data)
}

// ListMark begins the line that --faultline.list prints.
const ListMark = "faultline-scenarios: "

func (s *suite) open(ctx context.Context) error {
	c, err := cache.Open("")
	if err != nil {
		return err
	}
	s.kernel, err = kernels.Resolve(ctx, flags.kernel, kernels.Options{Cache: c})
	if err != nil {
		return err
	}
	if flags.name != "" {
		s.kernel.Name = flags.name
	}
	if flags.digest != "" && flags.digest != s.kernel.Digest {
		return fmt.Errorf("%s is now another kernel (digest %.12s) than when the run began (%.12s); begin anew", flags.kernel, s.kernel.Digest, flags.digest)
	}
	s.rig, err = vm.NewRig(ctx, c, s.kernel.Arch)
	return err
}

// GuestOption makes a guest different from the standard one.
type GuestOption func(*vm.Spec)

// CPUs gives the guest so many processors.
func CPUs(n int) GuestOption { return func(s *vm.Spec) { s.CPUs = n } }

// Processor gives it another model of processor, as QEMU's -cpu names it.
func Processor(model string) GuestOption { return func(s *vm.Spec) { s.CPU = model } }

// template is the template of such guests.
func (s *suite) template(ctx context.Context, spec vm.Spec) (*vm.Template, error) {
	if t := s.templates[spec]; t != nil {
		return t, nil
	}
	t, err := s.rig.Template(ctx, spec)
	if err != nil {
		return nil, err
	}
	if s.templates == nil {
		s.templates = map[vm.Spec]*vm.Template{}
	}
	s.templates[spec] = t
	return t, nil
}

// spec is what a scenario's guest is, unless it asks for another.
func (s *suite) spec(info Info) vm.Spec { return vm.Spec{Kernel: s.kernel, Accel: accelFor(info)} }

// accelFor is what a scenario's guest runs with.
func accelFor(info Info) qemu.Accel {
	if info.TCG != "" {
		return qemu.TCG
	}
	return qemu.Accel(flags.accel)
}

func (s *suite) close() {
	for _, t := range s.templates {
		t.Close()
	}
	if s.rig != nil {
		s.rig.Close()
	}
}

// begin opens a scenario's record, before its body runs.
func (s *suite) begin() {
	s.current, s.guest, s.observed = newRecorder(s.kernel.Lacks), nil, &entry{}
	info, ok := describe(s.name, ginkgo.CurrentSpecReport())
	if !ok {
		return
	}
	s.current.atEnd = true
	ginkgo.AddReportEntry(entryName, ginkgo.ReportEntryVisibilityNever, s.observed)
	s.tell(Event{Started: info.ID})
	if why := Impossible(s.kernel, info); why != "" {
		ginkgo.Skip(why)
	}
}

// expectations fails a scenario that did not fail before, where one was not met.
func (s *suite) expectations() {
	if s.current != nil && len(s.current.unmet) > 0 && !ginkgo.CurrentSpecReport().Failed() {
		ginkgo.Fail(strings.Join(s.current.unmet, "\n"))
	}
}

// Impossible says why a scenario can't be done on a kernel, as its configuration
// tells; "" where nothing tells so.
func Impossible(k *kernels.Kernel, info Info) string {
	if info.NotDoable != "" {
		return info.NotDoable
	}
	if lacks := k.Lacks(info.Needs...); len(lacks) > 0 {
		return fmt.Sprintf("%s lacks CONFIG_%s", k.Name, strings.Join(lacks, ", CONFIG_"))
	}
	return ""
}

// Guest is the scenario's guest: a fresh clone of the kernel's template, which
// ends with the scenario.
func Guest(ctx context.Context, options ...GuestOption) *GuestVM {
	s := running
	if s == nil || s.current == nil {
		ginkgo.Fail(errNoGuest.Error(), 1)
	}
	rec := s.current
	fail := func(err error) {
		if l := (*lacking)(nil); errors.As(err, &l) {
			ginkgo.Skip(l.reason, callerSkip())
		}
		if !rec.panicked {
			rec.rig = err
		}
		ginkgo.Fail(describeError(err), callerSkip())
	}
	info, ok := describe(s.name, ginkgo.CurrentSpecReport())
	if !ok {
		fail(errNoGuest)
	}
	spec := s.spec(info)
	for _, o := range options {
		o(&spec)
	}
	g, err := s.newGuest(ctx, strings.ReplaceAll(info.ID, "/", "__"), spec)
	if err != nil {
		fail(err)
	}
	s.guest = newGuestVM(g, rec, fail)
	ginkgo.DeferCleanup(func(ctx context.Context) {
		defer g.Close()
		if rec.rig == nil {
			if err := s.guest.collect(ctx); err != nil {
				if s.guest.notePanic(err); !rec.panicked {
					rec.rig = err
				}
			}
		}
		if rec.rig != nil || s.guest.dead {
			rec.console = g.ConsoleTail(60)
		}
		if rec.panicked && !ginkgo.CurrentSpecReport().Failed() {
			ginkgo.Fail(fmt.Sprintf("the kernel panicked:\n%s", rec.console))
		}
	}, ginkgo.NodeTimeout(time.Minute))
	return s.guest
}

func (s *suite) newGuest(ctx context.Context, name string, spec vm.Spec) (*vm.Guest, error) {
	console := ""
	if flags.console != "" {
		console = filepath.Join(flags.console, name+".console")
	}
	if flags.fresh {
		spec.Console = console
		return s.rig.Boot(ctx, spec)
	}
	t, err := s.template(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.current.started = time.Now() // what was booted once is not the scenario's time
	return t.Clone(ctx, vm.CloneOptions{Console: console})
}

// finish makes the cell of what was recorded, and hands it on.
func (s *suite) finish(r ginkgo.SpecReport) {
	info, ok := describe(s.name, r)
	rec := s.current
	if !ok || rec == nil || r.State.Is(types.SpecStatePending) {
		return
	}
	cell := observe.Cell{
		Scenario: info.ID, Kernel: s.kernel.Name, Accel: string(accelFor(info)), Verdict: observe.Expected,
		Steps: rec.steps, Witnesses: rec.witness, LeftOut: rec.leftOut, Panicked: rec.panicked, KernelLog: rec.klog, ConsoleTail: rec.console,
		Started: rec.started, Millis: float64(time.Since(rec.started).Microseconds()) / 1000,
	}
	switch {
	case r.State.Is(types.SpecStateSkipped):
		cell.Verdict, cell.Message = observe.NotDoable, r.Failure.Message
	case rec.rig != nil:
		cell.Verdict, cell.Message = observe.Rig, rec.rig.Error()
		t := (*vm.Trouble)(nil)
		cell.Panicked = errors.As(rec.rig, &t) && t.Kind == vm.Panic
	case rec.panicked:
		cell.Verdict, cell.Message = observe.Unexpected, "the kernel panicked"
	case r.State.Is(types.SpecStateFailed):
		cell.Verdict, cell.Message = observe.Unexpected, r.Failure.Message
	case !r.State.Is(types.SpecStatePassed): // timed out, interrupted, panicked
		cell.Verdict, cell.Message = observe.Rig, strings.TrimSpace(r.State.String()+": "+r.Failure.Message+" "+r.Failure.ForwardedPanic)
	}
	s.observed.Cell = &cell
	s.tell(Event{Finished: &cell})
	s.current, s.guest, s.observed = nil, nil, nil
}

// tell writes an event for the process that started this one.
func (s *suite) tell(e Event) {
	if s.events != nil {
		if err := s.events.Encode(e); err != nil {
			fmt.Fprintf(os.Stderr, "faultline: the parent does not listen any more: %v\n", err)
			os.Exit(3)
		}
	}
}

// callerSkip finds how many frames lie between a primitive and the scenario
// that called it, so that a failure names the scenario's line.
func callerSkip() int {
	lines := strings.Split(string(debug.Stack()), "\n")
	skip := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "\t") {
			if strings.Contains(l, "/suites/") {
				break
			}
			skip++
		}
	}
	return max(skip-3, 1)
}
