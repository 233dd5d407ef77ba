package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/faultline/faultline/framework/pipeline"
	"github.com/faultline/faultline/framework/plan"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/scenario"
	"github.com/faultline/faultline/internal/fault"
)

type planCmd struct {
	wholeFlags
	Shards int    `default:"1" placeholder:"N" help:"Into how many parts to cut the run."`
	For    string `enum:",${engines}" default:"" placeholder:"ENGINE" help:"Print what makes an engine run the parts, one of ${engines}: a job matrix, a pipeline, an array, an Indexed Job."`
	Out    string `placeholder:"DIR" help:"Below which folder the parts leave their results (default: shards; k8s: /shards, where the claim is mounted)."`
	Image  string `placeholder:"IMAGE" help:"The container image in which a part runs, for gitlab and k8s."`
}

func (planCmd) Help() string {
	return `Without --for it prints which shard observes what. It fetches and boots nothing, so that what a
kernel's configuration rules out counts here too; faultline run --dry-run tells that. The flags
are those of faultline run, and go into what is printed. --jobs, 2 where it is not given, is also
how many processors a part asks for.

Examples:
  faultline plan --matrix wide --shards 4
  faultline plan --matrix wide --shards 4 --for github >> "$GITHUB_OUTPUT"
  faultline plan --matrix wide --shards 4 --for slurm > shards.sh`
}

// guestsOfAShard is how many guests a shard runs at a time that was not told:
// what an engine gives it depends on that.
const guestsOfAShard = 2

func (c *planCmd) Run(ctx context.Context) error {
	entries, _, err := c.whole(ctx)
	if err != nil {
		return err
	}
	if c.Image != "" && c.For != "gitlab" && c.For != "k8s" {
		return fault.Requestf("--image is for --for gitlab and --for k8s; leave it out")
	}
	_, picked, err := run.Pick(ctx, c.Scenario, c.Label)
	if err != nil {
		return err
	}
	cells := len(entries) * len(picked)
	if c.Shards < 1 || c.Shards > cells {
		return fault.Requestf("--shards %d: want 1 to %d, as many as there are cells", c.Shards, cells)
	}
	if c.For != "" {
		whole := c.wholeFlags
		if whole.Jobs == 0 {
			whole.Jobs = guestsOfAShard
		}
		return pipeline.Write(os.Stdout, c.For, pipeline.Job{
			Command: append([]string{"faultline", "run"}, whole.words()...), Shards: c.Shards, Cells: cells, Jobs: whole.Jobs, Out: c.Out, Image: c.Image,
		})
	}
	var names []string
	for _, e := range entries {
		if e.Name == "" {
			e.Name = e.Spec
		}
		names = append(names, e.Name)
	}
	return c.table(os.Stdout, names, picked)
}

// table prints which shard observes what.
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
	_, err := fmt.Fprintf(to, "\n%s: %s on %s%s.\n", matrix.Count(len(kernels)*len(picked), "cell"), matrix.Count(len(picked), "scenario"), matrix.Count(len(kernels), "kernel"), times)
	return err
}
