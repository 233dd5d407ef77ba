package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/term"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run/sweep"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

type sweepCmd struct {
	wholeFlags
	Out         string `default:"sweep" placeholder:"DIR" help:"Write the results to DIR (default: sweep)."`
	KeepKernels int    `default:"1" placeholder:"N" help:"Keep the last N kernels in the cache (default: 1)."`
	Shard       string `placeholder:"I/N" help:"Run only the kernels of shard I of N."`
	DryRun      bool   `help:"Print the kernels; fetch and boot none."`
}

func (sweepCmd) Help() string {
	return `Run the scenarios on one kernel after another, newest first. Then print which release changed which
result. In a kernel spec, * stands for every kernel that matches, as in apt:trixie-backports/*.
Without --kernel and --matrix, the matrix is archive: all kernels in the archive that the
machine's apt sources name, without rt, cloud and debug flavours. For the form of a matrix, and for
--program, see faultline run --help.

Each kernel has a run of its own, DIR/runs/KERNEL; DIR/all is the merged run. Run the same command
again to continue a sweep that was stopped, to retry kernels that could not be fetched, or to
add new kernels: a kernel that was observed is not fetched again, even if the archive has dropped
it. After its run, a kernel that the sweep has fetched is removed from the cache, except the last N of
--keep-kernels.

` + specsHelp + `
Examples:
  faultline sweep
  faultline sweep --kernel 'apt:trixie-backports/*' --scenario 'dax/*'
  faultline history sweep/all
  faultline baseline save archive sweep/all

` + runExits[:len(runExits)-1]
}

func (c *sweepCmd) Run(ctx context.Context) error {
	if c.Matrix == "" && len(c.Kernel) == 0 {
		c.Matrix = "archive"
	}
	if c.KeepKernels < 0 {
		return errkind.Requestf("--keep-kernels is %d; give 0 or more", c.KeepKernels)
	}
	opt := sweep.Options{KeepKernels: c.KeepKernels}
	var err error
	if opt.Options, err = c.options(ctx); err != nil {
		return err
	}
	if opt.Part, err = results.ParseShard(c.Shard); err != nil {
		return err
	}
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	if opt.Cache, err = cache.Open(""); err != nil {
		return err
	}
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	opt.Cache.Log = p.Say
	opt.Out, opt.Keep, opt.Command, opt.Progress, opt.Tool = c.Out, true, os.Args, p, results.Tool{Version: versionText()}
	if c.DryRun {
		entries, _, err := sweep.Kernels(ctx, opt)
		for _, e := range entries {
			fmt.Println(e.Spec)
		}
		return err
	}
	opt.Done = func(k sweep.Kernel) { p.Say("%s", swept(k)) }
	record, folder, missing, err := sweep.Do(ctx, opt)
	p.stop()
	if err != nil {
		return err
	}
	defer folder.Close()
	fmt.Println()
	h, err := history.Of([]history.Source{{Label: folder.Dir(), Run: *record}}, history.Options{Changes: opt.Changes})
	if err != nil {
		return err
	}
	if err := h.Write(os.Stdout); err != nil {
		return err
	}
	fmt.Printf("\nResults: %s (report.html, run.json)\n", filepath.Join(c.Out, "all"))
	fmt.Fprintf(os.Stderr, "took %s\n", time.Since(p.started).Round(time.Second))
	if len(missing) > 0 {
		fmt.Fprintf(
			os.Stderr,
			"faultline: not available: %s; run the same command to try again\n",
			strings.Join(missing, ", "),
		)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command to continue")
		return exitError(errkind.ExitInterrupted)
	case len(missing) > 0 && record.Summary.ExitCode == errkind.ExitExpected:
		return exitError(errkind.ExitInfra)
	}
	return judged(*record)
}

// swept describes a kernel of a sweep in one line.
func swept(k sweep.Kernel) string {
	line := fmt.Sprintf("kernel %d of %d, %s: ", k.Number, k.Of, k.Spec)
	switch {
	case k.Err != nil:
		return line + "not available: " + k.Err.Error()
	case k.Before:
		return line + "observed before"
	}
	line += english.Plural(len(k.Run.Cells), "cell", "") + ", " + english.Plural(len(k.Run.Findings), "finding", "")
	for _, ph := range k.Phases {
		line += fmt.Sprintf(", %s %.1f s", ph.Name, ph.Took.Seconds())
	}
	return line
}
