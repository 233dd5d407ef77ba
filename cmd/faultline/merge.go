package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/internal/errkind"
)

type mergeCmd struct {
	Out  string   `required:"" placeholder:"DIR" help:"Write the results to DIR, which must not be one of the inputs."`
	Runs []string `arg:"" name:"dir" help:"Results folders of the runs."`
	changesFlag
	outputFlags
}

func (mergeCmd) Help() string {
	return `The runs must be of the same kernels and scenarios, with the same build of Faultline and of QEMU, the
same --accel and, with KVM, the same processor and microcode. With one run, merge judges it again.
If one run could not observe a cell, the cell of another run is used. A cell that no run has,
because its shard was lost or killed, counts as an infrastructure failure, and the shard is named.

The table and the exit code cover the merged run. Runs that used --changes must have used the
same file; --changes here replaces it, and also applies to runs that used none.

` + formats() + `
Example:
  # on one machine
  faultline run --shard 1/2 --out one
  # on another
  faultline run --shard 2/2 --out two
  # on one machine, with both folders
  faultline merge --out all one two
  # judge one run again, with changes of your own
  faultline merge --changes mine.yaml --out again results/latest

` + runExits[:len(runExits)-1]
}

func (c *mergeCmd) Run(ctx context.Context) error {
	declared, err := c.declared(ctx)
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
			return errkind.Requestf("%s is one of the runs to merge; give another folder with --out", dir)
		}
		f, err := results.Open(dir)
		if none := (*results.NoRunError)(nil); errors.As(err, &none) {
			// A shard may be lost before its run began; Merge reports it if so.
			without = append(without, dir)
			f, err = results.At(dir)
		}
		if err != nil {
			return err
		}
		runs = append(runs, f)
	}
	folder, record, err := results.Merge(c.Out, declared, judge.Run, runs...)
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
