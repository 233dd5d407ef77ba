package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
)

type compareCmd struct {
	A        string   `arg:"" help:"Results folder of a run, one kernel of it (DIR:KERNEL), or a baseline file."`
	B        string   `arg:"" help:"Run, kernel or baseline to compare it with."`
	Pair     []string `placeholder:"A=B" sep:"none" help:"Compare kernel A of <a> with kernel B of <b> (repeatable)."`
	AnyAccel bool     `help:"${anyaccel}"`
	JSON     bool     `name:"json" help:"Print JSON."`
	changesFlag
}

func (compareCmd) Help() string {
	return `The runs may be from different dates and machines. To compare one kernel of a run, write
DIR:KERNEL, where KERNEL is its name, spec, version or release, or the beginning of its name. Kernels
are paired by --pair, then by name, then by spec.

Each differing field is printed on one line, with the change that explains it. A line begins with
  !   if no change explains the difference, or if the second kernel should
      have a change (by its version, or because an older kernel of its vendor
      and series has it) and does not
  ?   if it is not judged, because a different QEMU, accelerator or, with KVM,
      processor may be the cause

Examples:
  faultline compare results/latest:6.1 results/latest:6.12
  faultline compare results/20260301T093000Z results/latest
  faultline compare baselines/stable.json results/latest
  faultline compare old new --pair 6.1.190=ours

Exit codes:
  0    changes explain all differences
  1    a line begins with !
  2    invalid request
  3    a line begins with ?, or something could not be compared:
       infrastructure failure, interrupted run, different accelerators, or
       steps of the scenario that differ between versions of Faultline`
}

func (c *compareCmd) Run(ctx context.Context) error {
	opt := compare.Options{AnyAccel: c.AnyAccel}
	for _, p := range c.Pair {
		a, b, ok := strings.Cut(p, "=")
		if !ok || a == "" || b == "" {
			return errkind.Requestf("--pair %s: must be A=B, a kernel of the first run and one of the second", p)
		}
		opt.Pairs = append(opt.Pairs, [2]string{a, b})
	}
	var err error
	if opt.Changes, err = c.declared(ctx); err != nil {
		return err
	}
	var sides [2]compare.Side
	for i, arg := range []string{c.A, c.B} {
		if sides[i], err = side(arg); err != nil {
			return err
		}
	}
	found, err := compare.Of(sides[0], sides[1], opt)
	if err != nil {
		return err
	}
	if c.JSON {
		text, err := json.MarshalIndent(found, "", "  ")
		if err == nil {
			_, err = os.Stdout.Write(append(sanitize.JSON(text), '\n'))
		}
		if err != nil {
			return err
		}
	} else if err := found.Write(os.Stdout); err != nil {
		return err
	}
	if code := found.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}

// side reads one side of a comparison: DIR, DIR:KERNEL, or a baseline file.
func side(arg string) (compare.Side, error) {
	dir, kernel := arg, ""
	if _, err := os.Stat(arg); err != nil {
		dir, kernel, _ = strings.Cut(arg, ":")
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().IsRegular() && filepath.Base(dir) != results.RunFile {
		s, err := loadBaseline(dir)
		s.Kernel = kernel
		return s, err
	}
	folder, err := results.Open(dir)
	if err != nil {
		return compare.Side{}, err
	}
	run, err := folder.LoadObserved(judge.Run)
	return compare.Side{Label: folder.Dir(), Run: run, Kernel: kernel}, err
}
