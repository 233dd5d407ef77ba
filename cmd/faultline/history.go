package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/faultline/faultline/framework/history"
	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/plain"
)

type historyCmd struct {
	Runs     []string `arg:"" name:"run" help:"The results folder of a run, may be several."`
	AnyAccel bool     `help:"Also compare what ran with KVM with what ran under TCG."`
	JSON     bool     `name:"json" help:"Print it as JSON, with each field that differs."`
	changesFlag
}

func (historyCmd) Help() string {
	return `The runs may be of any age and machine. Their kernels are put into the order of their versions, and each
is compared with the one before it that observed the scenario. For each two kernels between which
anything flipped it says by which change, and in which scenarios. A flip that no change predicts, or by a
change that got lost, begins with a ! and makes the exit code 1; where the rig failed, or a run was
interrupted, so that something is not known, it is 3.

Examples:
  faultline run --matrix wide && faultline history results/latest
  faultline history results/20260301T093000Z results/latest`
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
			return fault.Requestf("%s is a baseline, which has not all that a run has; give runs, or compare it with faultline compare", arg)
		case s.Kernel != "":
			return fault.Requestf("%s: a history is of all kernels of a run; give %s, or take faultline compare for two of them", arg, s.Label)
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
			_, err = os.Stdout.Write(append(plain.JSON(text), '\n'))
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
