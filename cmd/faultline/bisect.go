package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/cache"
)

type bisectCmd struct {
	Tree     string   `required:"" placeholder:"DIR" help:"${tree}"`
	Old      string   `required:"" placeholder:"REV" help:"Revision that shows the old results."`
	New      string   `required:"" placeholder:"REV" help:"Revision that shows the new results."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label    string   `placeholder:"FILTER" help:"${label}"`
	programsFlag
	buildFlags
	Skip   []string `placeholder:"REV" sep:"none" help:"Skip this commit (repeatable)."`
	Accel  string   `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Out    string   `placeholder:"DIR" help:"${out}"`
	Jobs   int      `default:"0" placeholder:"N" help:"${jobs}"`
	Resume bool     `help:"Continue the bisection in --out."`
}

func (bisectCmd) Help() string {
	return `Build, boot and observe both ends, twice each. For each scenario whose results differ between them,
find the first commit that shows the new result. git bisect runs in private repositories; the
checkout, its index and its refs are only read. Commits that do not build, do not boot, or show
neither result are skipped. At the end, check the answer: revert the commit on the new end, which
must then show the old result. If it cannot be reverted, apply it to the old end.

The kernels are built as for the kernel spec tree:DIR@REV (docs/guides/trees.md). An infrastructure failure
stops the bisection; --resume continues it.

` + programHelp + `
Example:
  faultline bisect --tree ../linux --old v6.4 --new v6.5-rc1 \
      --scenario dax/ext4/shared-read

Exit codes:
  0    the commit was found for each scenario, and no check contradicts it
  1    a check contradicts the commit that was found
  2    invalid request, or the results of the two ends do not differ
  3    infrastructure failure, or a commit could not be found
  130  interrupted; continue with --resume`
}

func (c *bisectCmd) Run(ctx context.Context) error {
	if err := checkJobs(c.Jobs); err != nil {
		return err
	}
	programs, err := c.programs()
	if err != nil {
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
	selection := run.Selection{Scenarios: c.Scenario, Label: c.Label, Programs: programs}
	lab, err := bisect.NewGuestLab(
		ctx,
		bisect.GuestLabOptions{Selection: selection, Accel: c.Accel, Jobs: c.Jobs, Cache: store, Say: p.Say},
	)
	if err != nil {
		return err
	}
	defer lab.Close()
	host, err := lab.Host(ctx)
	if err != nil {
		return err
	}
	installation, err := results.OpenInstallation(store.Dir())
	if err != nil {
		return err
	}
	record, folder, err := bisect.Do(ctx, bisect.Options{
		Tree:         c.Tree,
		Old:          c.Old,
		New:          c.New,
		Settings:     c.settings(),
		Picked:       lab.Picked,
		Skip:         c.Skip,
		Accel:        c.Accel,
		Out:          c.Out,
		Resume:       c.Resume,
		Tool:         results.Tool{Version: versionText()},
		Host:         host,
		Installation: installation,
		Command:      os.Args,
		Say:          p.Say,
	}, lab)
	p.stop()
	if err != nil {
		if folder != nil && ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command with --resume to continue")
		}
		return err
	}
	fmt.Println()
	if err := record.Write(os.Stdout); err != nil {
		return err
	}
	where := folder.Dir()
	if c.Out == "" {
		where = results.Latest
	}
	fmt.Printf("Results: %s (%s, report.html; git's log for git bisect replay)\n", where, bisect.File)
	fmt.Fprintf(os.Stderr, "took %s\n", p.took())
	if code := record.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}

// buildFlags are the flags for building the kernels of a tree.
type buildFlags struct {
	Config string `placeholder:"FILE" help:"Build with this complete .config instead of tinyconfig."`
	CC     string `name:"cc" placeholder:"COMPILER" help:"Build with this compiler, such as gcc-11."`
}

// settings returns the parameters for the kernel spec. It makes relative paths absolute.
func (c buildFlags) settings() []string {
	var out []string
	if c.Config != "" {
		file := c.Config
		if abs, err := filepath.Abs(file); err == nil {
			file = abs
		}
		out = append(out, "config="+file)
	}
	if c.CC != "" {
		out = append(out, "cc="+c.CC)
	}
	return out
}
