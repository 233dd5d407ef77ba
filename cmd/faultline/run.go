package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/table"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

type runCmd struct {
	wholeFlags
	Out     string `placeholder:"DIR" help:"${out}"`
	Resume  bool   `help:"Finish the interrupted run in --out (default: results/latest); repeat its flags."`
	Shard   string `placeholder:"I/N" help:"Run only shard I of N (see faultline merge)."`
	DryRun  bool   `help:"Fetch the kernels, and print the scenarios and the QEMU commands; boot nothing."`
	Against string `placeholder:"BASELINE" help:"Compare with this baseline (name or file); exit 1 if it differs."`
	outputFlags
}

func (runCmd) Help() string {
	return `Boot each kernel in QEMU, run each scenario in a fresh copy of its booted guest, and record what user space
observes: signals with their payload, errno, data, exit status and kernel state. Then compare the
kernels, print a table, and write the results. Without --out, they are in results/TIME, and
results/latest points there.

` + matrixHelp + `
Results of earlier runs are reused if the kernel, guest, scenario, QEMU, accelerator and the build of
Faultline are the same (with KVM, also the processor).
Cells with findings, and the attempts of --repeat, are always run.

--label takes a Ginkgo label filter, such as 'change: dax_folios' or 'catalogue: containsAny {A01, B01}'.
faultline list --json prints the labels of each scenario: needs are the configuration options that it
requires of a kernel, tcg is why it always runs under TCG.

` + specsHelp + `
` + programHelp + `
--format adds files to those in the results folder. ` + formats() + `
Examples:
  faultline run
  faultline run --matrix wide --scenario 'dax/ext4/*'
  faultline run --label 'change: dax_folios'
  faultline run --kernel apt:bookworm --kernel tree:../linux@v6.12
  faultline run --against stable --format junit=junit.xml

` + runExits + `
With --against, the exit code is 1 if anything differs from the baseline, and 3 if something could
not be compared with it. Findings of the run give 1 even if the baseline has them; to compare with
the baseline only, use faultline baseline check.`
}

func (c *runCmd) Run(ctx context.Context) error {
	if c.DryRun && c.Resume {
		return errkind.Requestf("--dry-run and --resume are both given; use one of them")
	}
	opt, err := c.options(ctx)
	if err != nil {
		return err
	}
	shard, err := results.ParseShard(c.Shard)
	if err != nil {
		return err
	}
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	var base compare.Side
	if c.Against != "" {
		if base, err = loadBaseline(baselineFile(c.Against)); err != nil {
			return err
		}
	}
	// Check this first, because kernels take long to fetch.
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	tty := term.IsTerminal(int(os.Stderr.Fd()))
	p := newProgress(os.Stderr, tty)
	store.Log = p.Say
	opt.Out, opt.Resume, opt.Shard, opt.Keep, opt.Cache = c.Out, c.Resume, shard, true, store
	opt.Command, opt.Progress, opt.Tool = os.Args, p, results.Tool{Version: versionText()}
	if c.DryRun {
		text, err := run.DryRun(ctx, opt)
		fmt.Print(text)
		return err
	}
	record, folder, err := run.Do(ctx, opt)
	p.stop()
	if err != nil {
		return err
	}
	where := folder.Dir()
	if c.Out == "" {
		where = filepath.Join("results", "latest")
	}
	fmt.Fprintln(outputs.table()) // below the progress
	if err := errors.Join(show(outputs.table(), *record, where), outputs.write(*record, folder)); err != nil {
		return err
	}
	moved := 0
	if c.Against != "" && len(record.Cells) > 0 {
		fmt.Fprintf(outputs.table(), "\nCompared with %s:\n", c.Against)
		now := compare.Side{Label: where, Run: *record}
		if moved, err = compareBaseline(outputs.table(), base, now, compare.Options{Changes: opt.Changes}); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "took %s\n", p.took())
	if record.Interrupted {
		fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command with --resume to continue")
	}
	if code := record.Summary.ExitCode; code == errkind.ExitExpected ||
		code == errkind.ExitInfra && moved == errkind.ExitUnexpected {
		record.Summary.ExitCode = moved
	}
	return judged(*record)
}

// show prints the table of a run.
func show(to *os.File, record results.Run, where string) error {
	width := 0
	if w, _, err := term.GetSize(int(to.Fd())); err == nil {
		width = w
	}
	return table.Write(to, record, table.Options{Width: width, Color: term.IsTerminal(int(to.Fd())), Results: where})
}

// judged returns the exit code of a run as an error.
func judged(record results.Run) error {
	if record.Summary.ExitCode != 0 {
		return exitError(record.Summary.ExitCode)
	}
	return nil
}
