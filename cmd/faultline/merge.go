package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/internal/fault"
)

type mergeCmd struct {
	Out  string   `required:"" placeholder:"DIR" help:"Where to write the joined results; none of the folders to join."`
	Runs []string `arg:"" name:"dir" help:"The results folders of the runs."`
	changesFlag
	outputFlags
}

func (mergeCmd) Help() string {
	return `The runs must be of the same plan: made by the same Faultline, and where they share a kernel or a
scenario by name it must be the same one. A cell that the rig failed to observe in one run gives
way to one that was observed in another. A cell of the plan that is in none of the runs, because a
shard got lost or was killed, counts as one that the rig failed to observe, and the shard is named.
What is printed and the exit code are those of the whole run. Runs that a file of changes judged must have
been judged by the same; --changes judges them by another, also those that had none.

Example:
  faultline run --shard 1/2 --out one     (on one machine)
  faultline run --shard 2/2 --out two     (on another)
  faultline merge --out all one two`
}

func (c *mergeCmd) Run(ctx context.Context) error {
	mine, err := c.declared(ctx)
	if err != nil {
		return err
	}
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	var runs []*results.Folder
	var without []string
	for _, dir := range c.Runs {
		if same(dir, c.Out) {
			return fault.Requestf("%s is one of the runs to join; give another folder with --out", dir)
		}
		f, err := results.Open(dir)
		if none := (*results.NoRunError)(nil); errors.As(err, &none) {
			// A shard may be lost before it began its run; Merge knows whether it is one.
			without = append(without, dir)
			f, err = results.At(dir)
		}
		if err != nil {
			return err
		}
		runs = append(runs, f)
	}
	folder, record, err := results.Merge(c.Out, mine, runs...)
	if err != nil {
		return err
	}
	defer folder.Close()
	if earlier := folder.Earlier(); earlier != "" {
		fmt.Fprintf(os.Stderr, "faultline: the earlier run in %s was moved to %s\n", c.Out, earlier)
	}
	for _, dir := range without {
		fmt.Fprintf(os.Stderr, "faultline: %s holds no run (no %s in it)\n", dir, results.RunFile)
	}
	if err := report.Write(record, folder); err != nil {
		return err
	}
	where, err := filepath.Abs(c.Out)
	if err != nil {
		return err
	}
	if err := errors.Join(show(outputs.table(), record, where), outputs.write(record, folder)); err != nil {
		return err
	}
	return judged(record)
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
