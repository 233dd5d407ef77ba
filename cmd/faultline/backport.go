package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/backport"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fault"
)

type backportCmd struct {
	Tree      string   `required:"" placeholder:"DIR" help:"The top folder of a git checkout of Linux. It is only read."`
	Base      string   `required:"" placeholder:"REV" help:"The revision that the patches go on."`
	Patch     []string `placeholder:"FILE" sep:"none" help:"A patch, or a series: of git format-patch, a mailbox, of b4. May be repeated; they are applied in order."`
	Commit    []string `placeholder:"REV" sep:"none" help:"A commit of the tree to cherry-pick instead, may be repeated."`
	Change    string   `placeholder:"ID" help:"The change that they bring. Without it: everything that differs, and which changes came or went."`
	Reference string   `placeholder:"SPEC" help:"A kernel that has the change from upstream: ${specs}."`
	Scenario  []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"Only scenarios whose id matches, may be repeated. A * stands for anything."`
	Label     string   `placeholder:"FILTER" help:"Only scenarios that a Ginkgo label filter takes."`
	buildFlags
	Accel  string `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Out    string `placeholder:"DIR" help:"Where to write the results (default: results/TIME, and results/latest points to it)."`
	Jobs   int    `default:"0" help:"How many guests at a time; 0: as many as there are cores and memory for."`
	Resume bool   `help:"Finish the run that is in the results folder."`
	changesFlag
}

func (backportCmd) Help() string {
	return `The base is built and observed without the patches and with them, and a reference beside them if one
is given. The verdict is a text for the mail to the list, on stdout and in mail.txt of the results;
report.html has everything.

  complete         each cell that tells of the change went from before to after, nothing else moved
  incomplete       a cell that tells of it did not, or shows a part of it, or not as the reference does
  collateral       something else moved, or only one of the two kernels complains about itself
  does not apply   which hunk of which file (exit code 2)
  does not build   the first error (exit code 2)
  does not boot    the end of the console

Exit code 0: complete, or without --change: each difference is of a change that came as a whole. 1: not
so. 2: the request was wrong. 3: it can't be told, because the base does not boot or cells could not
be judged.

Example:
  faultline backport --tree ../linux --base v6.1.192 --patch backport.mbox --change dax_fault_hwpoison --reference apt:bookworm/6.12`
}

func (c *backportCmd) Run(ctx context.Context) error {
	mine, err := c.declared(ctx)
	if err != nil {
		return err
	}
	if c.Jobs < 0 {
		return fault.Requestf("--jobs is not negative")
	}
	// Asked for first, because kernels take long to build.
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return err
	}
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.stop()
	done, err := backport.Do(ctx, backport.Options{
		Tree: c.Tree, Base: c.Base, Patches: c.Patch, Commits: c.Commit, Change: c.Change, Reference: c.Reference, Settings: c.settings(),
		Options: run.Options{
			Scenarios: c.Scenario, Label: c.Label, Accel: c.Accel, Out: c.Out, Jobs: c.Jobs, Resume: c.Resume, Changes: mine,
			Cache: store, Command: os.Args, Progress: p, Tool: results.Tool{Version: versionText()},
		},
	})
	p.stop()
	if err != nil {
		return err
	}
	fmt.Print(done.Mail)
	where := done.Folder.Dir()
	if c.Out == "" {
		where = results.Latest
	}
	fmt.Fprintf(os.Stderr, "results: %s\ntook %s\n", where, p.took())
	if done.Run.Interrupted {
		fmt.Fprintln(os.Stderr, "faultline: interrupted; the same command with --resume does the rest")
		return exitError(fault.ExitInterrupted)
	}
	if code := done.Verdict.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}
