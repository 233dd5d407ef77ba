// Command faultline boots Linux kernels in QEMU, injects memory errors, and compares what
// user space observes. This package parses the command line, calls the packages that do
// the work, and prints their results. It does not judge results itself.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/internal/errkind"
)

// cli is the command line. Each subcommand is a type in its own file, with a method Run.
type cli struct {
	Run        runCmd        `cmd:"" help:"Run scenarios on kernels, and compare the results."`
	Plan       planCmd       `cmd:"" set:"jobs=Run N guests per shard in parallel (default: 2)." help:"Split a run into shards; print a job definition to run them."`
	Report     reportCmd     `cmd:"" help:"Regenerate a run's reports, or write them in another format."`
	Compare    compareCmd    `cmd:"" help:"Compare two runs, or two kernels, field by field."`
	History    historyCmd    `cmd:"" help:"Show between which kernels the results changed, and why."`
	Baseline   baselineCmd   `cmd:"" help:"Save results as a baseline, and compare later runs with it."`
	Merge      mergeCmd      `cmd:"" help:"Merge the results of runs that share a plan, such as shards."`
	Bisect     bisectCmd     `cmd:"" help:"Find the commit that changed a scenario's result."`
	BisectStep bisectStepCmd `cmd:"" help:"Test one commit, for git bisect run."`
	Backport   backportCmd   `cmd:"" help:"Check that a backport has the effect of the change and no other."`
	Explain    explainCmd    `cmd:"" help:"Explain a change, a scenario or a cell."`
	Repro      reproCmd      `cmd:"" help:"Run a cell again, show every step, and optionally start gdb."`
	List       listCmd       `cmd:"" help:"List the scenarios, or the available kernels."`
	Exec       execCmd       `cmd:"" help:"Run a static program in a guest."`
	Shell      shellCmd      `cmd:"" help:"Open a shell in a guest."`
	Cache      cacheCmd      `cmd:"" help:"List or prune the cache."`
	Doctor     doctorCmd     `cmd:"" help:"Check this machine's prerequisites and suggest fixes."`
	Completion completionCmd `cmd:"" help:"Print a shell completion script."`
	Complete   completeCmd   `cmd:"" hidden:""`
	Man        manCmd        `cmd:"" help:"Print the manual page."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == suite.Subcommand {
		os.Exit(suite.Main(os.Args[2:])) // Ginkgo handles signals itself
	}
	// A second Ctrl-C kills the process and its guests at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := faultline(ctx, os.Args[1:])
	os.Exit(forGit(os.Args[1:], reportError(ctx, err)))
}

func faultline(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help": // as in git and go
		args = append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version":
		args = []string{"version"}
	}
	parser, err := parser(ctx)
	if err != nil {
		return err
	}
	call, err := parser.Parse(args)
	if err != nil {
		return usage(err)
	}
	return call.Run()
}

// parser returns the command line parser.
func parser(ctx context.Context) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("faultline"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		helpVars(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
}

// usage returns the error for a command line that kong rejected.
func usage(err error) error {
	help := "faultline --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			help = "faultline " + node.Path() + " --help"
		}
	}
	text := strings.ReplaceAll(err.Error(), "?;", "?")
	if help == "faultline --help" {
		text = strings.Replace(text, "unexpected argument", "unknown command", 1)
	}
	return errkind.Requestf("%s; see: %s", text, help)
}
