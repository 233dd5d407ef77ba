package framework

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/internal/tap"
)

// Ran is what a program told, recorded: each of its tests is a step of its own.
type Ran struct {
	// Ended is how the program ended: nothing to tell where that is what its tests make
	// it, 0 where none failed.
	Ended *Observation
	// Tests are those that were run and were to pass, of a program that speaks TAP.
	Tests []*Observation
	// Planned is the step that says so where it did not run what it announced, or
	// gave up; nil otherwise.
	Planned *Observation
}

// home is root's folder, in which PID 1 starts what comes by SSH.
const home = "/root"

// outputBytes bounds what is read of a program's output.
const outputBytes = 4 << 20

// hugePages is how many a program finds set aside, as run_vmtests.sh sets some aside.
const hugePages = 16

// Exit statuses with which a test says that it can't be done here.
const (
	skipsKselftest = 4  // KSFT_SKIP in tools/testing/selftests/kselftest.h
	skipsLTP       = 32 // TCONF in LTP's include/tst_res_flags.h
	skipsAutomake  = 77 // automake's and meson's; 99 is a hard error, and no skip
)

const (
	xfailsKselftest = 2  // KSFT_XFAIL: nothing failed but what is known to
	infoLTP         = 16 // TINFO, which is no result
)

// ltpResult is a line of LTP's library: "file.c:12: TCONF: why", or in old tests
// "name 1 TCONF : file.c:12: why". On a terminal the result has a color.
var ltpResult = regexp.MustCompile(`^(?:\S+:\d+: |\S+\s+\d+\s+)(?:\x1b\[[\d;]*m)?` +
	`(TPASS|TFAIL|TBROK|TWARN|TCONF|TINFO)\s*:\s*(?:\x1b\[[\d;]*m)?(.*)$`)

// ltp reports whether a program printed results of LTP, and what it says of the first
// of these kinds.
func ltp(out string, kinds ...string) (speaks bool, says string) {
	for line := range strings.Lines(out) {
		m := ltpResult.FindStringSubmatch(strings.TrimRight(line, "\r\n \t"))
		if m == nil {
			continue
		}
		if speaks = true; slices.Contains(kinds, m[1]) {
			return true, strings.TrimSpace(m[2])
		}
	}
	return speaks, ""
}

// RunProgram copies a static program into the guest, over SSH, and runs it there as
// root. Where the guest has it, the folder that it runs in is on ext4, because self
// tests want files in a page cache; huge pages are set aside, and pages may be poisoned
// by number (hwpoison_inject).
// A scenario whose program has nothing to run here is not doable.
func (g *Guest) RunProgram(ctx context.Context, p program.Program) (r Ran) {
	g.injected = true // whatever the kernel does now, the program asked for it
	g.LoadModule(ctx, "hwpoison_inject")
	if k := g.vm.Spec().Kernel; len(k.Lacks("BLK_DEV_PMEM", "ACPI_NFIT", "NVDIMM_PFN", "EXT4_FS")) == 0 {
		m := g.PageCache(ctx, Ext4)
		g.callOK(ctx, "mount", m.Dir, home, "", unix.MS_BIND, "")
		// A program that takes the last ext4 in /proc/mounts, to mount it in another way, does
		// not get the folder that it stands in.
		g.callOK(ctx, "umount2", m.Dir, 0)
		g.callOK(ctx, "mount", home, m.Dir, "", unix.MS_BIND, "")
	}
	if len(g.vm.Spec().Kernel.Lacks("HUGETLBFS")) == 0 {
		g.HugePages(ctx, hugePages)
	}
	g.IgnoreInWitness(observe.WitnessLog, ".", "a program makes the kernel say what it likes")

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
	case said.Planned > len(said.Tests) && !skipsRest(said, status.Code):
		r.Planned = record(g.rec, "program", "go on", observe.Outcome{Note: fmt.Sprintf("%d of %d tests", len(said.Tests), said.Planned)}, "")
	}
	// How it ends is news where it is not what its tests make it.
	var o observe.Outcome
	switch failed = failed || r.Planned != nil; {
	case status.Signal != "":
		o.Exit = &observe.Exit{Signal: "SIG" + status.Signal}
	case failed != (failing(said, status.Code, out.String()) != 0):
		o.Exit = &observe.Exit{Code: status.Code}
	}
	r.Ended = record(g.rec, "program", action, o, "")
	_, failure := ltp(out.String(), "TFAIL", "TBROK", "TWARN")
	r.Ended.why = cmp.Or(failure, lastLine(out.String()))
	return r
}

// skipped is why a program ran nothing, where it says that: by its words where it speaks
// TAP, by LTP's bits where it prints LTP's results, and else by its exit status alone.
func skipped(said tap.Report, code int, out string) string {
	if said.Told {
		return skippedTAP(said, code, out)
	}
	// LTP's status is a mask of what occurred. A warning is 4, which is a skip elsewhere.
	if speaks, why := ltp(out, "TCONF"); speaks {
		if code&^infoLTP != skipsLTP || passedLTP(out) {
			return ""
		}
		return cmp.Or(why, "it does not say why")
	}
	if code == skipsKselftest || code == skipsLTP || code == skipsAutomake {
		return cmp.Or(lastLine(out), "it does not say why")
	}
	return ""
}

// passedLTP reports whether one of LTP's results passed. An old test ends with TCONF's bit
// where a part of it can't be done here, too.
func passedLTP(out string) bool {
	return slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
		m := ltpResult.FindStringSubmatch(strings.TrimRight(line, "\r \t"))
		return m != nil && m[1] == "TPASS"
	})
}

// failing is a program's exit status, or 0 where that says of nothing that it failed: a part
// that can't be done here, or what is known to fail.
func failing(said tap.Report, code int, out string) int {
	speaks, _ := ltp(out)
	xfails := slices.ContainsFunc(said.Tests, func(t tap.Test) bool { return t.Directive == "XFAIL" })
	switch {
	case !said.Told && speaks && code&^(infoLTP|skipsLTP) == 0,
		said.Told && code == xfailsKselftest && xfails,
		skipsRest(said, code):
		return 0
	}
	return code
}

// skipsRest reports whether a program that ran some of its tests says that it skips the
// others: ksft_exit_skip in tools/testing/selftests/kselftest.h.
func skipsRest(said tap.Report, code int) bool {
	return code == skipsKselftest && len(said.Tests) > 0 && said.Tests[len(said.Tests)-1].Skipped()
}

// skippedTAP is why a program that speaks TAP ran nothing.
func skippedTAP(said tap.Report, code int, out string) string {
	ran := slices.ContainsFunc(said.Tests, func(t tap.Test) bool { return !t.Skipped() })
	skips := code == skipsKselftest || code == skipsAutomake
	switch {
	case said.Skipped != "":
		return said.Skipped
	case said.Planned == 0 && len(said.Tests) == 0 && said.BailOut == "" && (code == 0 || skips):
		return "it plans no test"
	case ran || said.BailOut != "" || !skips && len(said.Tests) < max(said.Planned, 1):
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
func (g *Guest) overSSH(ctx context.Context, p program.Program, out *bytes.Buffer) (vm.ExitStatus, error) {
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
	failed := g.answered(ctx, ended, g.newest, programLimit)
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
