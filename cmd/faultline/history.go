package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/faultline/faultline/framework/analysis/history"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
)

type historyCmd struct {
	Runs     []string `arg:"" name:"run" help:"Results folder of a run (repeatable)."`
	AnyAccel bool     `help:"${anyaccel}"`
	JSON     bool     `name:"json" help:"Print JSON, with each field that differs."`
	changesFlag
}

func (historyCmd) Help() string {
	return `Order the kernels of all runs by version, and compare each with the previous one that ran the same
scenario. The runs may be from different dates and machines. For each pair of kernels with different
results, print the scenarios and the changes that explain them. A line begins with ! if no change
explains the difference, or if the later kernel should have a change and does not (see faultline
compare --help).

Examples:
  faultline run --matrix wide && faultline history results/latest
  faultline history results/20260301T093000Z results/latest

Exit codes:
  0    changes explain all differences
  1    a line begins with !
  2    invalid request
  3    a result is missing or could not be compared: infrastructure failure,
       interrupted run, a different accelerator, QEMU or processor`
}

func (c *historyCmd) Run(ctx context.Context) error {
	opt := history.Options{AnyAccel: c.AnyAccel}
	var err error
	if opt.Changes, err = c.declared(ctx); err != nil {
		return err
	}
	var sources []history.Source
	for _, arg := range c.Runs {
		s, err := side(arg)
		if err != nil {
			return err
		}
		switch {
		case s.Baseline != nil:
			return errkind.Requestf("%s is a baseline, not a run; give runs, or use faultline compare", arg)
		case s.Kernel != "":
			return errkind.Requestf("%s: history takes all kernels of a run; give %s, or use faultline compare for two kernels",
				arg, s.Label)
		}
		sources = append(sources, history.Source{Label: s.Label, Run: s.Run})
	}
	h, err := history.Of(sources, opt)
	if err != nil {
		return err
	}
	if c.JSON {
		text, err := json.MarshalIndent(h, "", "  ")
		if err == nil {
			_, err = os.Stdout.Write(append(sanitize.JSON(text), '\n'))
		}
		if err != nil {
			return err
		}
	} else if err := h.Write(os.Stdout); err != nil {
		return err
	}
	if code := h.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}
