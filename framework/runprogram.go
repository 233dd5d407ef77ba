package framework

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/program"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/internal/tap"
)

// Ran is what a program told, recorded: each of its tests is a step of its own.
type Ran struct {
	// Ended is how the program ended: nothing to tell where that is what its tests make
	// it, 0 where none failed.
	Ended *Seen
	// Tests are those that were run and were to pass, of a program that speaks TAP.
	Tests []*Seen
	// Planned is the step that says so where it did not run what it announced, or
	// gave up; nil otherwise.
	Planned *Seen
}

// home is root's folder, in which PID 1 starts what comes by SSH.
const home = "/root"

// outputBytes bounds what is read of a program's output.
const outputBytes = 4 << 20

// hugePages is how many a program finds set aside, as run_vmtests.sh sets some aside.
const hugePages = 16

// skips is the exit status of a self test that can't be done here (KSFT_SKIP in
// tools/testing/selftests/kselftest.h).
const skips = 4

// RunProgram copies a static program into the guest, over SSH, and runs it there as
// root. Where the guest has it, the folder that it runs in is on ext4, because self
// tests want files in a page cache; huge pages are set aside, and pages may be poisoned
// by number (hwpoison_inject).
// A scenario whose program has nothing to run here is not doable.
func (g *GuestVM) RunProgram(ctx context.Context, p program.Program) (r Ran) {
	g.injected = true // whatever the kernel does now, the program asked for it
	g.LoadModule(ctx, "hwpoison_inject")
	if k := g.vm.Spec().Kernel; len(k.Lacks("BLK_DEV_PMEM", "ACPI_NFIT", "NVDIMM_PFN", "EXT4_FS")) == 0 {
		m := g.PageCache(ctx, Ext4)
		g.callOK(ctx, "mount", m.Dir, home, "", unix.MS_BIND, "")
	}
	if len(g.vm.Spec().Kernel.Lacks("HUGETLBFS")) == 0 {
		g.HugePages(ctx, hugePages)
	}
	g.LeaveOut(observe.WitnessLog, ".", "a program makes the kernel say what it likes")

	var out bytes.Buffer
	status, err := g.overSSH(ctx, p, &out)
	action := "run " + p.Command()
	h := (*hung)(nil)
	if err != nil && !errors.As(err, &h) {
		r.Ended = record(g.rec, "program", action, g.panicked(err), "")
		return r
	}
	said := tap.Read(out.String())
	if skipped := skipped(said, status.Code, out.String()); h == nil && skipped != "" && status.Signal == "" {
		g.fail(&lacking{"the program skips: " + skipped})
	}
	failed := false
	for _, t := range said.Tests {
		seen := record(g.rec, "program", t.Name, observe.Outcome{Note: told(t)}, "")
		seen.why = why(t)
		failed = failed || t.Failed()
		if t.Counts() {
			r.Tests = append(r.Tests, seen)
		}
	}
	if h != nil {
		r.Ended = g.recordHung("program", action, "", h)
		return r
	}
	switch {
	case said.BailOut != "":
		r.Planned = record(g.rec, "program", "go on", observe.Outcome{Note: "bail out: " + said.BailOut}, "")
	case said.Planned > len(said.Tests):
		r.Planned = record(g.rec, "program", "go on", observe.Outcome{Note: fmt.Sprintf("%d of %d tests", len(said.Tests), said.Planned)}, "")
	}
	// How it ends is news where it is not what its tests make it.
	var o observe.Outcome
	switch failed = failed || r.Planned != nil; {
	case status.Signal != "":
		o.Exit = &observe.Exit{Signal: "SIG" + status.Signal}
	case failed != (status.Code != 0):
		o.Exit = &observe.Exit{Code: status.Code}
	}
	r.Ended = record(g.rec, "program", action, o, "")
	r.Ended.why = lastLine(out.String())
	return r
}

// skipped is why a program ran nothing, where it says that.
func skipped(said tap.Report, code int, out string) string {
	ran := slices.ContainsFunc(said.Tests, func(t tap.Test) bool { return !t.Skipped() })
	switch {
	case said.Skipped != "":
		return said.Skipped
	case ran || said.BailOut != "" || code != skips && len(said.Tests) < max(said.Planned, 1):
		return ""
	case len(said.Tests) > 0:
		return cmp.Or(why(said.Tests[0]), said.Tests[0].Name)
	}
	return cmp.Or(lastLine(out), "it does not say why")
}

// told is a test's result in a word or two.
func told(t tap.Test) string {
	switch {
	case t.Skipped():
		return "skipped"
	case t.Directive != "":
		return map[bool]string{true: "ok", false: "not ok"}[t.OK] + ", " + t.Directive
	}
	return map[bool]string{true: "ok", false: "not ok"}[t.OK]
}

// why is what a test says beside its result.
func why(t tap.Test) string {
	return strings.Trim(strings.Join(append(slices.Clone(t.Notes), t.Reason), "; "), "; ")
}

// lastLine is the last line that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// overSSH copies the program, and runs it to its end.
func (g *GuestVM) overSSH(ctx context.Context, p program.Program, out *bytes.Buffer) (vm.ExitStatus, error) {
	g.approach(ctx, 1)
	c, err := g.vm.SSH(ctx)
	if err != nil {
		return vm.ExitStatus{}, err
	}
	defer c.Close()
	there := "/run/program/" + p.Name()
	if err := c.Put(ctx, p.Path, there); err != nil {
		return vm.ExitStatus{}, fmt.Errorf("copy %s into the guest: %w", p.Path, err)
	}
	// On a terminal what it says to stdout and to stderr comes in its order.
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	var status vm.ExitStatus
	go func() {
		defer close(ended)
		status, err = c.Exec(running, append([]string{there}, p.Args...), vm.Streams{
			Stdout: &firstBytes{out, outputBytes}, Terminal: &vm.Terminal{Type: "dumb", Rows: 25, Cols: 80},
		})
	}()
	failed := g.answered(ctx, ended, g.newest, programPolls)
	stop()
	<-ended
	if failed != nil {
		return vm.ExitStatus{}, failed
	}
	return status, err
}

// firstBytes keeps the first bytes of what is written, and takes the rest.
type firstBytes struct {
	to   *bytes.Buffer
	left int
}

func (w *firstBytes) Write(p []byte) (int, error) {
	n, _ := w.to.Write(p[:min(len(p), w.left)])
	w.left -= n
	return len(p), nil
}
