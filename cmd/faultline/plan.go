package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/framework/run/shard"
	"github.com/faultline/faultline/internal/errkind"
)

type planCmd struct {
	wholeFlags
	Shards int    `default:"1" placeholder:"N" help:"Split the run into N shards (default: 1)."`
	For    string `placeholder:"ENGINE" complete:"engine" help:"Print a job definition: ${engines}."`
	Out    string `placeholder:"DIR" help:"Write shard results below DIR (default: shards; for k8s: /shards)."`
	Image  string `placeholder:"IMAGE" help:"Run shards in this container image (k8s: required; gitlab: optional)."`
}

func (planCmd) Help() string {
	return `Without --for, print which scenarios each shard runs on which kernel. plan fetches no
kernels, so it does not know which scenarios a configuration excludes; to see those, use
faultline run --dry-run.

With --for, print a job definition: a job matrix (github), a pipeline (gitlab), a job array (slurm)
or an Indexed Job (k8s); see docs/guides/pipelines.md. Each shard runs faultline run with the flags given
here, and requests one CPU per guest (--jobs). For k8s, --out is the mount point of the volume claim.

For --matrix and --program, see faultline run --help.
` + specsHelp + `
Examples:
  faultline plan --matrix wide --shards 4
  faultline plan --matrix wide --shards 4 --for github >> "$GITHUB_OUTPUT"
  faultline plan --matrix wide --shards 4 --for slurm > shards.sh

Exit codes:
  0    the shards or the job definition were printed
  2    invalid request
  3    infrastructure failure`
}

// guestsOfAShard is the default number of parallel guests of a shard. The resources that
// a job requests depend on it.
const guestsOfAShard = 2

func (c *planCmd) Run(ctx context.Context) error {
	opt, err := c.options(ctx)
	if err != nil {
		return err
	}
	if c.Image != "" && c.For != "gitlab" && c.For != "k8s" {
		return errkind.Requestf("--image applies only to --for gitlab and --for k8s; remove it")
	}
	_, picked, err := run.Pick(ctx, opt.Selection)
	if err != nil {
		return err
	}
	cells := len(opt.Kernels) * len(picked)
	if c.Shards < 1 || c.Shards > cells {
		return errkind.Requestf("--shards %d: must be 1 to %d, the number of cells", c.Shards, cells)
	}
	if c.For != "" {
		whole := c.wholeFlags
		if whole.Jobs == 0 {
			whole.Jobs = guestsOfAShard
		}
		return shard.Write(os.Stdout, c.For, shard.Job{
			Command: append([]string{"faultline", "run"}, whole.args()...), Shards: c.Shards, Cells: cells,
			Jobs: whole.Jobs, Out: c.Out, Image: c.Image,
		})
	}
	var names []string
	for _, e := range opt.Kernels {
		if e.Name == "" {
			e.Name = e.Spec
		}
		names = append(names, e.Name)
	}
	return c.table(os.Stdout, names, picked)
}

// table prints which shard runs which scenarios on which kernel.
func (c *planCmd) table(to io.Writer, kernels []string, picked []scenario.Info) error {
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "SHARD\tKERNEL\tSCENARIOS\tFROM\tTO")
	for _, p := range plan.Parts(kernels, picked, c.Shards) {
		n := len(p.Scenarios)
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", p.Shard, p.Kernel, n, p.Scenarios[0].ID, p.Scenarios[n-1].ID)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	times := ""
	if c.Repeat > 1 {
		times = fmt.Sprintf(", each %d times", c.Repeat)
	}
	_, err := fmt.Fprintf(
		to,
		"\n%s: %s on %s%s.\n",
		english.Plural(len(kernels)*len(picked), "cell", ""),
		english.Plural(len(picked), "scenario", ""),
		english.Plural(len(kernels), "kernel", ""),
		times,
	)
	return err
}
