// Command faultline shows what a program sees when the memory it touches is
// poisoned, and how that differs between Linux kernels. This package reads the
// command line, calls the packages that do the work, and turns what they return
// into words and an exit code. It decides nothing else.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/faultline/faultline/kernels/source"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/pipeline"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/internal/complete"
	"github.com/faultline/faultline/internal/fault"
)

// cli is the command line. A subcommand is a type in a file of its own, with a
// method Run.
type cli struct {
	Run        runCmd        `cmd:"" help:"Observe scenarios on kernels, compare them, and save the results."`
	Plan       planCmd       `cmd:"" help:"Say what a run would observe, cut it into shards, and tell an engine to run them."`
	Report     reportCmd     `cmd:"" help:"Write a run's reports again, or in another format."`
	Compare    compareCmd    `cmd:"" help:"Say field by field how two runs, or two kernels, differ."`
	History    historyCmd    `cmd:"" help:"Say between which kernels scenarios flipped, and by which change."`
	Baseline   baselineCmd   `cmd:"" help:"Keep what must not move in a file, and hold runs against it."`
	Merge      mergeCmd      `cmd:"" help:"Join the results of runs that share a plan, shards for example."`
	Bisect     bisectCmd     `cmd:"" help:"Find the commit after which scenarios show something else, in a git tree."`
	BisectStep bisectStepCmd `cmd:"" help:"Judge one commit, for git bisect run."`
	Backport   backportCmd   `cmd:"" help:"Say whether patches do on a kernel what a change does upstream, and nothing else."`
	Explain    explainCmd    `cmd:"" help:"Say what a change, a scenario or a cell is, why it matters, and what was seen."`
	Repro      reproCmd      `cmd:"" help:"Observe a cell of a run again, with everything shown; stop before a step."`
	List       listCmd       `cmd:"" help:"List the scenarios, or the kernels that can be had here."`
	Exec       execCmd       `cmd:"" help:"Run a static program of yours in a guest."`
	Shell      shellCmd      `cmd:"" help:"Open a shell in a guest."`
	Cache      cacheCmd      `cmd:"" help:"List what the cache holds, or prune it."`
	Doctor     doctorCmd     `cmd:"" help:"Say what this machine has, what it lacks, and what mends it."`
	Completion completionCmd `cmd:"" help:"Print what makes a shell complete faultline's words."`
	Complete   completeCmd   `cmd:"" hidden:""`
	Man        manCmd        `cmd:"" help:"Print the manual page."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

const description = `Boots Linux kernels in QEMU with persistent memory, poisons it, and compares what programs are told.

To begin:  faultline doctor, then faultline run`

func main() {
	// A second Ctrl-C ends the process at once; the guests end with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := faultline(ctx, os.Args[1:])
	os.Exit(forGit(os.Args[1:], complain(ctx, err)))
}

func faultline(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := kong.New(&cli{},
		kong.Name("faultline"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Vars{
			"specs":   strings.Join(source.All().Forms(), ", "),
			"formats": strings.Join(report.Names(), ", "),
			"engines": strings.Join(pipeline.Names(), ","),
			"shells":  strings.Join(complete.Shells(), ","),
			"accel":   "What runs the guest: kvm, tcg (works everywhere), or auto: kvm where it is seen to work.",
		},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return err
	}
	call, err := parser.Parse(args)
	if err != nil {
		return usage(err, call, args)
	}
	return call.Run()
}

// usage is the error of a command line that kong refused.
func usage(err error, _ *kong.Context, args []string) error {
	help := "faultline --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			help = "faultline " + node.Path() + " --help"
		}
	}
	return fault.Requestf("%v; see: %s", err, help)
}
