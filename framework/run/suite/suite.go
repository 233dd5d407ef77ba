package suite

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/faultline/faultline/framework/analysis/needs"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// process is this process, in which Ginkgo runs one suite. Its state is that of the process,
// as Ginkgo's own tree of specs and current spec are: hooks have no parameter for it. Only
// this package changes it.
var process struct {
	suite     string // the one whose specs are being constructed
	host      *vm.Host
	kernel    *kernels.Kernel
	templates map[vm.Spec]*vm.Template // of the guests that scenarios have used so far
	events    *json.Encoder
	current   *Scenario
}

// registered are the scenarios of this process by id: labels contain only a part of
// scenario.Info.
var registered = map[string]scenario.Info{}

// Register adds a scenario when its spec is constructed.
func Register(i scenario.Info) { i.Suite = process.suite; registered[i.ID] = i }

// container is a Ginkgo container of a suite, constructed when the suite runs.
type container struct {
	suite, text string
	body        func()
}

// containers are those of every suite that is linked into this program.
var containers []container

// Linked reports whether this program links a suite.
func Linked() bool { return len(containers) > 0 }

// Add adds a container of specs to a suite.
func Add(suite, text string, body func()) {
	containers = append(containers, container{suite, text, body})
}

// construct constructs the containers of a suite, of every suite where name is
// empty. Ginkgo has one tree of specs for a process.
func construct(name string) {
	for _, c := range containers {
		if name == "" || c.suite == name {
			ginkgo.Describe(c.text, func() {
				process.suite = c.suite
				c.body()
			})
		}
	}
}

// Run runs a suite. The Go test of each suite calls it.
func Run(t *testing.T, name string) {
	construct(name)
	infos, err := scenarios(ginkgo.PreviewSpecs(name).SpecReports)
	if err != nil {
		t.Fatal(err)
	}
	if flags.list {
		if err := printList(infos); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("boots real guests; skipped with -short")
	}
	run(t, name)
}

// Subcommand is the first argument of such a program whose arguments Main takes.
const Subcommand = "suite"

// Main is the process of a suite in a program that links it: args are flags of
// Ginkgo and of this package, and the name of a suite, which is left out with
// --faultline.list. It returns the process's exit code.
func Main(args []string) int {
	if err := flag.CommandLine.Parse(args); err != nil {
		return errkind.ExitUsage
	}
	name := flag.Arg(0)
	if name == "" && !flags.list {
		fmt.Fprintln(os.Stderr, "name the suite to run")
		return errkind.ExitUsage
	}
	construct(name)
	infos, err := scenarios(ginkgo.PreviewSpecs(name).SpecReports)
	switch {
	case err == nil && len(infos) == 0 && name != "":
		err = fmt.Errorf("no suite %q is linked into this program", name)
	case err == nil && flags.list:
		err = printList(infos)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, sanitize.Log(err.Error()))
		return errkind.ExitUnexpected
	}
	if flags.list {
		return errkind.ExitExpected
	}
	t := &failed{}
	run(t, name)
	if t.failed {
		return errkind.ExitUnexpected
	}
	return errkind.ExitExpected
}

// failed is a ginkgo.GinkgoTestingT outside of a Go test.
type failed struct{ failed bool }

func (f *failed) Fail() { f.failed = true }

func printList(infos []scenario.Info) error {
	list, err := scenario.PrintList(infos)
	if err == nil {
		fmt.Print(list)
	}
	return err
}

func run(t ginkgo.GinkgoTestingT, name string) {
	if flags.events > 0 {
		syscall.CloseOnExec(flags.events) // QEMU must not hold it open
		process.events = json.NewEncoder(os.NewFile(uintptr(flags.events), "events"))
	}
	if flags.resume > 0 {
		syscall.CloseOnExec(flags.resume)
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	// The first process builds what all processes share; the others find it in the cache.
	ginkgo.SynchronizedBeforeSuite(func(ctx ginkgo.SpecContext) {
		must(open(ctx))
	}, func(ctx ginkgo.SpecContext) {
		if process.kernel == nil {
			must(open(ctx))
		}
	})
	ginkgo.SynchronizedAfterSuite(shut, func() {})
	ginkgo.BeforeEach(begin)
	ginkgo.AfterEach(expectations)
	ginkgo.ReportAfterEach(finish)
	if process.events == nil { // else faultline run judges
		ginkgo.ReportAfterSuite("what this kernel has", conclude)
	}
	ginkgo.RunSpecs(t, name)
}

// must fails the suite on an infrastructure failure before any scenario.
func must(err error) {
	if err != nil {
		ginkgo.Fail(Describe(err), 1)
	}
}

// Describe returns the text of an error, with the post-mortem data of a *vm.GuestError.
// The text is safe for a terminal, because Ginkgo prints the message of a failed spec.
func Describe(err error) string {
	text := err.Error()
	if t := (*vm.GuestError)(nil); errors.As(err, &t) {
		for _, part := range [][2]string{
			{"end of the console", t.Tail}, {"registers", t.Registers}, {"template", t.Template},
		} {
			if part[1] != "" {
				text += fmt.Sprintf("\n--- %s:\n%s", part[0], part[1])
			}
		}
	}
	return sanitize.Log(text)
}

// describe returns the scenario of a spec; ok is false if the spec is not a scenario.
func describe(r ginkgo.SpecReport) (info scenario.Info, ok bool) {
	info, ok = registered[scenario.IDOf(r.Labels())]
	info.Doc, info.Labels = r.FullText(), r.Labels()
	return info, ok
}

// scenarios returns the scenarios among the specs. Two with the same id are an error,
// because cells are identified by it.
func scenarios(specs []ginkgo.SpecReport) (infos []scenario.Info, err error) {
	places := map[string]string{}
	for _, r := range specs {
		info, ok := describe(r)
		if !ok {
			continue
		}
		place := fmt.Sprintf("%q at %v", info.Doc, r.LeafNodeLocation)
		if other := places[info.ID]; other != "" {
			return nil, fmt.Errorf(
				"two scenarios have the id %s; give one of them another id:\n  %s\n  %s",
				info.ID,
				other,
				place,
			)
		}
		places[info.ID] = place
		infos = append(infos, info)
	}
	return infos, nil
}

func open(ctx context.Context) error {
	c, err := cache.Open("")
	if err != nil {
		return err
	}
	c.Log = func(format string, args ...any) { fmt.Fprintln(os.Stderr, sanitize.Log(fmt.Sprintf(format, args...))) }
	if flags.cached != "" {
		process.kernel, err = kernels.Cached(ctx, c, flags.cached)
	} else {
		process.kernel, err = source.Resolve(ctx, flags.kernel, kernels.Options{Cache: c})
	}
	if err != nil {
		return err
	}
	process.kernel.Spec = flags.kernel
	if flags.name != "" {
		process.kernel.Name = flags.name
	}
	if flags.digest != "" && flags.digest != process.kernel.Digest {
		return fmt.Errorf("%s is now another kernel (digest %.12s) than when the run started (%.12s); start a new run",
			flags.kernel, process.kernel.Digest, flags.digest)
	}
	process.host, err = vm.NewHost(ctx, c, process.kernel.Arch)
	return err
}

func shut() {
	for _, t := range process.templates {
		t.Close()
	}
	if process.host != nil {
		process.host.Close()
	}
}

// Kernel returns the kernel that this process observes. Before the suite runs, as in the
// initialization of package variables, it is a placeholder with this machine's GOARCH.
func Kernel() *kernels.Kernel {
	if process.kernel == nil {
		return &kernels.Kernel{Arch: runtime.GOARCH}
	}
	return process.kernel
}

// Scenario is the current scenario.
type Scenario struct {
	scenario.Info
	*Record
	entry *entry // what Ginkgo's report of its spec carries
}

// Current returns the current scenario of this process, or nil.
func Current() *Scenario { return process.current }

// begin opens a scenario's record, before its body runs.
func begin() {
	process.current = nil
	info, ok := describe(ginkgo.CurrentSpecReport())
	if !ok {
		return
	}
	s := &Scenario{Info: info, Record: NewRecord(process.kernel), entry: &entry{}}
	s.AtEnd = true
	process.current = s
	ginkgo.AddReportEntry(entryName, ginkgo.ReportEntryVisibilityNever, s.entry)
	emit(scenario.Event{Started: info.ID})
	if why := needs.Impossible(process.kernel, info); why != "" {
		ginkgo.Skip(why)
	}
	if info.TCG == "" || flags.template != "" { // else the plan left out what QEMU cannot run
		return
	}
	if why := info.NeedsTCG(process.host.TCG()); why != "" {
		ginkgo.Skip(why)
	}
}

// expectations fails a scenario with unmet expectations, if it has not failed yet.
func expectations() {
	if s := process.current; s != nil && len(s.Unmet) > 0 && !ginkgo.CurrentSpecReport().Failed() {
		ginkgo.Fail(sanitize.Log(strings.Join(s.Unmet, "\n")))
	}
}

// finish makes the scenario's cell from its record and sends it.
func finish(r ginkgo.SpecReport) {
	s := process.current
	if s == nil || r.State.Is(types.SpecStatePending) {
		return
	}
	cell := observe.Cell{
		Scenario:    s.ID,
		Kernel:      s.Kernel.Name,
		Accel:       s.Accel(flags.accel),
		Verdict:     observe.Expected,
		Steps:       s.Steps,
		Witnesses:   s.Witnesses,
		Ignored:     s.LeftOut,
		Panicked:    s.Panicked,
		KernelLog:   s.KernelLog,
		ConsoleTail: s.ConsoleTail,
		Registers:   s.Registers,
		Template:    s.Template,
		Blocks:      s.Blocks,
		Started:     s.started,
		Millis:      float64(time.Since(s.started).Microseconds()) / 1000,
	}
	switch {
	case r.State.Is(types.SpecStateSkipped):
		cell.Verdict, cell.Message = observe.Skipped, r.Failure.Message
	case s.InfraErr != nil:
		cell.Verdict, cell.Message = observe.Infra, s.InfraErr.Error()
		t := (*vm.GuestError)(nil)
		cell.Panicked = errors.As(s.InfraErr, &t) && t.Kind == vm.Panic
	case s.Panicked:
		cell.Verdict, cell.Message = observe.Unexpected, "the kernel panicked"
	case r.State.Is(types.SpecStateFailed):
		cell.Verdict, cell.Message = observe.Unexpected, r.Failure.Message
	case !r.State.Is(types.SpecStatePassed): // timed out, interrupted, panicked
		cell.Verdict, cell.Message = observe.Infra, strings.TrimSpace(
			r.State.String()+": "+r.Failure.Message+" "+r.Failure.ForwardedPanic,
		)
	}
	cell.Hung = s.Hung
	s.entry.Cell = &cell
	emit(scenario.Event{Finished: &cell})
	process.current = nil
}

// emit sends an event to the parent process.
func emit(e scenario.Event) {
	if process.events != nil {
		if err := process.events.Encode(e); err != nil {
			fmt.Fprintf(os.Stderr, "faultline: send an event to the parent process: %v\n", err)
			os.Exit(3)
		}
	}
}
