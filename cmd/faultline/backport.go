package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/backport"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
)

type backportCmd struct {
	Tree      string   `placeholder:"DIR" help:"${tree}"`
	Base      string   `required:"" placeholder:"REV|SPEC" help:"Kernel without the patches: a revision of --tree, or a built one."`
	Patch     []string `placeholder:"FILE" sep:"none" help:"Apply this patch, mailbox or b4 series, in the order given (repeatable)."`
	Commit    []string `placeholder:"REV" sep:"none" help:"Cherry-pick this commit instead (repeatable)."`
	Patched   string   `placeholder:"SPEC" help:"Build nothing: this kernel is the base with the patches."`
	Change    string   `placeholder:"ID" help:"Check the backport of this known change (default: list all differences)."`
	Reference string   `placeholder:"SPEC" help:"Compare with this kernel, which has the change."`
	Scenario  []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label     string   `placeholder:"FILTER" help:"${label}"`
	buildFlags
	Explore time.Duration `placeholder:"DURATION" help:"Then also run generated programs, for this time, such as 30m."`

	Accel  string `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Out    string `placeholder:"DIR" help:"${out}"`
	Jobs   int    `default:"0" placeholder:"N" help:"${jobs}"`
	Resume bool   `help:"Finish the interrupted run in --out (default: results/latest); repeat its flags."`
	changesFlag
}

func (backportCmd) Help() string {
	return `There are two forms:
  faultline backport --tree DIR --base REV --patch FILE|--commit REV ...
  faultline backport --base SPEC --patched SPEC ...

With --tree, backport builds the base without and with the patches, and runs the scenarios on both
kernels. With --patched, it runs them on two kernels that are already built, such as packages. With
--reference it also runs them on a third kernel, which has the change from upstream. The verdict is
printed as a report for the mailing list; it is also in mail.txt in the results folder, and
report.html has the details.

With --change, the affected scenarios are those that expect one result without the change and
another with it. The verdict is:
  complete         with the patches all affected scenarios have the new
                   result, at least one had the old result without them, and
                   nothing else changed
  incomplete       an affected scenario does not show the new result, or
                   differs from the reference
  collateral       something else changed, or only one of the two kernels logs
                   a splat or is tainted
  already there    all affected scenarios have the new result without the
                   patches
  does not apply   (prints the failing hunks and files), or the base has all
                   of the patches already
  does not build   (prints the first error)
  does not boot    (prints the end of the console)
  base does not boot
                   nothing can be concluded
  not judged       some affected scenarios have no result, or none was
                   selected
A verdict can be incomplete and collateral; both take precedence over not judged.

Without --change, the report lists all differences, and the changes that the patches add or remove.
The verdict is then "nothing changed", "complete" (every difference is explained by a known change
that the patches apply in full), or "something changed".

With --explore, generated programs run on the base and the patched kernel after the scenarios (see
faultline explore). A difference that the change does not predict, and that the reference does not
show, is collateral.

The configurations of two built kernels should be equal; the report lists how they differ.

` + specsHelp + `
Examples:
  faultline backport --tree ../linux --base v6.1.192 --patch backport.mbox \
      --change dax_fault_hwpoison --reference apt:bookworm/6.12
  faultline backport --base rpm:kernel-core-A.rpm,kernel-modules-A.rpm \
      --patched rpm:kernel-core-B.rpm,kernel-modules-B.rpm \
      --change dax_fault_hwpoison

Exit codes:
  0    complete; without --change: nothing differs, or every difference is
       explained by a known change that the patches apply in full
  1    incomplete, collateral, already there, or the patched kernel does not
       boot; without --change: any other difference
  2    does not apply, does not build, or invalid request
  3    the base does not boot, or results could not be judged
  130  interrupted; finish with --resume`
}

func (c *backportCmd) Run(ctx context.Context) error {
	declared, err := c.declared(ctx)
	if err != nil {
		return err
	}
	if err := checkJobs(c.Jobs); err != nil {
		return err
	}
	// Check this first, because kernels take long to build.
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
		Tree:      c.Tree,
		Base:      c.Base,
		Patched:   c.Patched,
		Patches:   c.Patch,
		Commits:   c.Commit,
		Change:    c.Change,
		Reference: c.Reference,
		Settings:  c.settings(),
		Explore:   c.Explore,
		Options: run.Options{
			Selection: run.Selection{
				Scenarios: c.Scenario,
				Label:     c.Label,
			},
			Accel:    c.Accel,
			Out:      c.Out,
			Jobs:     c.Jobs,
			Resume:   c.Resume,
			Changes:  declared,
			Cache:    store,
			Command:  os.Args,
			Progress: p,
			Tool:     results.Tool{Version: versionText()},
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
		fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command with --resume to continue")
		return exitError(errkind.ExitInterrupted)
	}
	if code := done.Verdict.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}
