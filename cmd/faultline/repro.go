package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report/explain"
	"github.com/faultline/faultline/framework/run/repro"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/internal/shell"
)

type reproCmd struct {
	Cell  string     `arg:"" complete:"cell" help:"Cell to run: SCENARIO@KERNEL (name or its beginning, spec, version, release)."`
	Pause pauseValue `help:"Pause before the decisive step (--pause=N: step N)."`
	GDB   bool       `name:"gdb" help:"Pause, and start gdb on the guest in this terminal."`
	Trust bool       `help:"Trust the record of another installation."`
	runFlag
}

// pauseValue is the step to pause before; 0 means none.
type pauseValue int

// decisiveStep means the step that decides the result.
const decisiveStep pauseValue = -1

// IsBool makes the value of the flag optional.
func (*pauseValue) IsBool() bool { return true }

// Decode parses --pause and --pause=STEP.
func (p *pauseValue) Decode(from *kong.DecodeContext) error {
	if from.Scan.Peek().Type != kong.FlagValueToken {
		*p = decisiveStep
		return nil
	}
	text := fmt.Sprint(from.Scan.Pop().Value)
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("want a step number, from 1, not %q", text)
	}
	*p = pauseValue(n)
	return nil
}

func (reproCmd) Help() string {
	return `Start the kernel of the cell as the run did, run the scenario again, and print each step with the
bytes of its payload, then the recorded kernel state (witnesses), the kernel log and the console.

The decisive step is the first that differs from another kernel; otherwise the first with an
unexpected result; otherwise the first that has an expectation. --pause stops the scenario
before it, keeps the guest running, and prints the commands to connect by ssh, QMP and gdb. gdb has
the symbols of the kernel and its modules: connect, set breakpoints, let the guest continue, then
press Enter in this terminal to run the step. --gdb does the same in one terminal: the guest stays
stopped until gdb continues it, which runs the step.

In a scenario that raises a machine check at an access, faultline uses QEMU's gdb stub during the step:
gdb can inspect the guest before the step, but not stop in it. With --gdb type detach instead of
continue; with --pause detach gdb before you press Enter. Ctrl-C ends repro
and the guest, unless gdb runs in this terminal.

The kernel spec comes from the record of the run. Resolving tree:PATH runs the Makefile of that tree, so
--trust is required if the record was written by another installation, or has relative paths and was
written in another folder.

Examples:
  faultline repro dax/ext4/shared-read@apt:bookworm
  faultline repro dax/ext4/shared-read@6.12 --pause
  faultline repro dax/ext4/shared-read@6.12 --pause=4 --run results/earlier
  faultline repro dax/ext4/shared-read@6.12 --gdb
  (gdb) break dax_iomap_fault
  (gdb) continue
  (gdb) backtrace

Exit codes:
  0    the result is the recorded one
  1    the result differs from the recorded one
  2    invalid request, or a required program is not installed
  3    infrastructure failure
  130  interrupted`
}

func (c *reproCmd) Run(ctx context.Context) error {
	if _, _, ok := results.SplitCell(c.Cell); !ok {
		return errkind.Requestf("%q is not the name of a cell; write SCENARIO@KERNEL, such as %s@6.12", c.Cell, c.Cell)
	}
	record, err := c.record()
	if err != nil {
		return err
	}
	cell, k, err := record.FindCell(c.Cell)
	if err != nil {
		return err
	}
	w := &watcher{ctx: ctx}
	if c.GDB {
		if w.gdb, err = execx.Find("gdb", "gdb"); err != nil {
			return err
		}
		if c.Pause == 0 {
			c.Pause = decisiveStep
		}
	}
	opt := repro.Options{Run: record, Cell: cell, Kernel: k, Pause: int(c.Pause), Trust: c.Trust, Log: progress}
	if c.Pause == decisiveStep {
		opt.Pause = repro.Step(record, cell)
	}
	if opt.Pause > 0 {
		if opt.Busybox, err = findBusybox(); err != nil {
			return err
		}
	}
	// Check this first, because a kernel takes long to fetch.
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	if opt.Cache, err = cache.Open(""); err != nil {
		return err
	}
	fmt.Printf("%s on %s (%s)\n", sanitize.Line(cell.Scenario), sanitize.Line(k.Name), sanitize.Line(k.Spec))
	w.pause = opt.Pause
	opt.OnEvent = w.show
	again, err := repro.Do(ctx, opt)
	w.debugger.wait()
	if err != nil {
		return err
	}
	if opt.Pause > 0 && !w.paused {
		fmt.Printf("\nThe scenario ended before step %d, so it did not pause.\n", opt.Pause)
	}
	return compared(cell, again)
}

// watcher prints the events of a running scenario.
type watcher struct {
	ctx    context.Context
	pause  int
	steps  int
	paused bool

	gdb      string // the program to start at the pause, or ""
	debugger debugger
}

func (w *watcher) show(e scenario.Event) {
	switch {
	case e.Guest != nil:
		fmt.Printf("\nGuest\n  %s\n\nSteps\n", sanitize.Line(shell.Quote(e.Guest)))
	case e.Step != nil:
		explain.Step(os.Stdout, w.steps, *e.Step)
		w.steps++
	case e.Paused != nil:
		w.paused = true
		if w.gdb == "" {
			w.wait(*e.Paused)
			break
		}
		fmt.Printf("\nPaused before step %d. Starting gdb; the guest is stopped: continue runs the step.\n\n", w.pause)
		if err := w.debugger.start(w.ctx, w.gdb, *e.Paused); err != nil {
			fmt.Fprintf(os.Stderr, "faultline: gdb: %v; running the step without it\n", err)
		}
	}
}

// wait prints how to connect to the guest, and waits for Enter or the end.
func (w *watcher) wait(p scenario.Paused) {
	fmt.Printf("\nPaused before step %d; the guest is running. Connect from another terminal:\n\n", w.pause)
	for _, way := range []struct{ name, command string }{
		{"ssh", shell.Quote(p.SSH)},
		{"QMP", shell.Quote([]string{"socat", "-,icanon=0", "UNIX-CONNECT:" + p.QMP}) +
			`   # send {"execute":"qmp_capabilities"} first`},
		{"gdb", shell.Quote(gdbCommand("gdb", p))},
	} {
		fmt.Printf("  %s  %s\n", way.name, way.command)
	}
	fmt.Print("\nPress Enter to run the step, or Ctrl-C to end the guest.\n")
	entered := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // end of file also continues
		close(entered)
	}()
	select {
	case <-entered:
		fmt.Println("Running the step.")
	case <-w.ctx.Done():
	}
}

// compared prints the rest of a cell, after its steps, and whether it equals the recorded
// one.
func compared(then observe.Cell, again repro.Again) error {
	now := again.Cell
	steps := now.Steps
	now.Steps = nil
	explain.Observation(os.Stdout, now)
	if again.Console != "" {
		fmt.Printf("\nConsole\n  %s\n", strings.ReplaceAll(strings.TrimSpace(sanitize.Log(again.Console)), "\n", "\n  "))
	}
	now.Steps = steps
	fmt.Println()
	if now.Verdict == observe.Infra {
		return errors.New("infrastructure failure, no result to compare: " + now.Message)
	}
	fmt.Printf(
		"Recorded: %s (%s)\nNow:      %s (%s)\n",
		sanitize.Line(then.Headline()),
		then.Verdict,
		sanitize.Line(now.Headline()),
		now.Verdict,
	)
	if again.Same() {
		fmt.Println("The result is the recorded one.")
		return nil
	}
	fmt.Println("The result differs from the recorded one (recorded / now):")
	for _, d := range again.Differences {
		fmt.Printf("  %s\n", sanitize.Line(d.String()))
	}
	return exitError(errkind.ExitUnexpected)
}
