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

// Ran is the recorded result of a program. Each of its tests is a step of its own.
type Ran struct {
	// Ended is the program's end. Its outcome is empty if the exit status agrees with the
	// results of the tests, that is, if it is 0 when none failed.
	Ended *Observation
	// Tests are the tests that ran and should pass, of a program that prints TAP.
	Tests []*Observation
	// Planned is a step which records that the program ran fewer tests than it announced,
	// or bailed out; nil otherwise.
	Planned *Observation
}

// home is root's home folder, in which PID 1 starts commands from SSH.
const home = "/root"

// outputBytes is the limit on the output that is read of a program.
const outputBytes = 4 << 20

// hugePages is the number of huge pages reserved for a program, like run_vmtests.sh does.
const hugePages = 16

// Exit statuses with which a test reports that it skips.
const (
	skipsKselftest = 4  // KSFT_SKIP in tools/testing/selftests/kselftest.h
	skipsLTP       = 32 // TCONF in LTP's include/tst_res_flags.h
	skipsAutomake  = 77 // automake and meson; 99 is a hard error, not a skip
)

const (
	xfailsKselftest = 2  // KSFT_XFAIL: only known failures
	infoLTP         = 16 // TINFO, which is not a result
)

// ltpResult matches a line of LTP's library: "file.c:12: TCONF: why", or in old tests
// "name 1 TCONF : file.c:12: why". On a terminal the result is coloured.
var ltpResult = regexp.MustCompile(`^(?:\S+:\d+: |\S+\s+\d+\s+)(?:\x1b\[[\d;]*m)?` +
	`(TPASS|TFAIL|TBROK|TWARN|TCONF|TINFO)\s*:\s*(?:\x1b\[[\d;]*m)?(.*)$`)

// ltp reports whether a program printed LTP results, and returns the text of the first
// result of these kinds.
func ltp(out string, kinds ...string) (speaks bool, text string) {
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

// RunProgram copies a static program into the guest over SSH and runs it there as root.
// Its working folder is on ext4, because self-tests need files in the page cache; huge pages
// are reserved; and pages can be poisoned by number (hwpoison_inject): each of these only if
// the kernel supports it. RunProgram skips the scenario if the program skips all of its tests.
func (g *Guest) RunProgram(ctx context.Context, p program.Program) (r Ran) {
	g.injected = true // a panic is an effect of the program
	g.LoadModule(ctx, "hwpoison_inject")
	if k := g.vm.Spec().Kernel; len(k.Lacks("BLK_DEV_PMEM", "ACPI_NFIT", "NVDIMM_PFN", "EXT4_FS")) == 0 {
		m := g.PageCache(ctx, Ext4)
		g.callOK(ctx, "mount", m.Dir, home, "", unix.MS_BIND, "")
		// Some programs remount the last ext4 in /proc/mounts; it must not be their
		// working folder.
		g.callOK(ctx, "umount2", m.Dir, 0)
		g.callOK(ctx, "mount", home, m.Dir, "", unix.MS_BIND, "")
	}
	if len(g.vm.Spec().Kernel.Lacks("HUGETLBFS")) == 0 {
		g.HugePages(ctx, hugePages)
	}
	g.IgnoreInWitness(observe.WitnessLog, ".", "a program can make the kernel log any line")

	var out bytes.Buffer
	status, err := g.overSSH(ctx, p, &out)
	action := "run " + p.Command()
	h := (*hung)(nil)
	if err != nil && !errors.As(err, &h) {
		r.Ended = record(g.rec, "program", action, g.panicked(err), "")
		return r
	}
	report := tap.Read(out.String())
	if skipped := skipped(report, status.Code, out.String()); h == nil && skipped != "" && status.Signal == "" {
		g.fail(&unsupported{"the program skips: " + skipped})
	}
	failed := false
	for _, t := range report.Tests {
		seen := record(g.rec, "program", t.Name, observe.Outcome{Note: result(t)}, "")
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
	case report.BailOut != "":
		r.Planned = record(g.rec, "program", "go on", observe.Outcome{Note: "bail out: " + report.BailOut}, "")
	case report.Planned > len(report.Tests) && !skipsRest(report, status.Code):
		r.Planned = record(
			g.rec,
			"program",
			"go on",
			observe.Outcome{Note: fmt.Sprintf("%d of %d tests", len(report.Tests), report.Planned)},
			"",
		)
	}
	// The exit status is recorded only if it does not agree with the results of the
	// tests.
	var o observe.Outcome
	switch failed = failed || r.Planned != nil; {
	case status.Signal != "":
		o.Exit = &observe.Exit{Signal: "SIG" + status.Signal}
	case failed != (failing(report, status.Code, out.String()) != 0):
		o.Exit = &observe.Exit{Code: status.Code}
	}
	r.Ended = record(g.rec, "program", action, o, "")
	_, failure := ltp(out.String(), "TFAIL", "TBROK", "TWARN")
	r.Ended.why = cmp.Or(failure, lastLine(out.String()))
	return r
}

// skipped returns the reason for which a program ran no test, or "" if it ran any. It
// uses TAP's directives for a program that prints TAP, LTP's bits for one that prints LTP
// results, and the exit status alone for others.
func skipped(report tap.Report, code int, out string) string {
	if report.IsTAP {
		return skippedTAP(report, code, out)
	}
	// LTP's status is a bit mask. A warning is 4, which means a skip in kselftest.
	if speaks, why := ltp(out, "TCONF"); speaks {
		if code&^infoLTP != skipsLTP || passedLTP(out) {
			return ""
		}
		return cmp.Or(why, "no reason given")
	}
	if code == skipsKselftest || code == skipsLTP || code == skipsAutomake {
		return cmp.Or(lastLine(out), "no reason given")
	}
	return ""
}

// passedLTP reports whether one of LTP's results passed. An old test also sets TCONF's
// bit if it skips only a part.
func passedLTP(out string) bool {
	return slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
		m := ltpResult.FindStringSubmatch(strings.TrimRight(line, "\r \t"))
		return m != nil && m[1] == "TPASS"
	})
}

// failing returns a program's exit status, or 0 if the status means no failure: a skipped
// part, or a known failure.
func failing(report tap.Report, code int, out string) int {
	speaks, _ := ltp(out)
	xfails := slices.ContainsFunc(report.Tests, func(t tap.Test) bool { return t.Directive == "XFAIL" })
	switch {
	case !report.IsTAP && speaks && code&^(infoLTP|skipsLTP) == 0,
		report.IsTAP && code == xfailsKselftest && xfails,
		skipsRest(report, code):
		return 0
	}
	return code
}

// skipsRest reports whether a program that ran some of its tests skips the others:
// ksft_exit_skip in tools/testing/selftests/kselftest.h.
func skipsRest(report tap.Report, code int) bool {
	return code == skipsKselftest && len(report.Tests) > 0 && report.Tests[len(report.Tests)-1].Skipped()
}

// skippedTAP is skipped for a program that prints TAP.
func skippedTAP(report tap.Report, code int, out string) string {
	ran := slices.ContainsFunc(report.Tests, func(t tap.Test) bool { return !t.Skipped() })
	skips := code == skipsKselftest || code == skipsAutomake
	switch {
	case report.Skipped != "":
		return report.Skipped
	case report.Planned == 0 && len(report.Tests) == 0 && report.BailOut == "" && (code == 0 || skips):
		return "it plans no test"
	case ran || report.BailOut != "" || !skips && len(report.Tests) < max(report.Planned, 1):
		return ""
	case len(report.Tests) > 0:
		return cmp.Or(why(report.Tests[0]), report.Tests[0].Name)
	}
	return cmp.Or(lastLine(out), "no reason given")
}

// result returns a test's result as short text.
func result(t tap.Test) string {
	switch {
	case t.Skipped():
		return "skipped"
	case t.Directive != "":
		return map[bool]string{true: "ok", false: "not ok"}[t.OK] + ", " + t.Directive
	}
	return map[bool]string{true: "ok", false: "not ok"}[t.OK]
}

// why returns a test's text besides its result.
func why(t tap.Test) string {
	return strings.Trim(strings.Join(append(slices.Clone(t.Notes), t.Reason), "; "), "; ")
}

// lastLine returns the last line that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// overSSH copies the program into the guest and runs it to its end.
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
	// A terminal preserves the order of stdout and stderr.
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

// firstBytes is a writer that keeps the first bytes and discards the rest.
type firstBytes struct {
	to   *bytes.Buffer
	left int
}

func (w *firstBytes) Write(p []byte) (int, error) {
	n, _ := w.to.Write(p[:min(len(p), w.left)])
	w.left -= n
	return len(p), nil
}
