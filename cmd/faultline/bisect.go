package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/bisect"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/fault"
)

type bisectCmd struct {
	Tree     string   `required:"" placeholder:"DIR" help:"The top folder of a git checkout of Linux. It is only read."`
	Old      string   `required:"" placeholder:"REV" help:"A revision that shows the old side."`
	New      string   `required:"" placeholder:"REV" help:"A revision that shows the new side."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"Only scenarios whose id matches, may be repeated. A * stands for anything."`
	Label    string   `placeholder:"FILTER" help:"Only scenarios that a Ginkgo label filter takes."`
	programsFlag
	buildFlags
	Skip   []string `placeholder:"REV" sep:"none" help:"Leave this commit out, may be repeated."`
	Accel  string   `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Out    string   `placeholder:"DIR" help:"Where to write the results (default: results/TIME, and results/latest points to it)."`
	Jobs   int      `default:"0" help:"How many guests at a time; 0: as many as there are cores and memory for."`
	Resume bool     `help:"Go on with the bisection that is in the results folder."`
}

func (bisectCmd) Help() string {
	return `Both ends are built, booted and observed, twice. In which scenarios they differ is said, and for each of
these the first commit is searched that shows what the new end shows: by git bisect, in refs of its
own, with kernels that are built from the commits. Commits that do not build, do not boot, or show a
third thing are skipped. In the end the commit is reverted on the new end (or applied to the old one),
which has to show the other side.

The kernels are those of tree:DIR@REV, which faultline run takes too. Trouble with the rig ends it
(exit code 3), and --resume goes on. Exit code 0: each scenario has its commit; 1: the check says
otherwise; 2: the request was wrong, or the ends do not differ; 3: it could not be told.

Example:
  faultline bisect --tree ../linux --old v6.4 --new v6.5-rc1 --scenario dax/ext4/shared-read`
}

func (c *bisectCmd) Run(ctx context.Context) error {
	if c.Jobs < 0 {
		return fault.Requestf("--jobs is not negative")
	}
	if err := c.use(); err != nil {
		return err
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
	rig, err := bisect.NewRig(ctx, bisect.RigOptions{Scenarios: c.Scenario, Label: c.Label, Accel: c.Accel, Jobs: c.Jobs, Cache: store, Say: p.Say})
	if err != nil {
		return err
	}
	defer rig.Close()
	installation, err := results.OpenInstallation(store.Dir())
	if err != nil {
		return err
	}
	record, folder, err := bisect.Do(ctx, bisect.Options{
		Tree: c.Tree, Old: c.Old, New: c.New, Settings: c.settings(), Picked: rig.Picked, Skip: c.Skip, Accel: c.Accel, Out: c.Out, Resume: c.Resume,
		Tool: results.Tool{Version: versionText()}, Host: rig.Host(), Installation: installation,
		Command: os.Args, Say: p.Say,
	}, rig)
	p.stop()
	if err != nil {
		if folder != nil && ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "faultline: interrupted; the same command with --resume does the rest")
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
	fmt.Printf("Results: %s (%s, report.html; git's own log for git bisect replay)\n", where, bisect.File)
	fmt.Fprintf(os.Stderr, "took %s\n", p.took())
	if code := record.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}

// buildFlags say how the kernels of a tree are built.
type buildFlags struct {
	Config string `placeholder:"FILE" help:"A whole .config to build with, instead of tinyconfig."`
	CC     string `name:"cc" placeholder:"COMPILER" help:"The compiler, such as gcc-11."`
}

// settings are those of the kernels' spec. A relative path is meant from here.
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
