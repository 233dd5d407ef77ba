package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels/source"
)

type bisectStepCmd struct {
	Ends     string   `required:"" placeholder:"DIR" help:"Results folder of a run of both ends, the old end first."`
	Tree     string   `default:"." placeholder:"DIR" help:"Test HEAD of this git checkout (default: .)."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label    string   `placeholder:"FILTER" help:"${label}"`
	buildFlags
	Accel string `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Jobs  int    `default:"0" placeholder:"N" help:"${jobs}"`
}

func (bisectStepCmd) Help() string {
	return `Build HEAD, run the scenarios whose results differ between the two kernels (ends) of the run in --ends,
and exit as git bisect run expects.

Example, in a Linux tree, with faultline in PATH:
  faultline run --kernel tree:.@v6.4 --kernel tree:.@v6.5-rc1 \
      --scenario dax/ext4/shared-read --out /tmp/ends
  git bisect start --term-old=old --term-new=new v6.5-rc1 v6.4
  git bisect run faultline bisect-step --ends /tmp/ends

faultline bisect runs all of these steps, checks the answer, and builds each commit only once for
all scenarios.

Exit codes:
  0    HEAD shows the old results
  1    HEAD shows the new results
  125  HEAD does not build or boot, shows neither result, or shows the old one
       in some scenarios and the new one in others: git bisect skips it
  128  invalid request or infrastructure failure: git bisect stops`
}

// Exit codes for git bisect run (git-bisect(1)). 126 and 127, with which a shell reports
// a program that it can't run, would count as new.
const (
	stepOld, stepNew, stepSkip = 0, 1, 125
	stepStop                   = 128
)

// forGit returns the exit code of a command line. For errors of bisect-step it is one that
// git bisect run does not take for a verdict: the 2 of a usage error would count as new.
func forGit(args []string, code int) int {
	if len(args) == 0 || args[0] != "bisect-step" || slices.Contains([]int{stepOld, stepNew, stepSkip}, code) {
		return code
	}
	return max(code, stepStop)
}

func (c *bisectStepCmd) Run(ctx context.Context) error {
	side, text, err := c.judge(ctx)
	if err != nil {
		reportError(ctx, err)
		return exitError(stepStop)
	}
	code := map[git.Term]exitError{git.Old: stepOld, git.New: stepNew, git.Skip: stepSkip}[side]
	fmt.Printf("%s (%d)\n", side, int(code))
	for line := range strings.Lines(text) {
		fmt.Printf("  %s\n", matrix.Printable(strings.TrimSuffix(line, "\n")))
	}
	if code != 0 {
		return code
	}
	return nil
}

func (c *bisectStepCmd) judge(ctx context.Context) (git.Term, string, error) {
	if _, err := qemu.Find(ctx, runtime.GOARCH); err != nil {
		return "", "", err
	}
	folder, err := results.Open(c.Ends)
	if err != nil {
		return "", "", err
	}
	record, err := folder.LoadRun(judge.Run)
	if err != nil {
		return "", "", err
	}
	tree, err := git.Open(ctx, c.Tree)
	if err != nil {
		return "", "", err
	}
	commit, err := tree.Commit(ctx, "HEAD")
	if err != nil {
		return "", "", err
	}
	spec := "tree:" + tree.Root + "@" + commit
	for _, s := range c.settings() {
		name, value, _ := strings.Cut(s, "=")
		spec = source.Set(spec, name, value)
	}
	store, err := cache.Open("")
	if err != nil {
		return "", "", err
	}
	p := newProgress(os.Stderr, false)
	selection := run.Selection{Scenarios: c.Scenario, Label: c.Label}
	lab, err := bisect.NewGuestLab(
		ctx,
		bisect.GuestLabOptions{Selection: selection, Accel: c.Accel, Jobs: c.Jobs, Cache: store, Log: p.Say},
	)
	if err != nil {
		return "", "", err
	}
	defer lab.Close()
	var picked []string
	for _, i := range lab.Picked {
		picked = append(picked, i.ID)
	}
	here, err := lab.Here(ctx)
	if err != nil {
		return "", "", err
	}
	ends, err := bisect.EndsOf(record, picked, here)
	if err != nil {
		return "", "", err
	}
	return ends.Judge(ctx, lab, spec)
}
