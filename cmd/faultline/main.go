// Command faultline boots Linux kernels in QEMU, injects memory errors, and compares what
// user space observes. This package parses the command line, calls the packages that do
// the work, and prints their results. It does not judge results itself.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// cli is the command line. Each subcommand is a type in its own file, with a method Run. The
// help lists the groups in this order.
type cli struct {
	Run        runCmd        `cmd:"" group:"Run kernels:" help:"Run scenarios on kernels, and compare the results."`
	Sweep      sweepCmd      `cmd:"" group:"Run kernels:" help:"Run scenarios on many kernels, and print their history."`
	Explore    exploreCmd    `cmd:"" group:"Run kernels:" help:"Run generated programs, and find how kernels differ."`
	Backport   backportCmd   `cmd:"" group:"Run kernels:" help:"Check that a backport has the effect of the change and no other."`
	Exec       execCmd       `cmd:"" group:"Run kernels:" help:"Run a static program in a guest."`
	Shell      shellCmd      `cmd:"" group:"Run kernels:" help:"Open a shell in a guest."`
	List       listCmd       `cmd:"" group:"Run kernels:" help:"List the scenarios, the known changes, or the kernels."`
	Explain    explainCmd    `cmd:"" group:"Examine results:" help:"Explain a change, a scenario or a cell."`
	Report     reportCmd     `cmd:"" group:"Examine results:" help:"Regenerate a run's reports, or write them in another format."`
	Compare    compareCmd    `cmd:"" group:"Examine results:" help:"Compare two runs, or two kernels, field by field."`
	History    historyCmd    `cmd:"" group:"Examine results:" help:"Show between which kernels the results changed, and why."`
	Baseline   baselineCmd   `cmd:"" group:"Examine results:" help:"Save results as a baseline, and compare later runs with it."`
	Repro      reproCmd      `cmd:"" group:"Find a cause:" help:"Run a cell again, show every step, and optionally start gdb."`
	Bisect     bisectCmd     `cmd:"" group:"Find a cause:" help:"Find the commit that changed a scenario's result."`
	BisectStep bisectStepCmd `cmd:"" group:"Find a cause:" help:"Test one commit, for git bisect run."`
	Plan       planCmd       `cmd:"" group:"CI:" set:"jobs=Run N guests per shard in parallel (default: 2)." help:"Split a run into shards; print a job definition to run them."`
	Merge      mergeCmd      `cmd:"" group:"CI:" help:"Merge shards, or repeated runs, into one run."`
	Lab        labCmd        `cmd:"" group:"CI:" help:"Run jobs of KernelCI as a pull lab."`
	Doctor     doctorCmd     `cmd:"" group:"This machine:" help:"Check this machine's prerequisites and suggest fixes."`
	Cache      cacheCmd      `cmd:"" group:"This machine:" help:"List or prune the cache."`
	Completion completionCmd `cmd:"" group:"This machine:" help:"Print a shell completion script."`
	Complete   completeCmd   `cmd:"" group:"This machine:" hidden:""`
	Man        manCmd        `cmd:"" group:"This machine:" help:"Print the manual page."`
	Version    versionCmd    `cmd:"" group:"This machine:" help:"Print the version."`
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
	k, err := kong.New(&cli{},
		kong.Name("faultline"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		helpVars(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err == nil {
		k.Model.HelpFlag.Help = "Print this help."
		for _, command := range k.Model.Children {
			for _, sub := range command.Children { // else they inherit the command's group
				sub.Group = &kong.Group{Key: "sub", Title: "Commands:"}
			}
		}
	}
	return k, err
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
	text := err.Error()
	for _, r := range rephrased {
		text = r.kong.ReplaceAllString(text, r.ours)
	}
	end := ";"
	if strings.HasSuffix(text, "?") {
		end = ""
	}
	if name, ok := strings.CutPrefix(text, "unexpected argument "); ok {
		switch words := strings.Fields(help); {
		case len(words) == 2:
			text = "unknown command " + name
		case len(words) >= 3 && parents[words[1]] != nil:
			help = "faultline " + words[1] + " --help"
			text = "unexpected argument " + name
			if near := suggest.Names(name, parents[words[1]]); len(near) > 0 {
				text += ", did you mean " + suggest.Quoted(near, "or") + "?"
				end = ""
			}
		}
	}
	return errkind.Requestf("%s%s see: %s", text, end, help)
}

// parents are the commands that only have subcommands, with those.
var parents = map[string][]string{
	"list": {"scenarios", "changes", "kernels"}, "cache": {"list", "prune"}, "baseline": {"save", "check", "list"},
}

// rephrased has errors of kong that name Go's types.
var rephrased = []struct {
	kong *regexp.Regexp
	ours string
}{
	{regexp.MustCompile(`^(--\S+): expected a valid \d+ bit u?int but got "(.*)"$`), "$1 $2: not a number"},
	{regexp.MustCompile(`^(--\S+): expected \w+ value but got "(.*)" \(short flag\);.*$`), "$1 $2: not a value of $1"},
	{regexp.MustCompile(`^(--\S+): expected \w+ value but got "EOL" \(<EOL>\)$`), "$1 needs a value"},
	{
		regexp.MustCompile(`^(--\S+): expected duration but got "(.*)": time: .*$`),
		"$1 $2: not a duration, such as 30s or 5m",
	},
	{regexp.MustCompile(`^(--\S+): missing value, expecting "<arg>"`), "$1 needs a value"},
	{regexp.MustCompile(`^(--\S+) must be one of "(.*)" but got "(.*)"$`), "$1 $3: not one of $2"},
	{
		regexp.MustCompile(`^expected "<command> \.\.\."$`),
		"no program given; write: faultline exec KERNEL -- ./program [ARGUMENT...]",
	},
	{regexp.MustCompile(`^expected "(.*)"$`), "missing arguments: $1"},
	{regexp.MustCompile(`","`), ", "},
}
