package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/report/explain"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

type explainCmd struct {
	Name string `arg:"" name:"change|scenario|cell" complete:"explain" help:"Id or commit of a change, id of a scenario, or a cell (SCENARIO@KERNEL)."`
	runFlag
}

// runFlag is for subcommands that read a run.
type runFlag struct {
	RunDir string `name:"run" placeholder:"DIR" help:"Use the run in DIR (default: results/latest)."`
}

// record returns the run of the flag, which may be unfinished.
func (f runFlag) record() (results.Run, error) {
	folder, err := results.Open(cmp.Or(f.RunDir, results.Latest))
	if err != nil {
		return results.Run{}, err
	}
	return folder.LoadObserved(judge.Run)
}

func (explainCmd) Help() string {
	return `For a change, print the commit, its effect on user space, the kernel functions involved, from
the poison to user space, the scenarios that test it, and which kernels of the run have it.

For a scenario, print what it needs, the predicted result and why, the changes that the result
depends on, and the result on each kernel.

For a cell, print each step with its payload decoded, the expected result, the kernel state recorded
with it (witnesses), the kernel log, the differences from other kernels and what explains
them, and the command that runs the cell again.

Examples:
  faultline explain dax_fault_hwpoison
  faultline explain dax/ext4/shared-read
  faultline explain dax/ext4/shared-read@apt:bookworm --run results/earlier`
}

func (c *explainCmd) Run(ctx context.Context) error {
	all, err := scenarios(ctx)
	if err != nil {
		return err
	}
	record, err := c.record()
	seen := &record
	if none := (*results.NoRunError)(nil); errors.As(err, &none) && c.RunDir == "" {
		seen, err = nil, nil // nothing was observed yet
	}
	if err != nil {
		return err
	}
	all = withRecorded(all, seen)
	if _, _, ok := results.SplitCell(c.Name); ok {
		if seen == nil {
			return &results.NoRunError{Dir: results.Latest}
		}
		cell, _, err := record.FindCell(c.Name)
		if err != nil {
			return err
		}
		var info scenario.Info
		if i := slices.IndexFunc(all, func(i scenario.Info) bool { return i.ID == cell.Scenario }); i >= 0 {
			info = all[i]
		}
		explain.Cell(os.Stdout, record, cell, info)
		return nil
	}
	known := change.All()
	if seen != nil {
		known = seen.Known()
	}
	for _, one := range known {
		if one.ID == c.Name || len(c.Name) >= shortCommit && strings.HasPrefix(one.Commit, c.Name) {
			explain.Change(os.Stdout, one, all, seen)
			return nil
		}
	}
	for _, i := range all {
		if i.ID == c.Name {
			explain.Scenario(os.Stdout, i, known, seen)
			return nil
		}
	}
	return unknown(c.Name, known, all)
}

// shortCommit is the minimum number of digits of an abbreviated commit, as in git.
const shortCommit = 7

// withRecorded adds the scenarios that a run has but the suites do not, such as
// those of an old run.
func withRecorded(all []scenario.Info, seen *results.Run) []scenario.Info {
	if seen == nil {
		return all
	}
	for _, s := range seen.Scenarios {
		if !slices.ContainsFunc(all, func(i scenario.Info) bool { return i.ID == s.ID }) {
			all = append(
				all,
				scenario.Info{
					ID:        s.ID,
					Doc:       s.Doc,
					Suite:     s.Suite,
					Needs:     s.Needs,
					Changes:   s.Changes,
					Catalogue: s.Catalogue,
					Skipped:   s.Skipped,
					TCG:       s.TCG,
					Lead:      s.Lead,
					Program:   s.Program,
				},
			)
		}
	}
	return all
}

// unknown returns the error for an unknown name, with suggestions.
func unknown(name string, known change.List, all []scenario.Info) error {
	names := known.IDs()
	for _, i := range all {
		if i.Skipped == "" {
			names = append(names, i.ID)
		}
	}
	forms := func(n string) []string { return []string{n, n[strings.LastIndex(n, "/")+1:]} }
	if found := suggest.By(name, names, forms); len(found) > 0 {
		return errkind.Requestf("no change or scenario is called %q; did you mean %s?",
			name, strings.Join(found, " or "))
	}
	if strings.ContainsAny(name, "*?[") {
		return errkind.Requestf("%q is a pattern; give one id; faultline list prints them", name)
	}
	return errkind.Requestf(
		"no change or scenario is called %q; list them with faultline list and faultline list changes", name)
}
