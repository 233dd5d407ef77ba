package explain

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/internal/sanitize"
)

// Cell prints a recorded cell: its steps and outcomes down to the bytes of each payload,
// how it differs from other kernels' and why, the kernel's log, and the command that
// observes it again. info describes its scenario.
func Cell(w io.Writer, run results.Run, c observe.Cell, info scenario.Info) {
	p := &page{w: w}
	p.head("%s on %s: %s", c.Scenario, c.Kernel, c.Verdict.Text())
	p.line("%s", info.Doc)
	if k, ok := run.Kernel(c.Kernel); ok {
		p.line("%s, %s; run %s, %s, attempt %d", k.Spec, k.Release, run.ID, c.Accel, max(1, c.Attempt))
	}
	if c.ObservedBy != "" {
		p.line("observed by run %s, reused from the cache", c.ObservedBy)
	}
	p.text(c.Message)
	Observation(w, c)
	p.section("Compared with the other kernels")
	if n := p.differences(run, c); n == 0 {
		p.line("no difference")
	}
	for _, f := range run.Findings {
		if f.Scenario == c.Scenario && slices.Contains(f.Kernels, c.Kernel) {
			p.line("finding, %s: %s", matrix.FindingWords(f.Kind), f.Message)
		}
	}
	p.section("Repeat")
	p.line("%s", matrix.Repeat(run, c))
	p.line("%s --gdb    with gdb attached, before the step that matters", matrix.Repeat(run, c))
}

// Observation prints what a cell holds: steps, witnesses, and the kernel's output.
func Observation(w io.Writer, c observe.Cell) {
	p := &page{w: w}
	if len(c.Steps) > 0 {
		p.section("Steps")
	}
	for i, s := range c.Steps {
		Step(w, i, s)
	}
	if len(c.Witnesses) > 0 {
		p.section("Witnesses")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Witnesses)) {
		p.line("%s: %s", name, strings.ReplaceAll(c.Witnesses[name], "\n", "; "))
	}
	for _, l := range c.Ignored {
		p.line("left out of %s: %s, because %s", l.Witness, l.Pattern, l.Reason)
	}
	if len(c.KernelLog) > 0 {
		p.section("Kernel log")
		p.text(strings.Join(c.KernelLog, "\n"))
	}
	if c.ConsoleTail != "" {
		p.section("End of the console")
		p.text(c.ConsoleTail)
	}
	if c.Registers != "" {
		p.section("Registers")
		p.text(c.Registers)
	}
	if c.Template != "" {
		p.section("Template")
		p.line("%s", c.Template)
	}
	if e := c.Earlier; e != nil {
		title, log := "Earlier attempt, in which the guest panicked", ""
		if stalls := e.Stalls(); !e.Panicked && len(stalls) > 0 {
			title = "Earlier attempt, in which the kernel reported " + strings.Join(stalls, "; ")
			log = strings.Join(e.KernelLog, "\n")
		}
		p.section(title)
		p.line("%s: %s", e.Verdict.Text(), e.Message)
		for _, text := range []string{log, e.ConsoleTail, e.Registers, e.Template} {
			p.text(text)
		}
	}
}

// Step prints the step with that index: actor, action and outcome, each payload field by
// field, and the expectation if it has one.
func Step(w io.Writer, i int, s observe.Step) {
	p := &page{w: w}
	p.line("%d  %s: %s → %s", i+1, s.Actor, s.Action, s.Outcome.Located())
	if s.Stuck != "" {
		p.line("     it was %s", s.Stuck)
	}
	if o := s.Outcome; o.Digest != "" {
		p.line("     digest %s", o.Digest)
	}
	for _, sig := range s.Outcome.Signals {
		p.payload(sig)
	}
	Expected(w, s)
}

// Expected prints the expectation of a step, if it has one.
func Expected(w io.Writer, s observe.Step) {
	e := s.Expected
	if e == nil {
		return
	}
	how := "as expected"
	switch {
	case !e.Met:
		how = "not as expected"
	case e.Change != "" && e.Side == observe.Before:
		how = "as without " + e.Change
	case e.Change != "" && e.Side == observe.After:
		how = "as with " + e.Change
	}
	(&page{w: w}).line("     %s: %s", how, e.Wanted())
}

// payload prints siginfo_t field by field, with the bytes; bytes outside of the fields
// are printed if they are not 0.
func (p *page) payload(s observe.Signal) {
	in, err := s.Info()
	if err != nil {
		p.line("     no payload is recorded")
		return
	}
	shown := make([]bool, siginfo.Size)
	for _, f := range in.Fields() {
		means := f.Means
		if f.Name == "si_addr" {
			means = s.Addr
		}
		for i := f.Off; i < f.End; i++ {
			shown[i] = true
		}
		p.line("     %-11s  %-16s  %-23s  %s", f.Name, f.Value, fmt.Sprintf("% x", in.Raw[f.Off:f.End]), means)
	}
	rest := 0
	for i, b := range in.Raw {
		if b != 0 && !shown[i] {
			rest++
			p.line("     byte %-6d  %-16s  %02x", i, "", b)
		}
	}
	if rest == 0 {
		p.line("     the other bytes of %d are 0", siginfo.Size)
	}
}

// differences prints the differences of a cell and returns their number.
func (p *page) differences(run results.Run, c observe.Cell) int {
	n := 0
	for _, d := range slices.Concat(run.Differences, run.Repeats) {
		if d.Scenario != c.Scenario || d.KernelA != c.Kernel && d.KernelB != c.Kernel {
			continue
		}
		n++
		p.line("%s / %s: %s: %s", d.KernelA, d.KernelB, d, why(run, d))
	}
	for _, u := range run.Uncompared {
		if u.Scenario == c.Scenario && (u.KernelA == c.Kernel || u.KernelB == c.Kernel) {
			n++
			p.line("%s / %s: not compared: %s", u.KernelA, u.KernelB, u.Why)
		}
	}
	return n
}

// why returns what explains a difference.
func why(run results.Run, d conclusion.Difference) string {
	known := run.Known()
	c, err := known.ByID(d.ExplainedBy)
	switch {
	case d.KernelA == d.KernelB:
		return "not repeatable"
	case d.Lost:
		return "a lost change"
	case d.ExplainedBy == "":
		return "no known change explains it"
	case err != nil: // a configuration symbol
		return "one kernel is built without " + d.ExplainedBy
	}
	return fmt.Sprintf("explained by %s", named(c))
}

// page writes lines that are safe for a terminal.
type page struct{ w io.Writer }

func (p *page) head(format string, args ...any) {
	fmt.Fprintln(p.w, sanitize.Line(fmt.Sprintf(format, args...)))
}

func (p *page) section(name string) { fmt.Fprintf(p.w, "\n%s\n", name) }

func (p *page) line(format string, args ...any) {
	if text := strings.TrimRight(sanitize.Line(fmt.Sprintf(format, args...)), " "); text != "" {
		fmt.Fprintln(p.w, "  "+text)
	}
}

// text prints a text of several lines.
func (p *page) text(s string) {
	for l := range strings.Lines(s) {
		p.line("%s", strings.TrimRight(l, "\n"))
	}
}
