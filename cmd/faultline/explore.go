package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/term"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/run/explore"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
	suite "github.com/faultline/faultline/suites/generated"
)

type exploreCmd struct {
	Kernel   []string      `placeholder:"SPEC" sep:"none" required:"" help:"Run on this kernel; the first is the base (repeatable)."`
	For      time.Duration `placeholder:"DURATION" help:"Stop after this time, such as 30m (default: no limit)."`
	Programs int           `placeholder:"N" help:"Stop after N programs (default: no limit)."`
	Seed     uint64        `placeholder:"S" help:"Seed of the generator (default: a random one, which is printed)."`
	About    []string      `placeholder:"GLOB" sep:"none" help:"Only programs on places that match, such as 'dax-*' (repeatable)."`
	All      bool          `help:"Also report the differences that known changes predict."`
	Accel    string        `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Jobs     int           `default:"0" placeholder:"N" help:"${jobs}"`
	Out      string        `default:"explored" placeholder:"DIR" help:"Write the record of the exploration to DIR (default: explored)."`
	Resume   bool          `help:"Continue the exploration in DIR."`
}

func (exploreCmd) Help() string {
	return `Find differences between kernels that no scenario covers. A generated program maps memory (its
place), injects a memory error into one page, and accesses the page in up to six steps. It is written
as generated/PLACE/STEP/STEP, which is also a scenario for run, repro, bisect and backport. Half of
the programs are one injection with one operation, a quarter have two operations, a quarter are
random. docs/guides/exploring.md lists the places and steps.

A difference is repeated on each kernel, reduced to the smallest program that shows it, and reported
once. A difference that a known change predicts is counted under it.

Without --for and --programs it continues until it is interrupted. --resume continues the exploration
in --out with the same kernels and --about; its seed is read from there.

Examples:
  faultline explore --kernel apt:bookworm --kernel apt:bookworm/6.12 --for 10m
  faultline explore --kernel dir:old --kernel dir:new --about 'dax-*' \
      --programs 500
  faultline run --scenario generated/dax-ext4-shared/badblock/load

Exit codes:
  0    no difference, or known changes predict every difference
  1    other differences
  2    invalid request
  3    no other difference, but some programs could not be judged
  130  interrupted; continue with --resume`
}

func (c *exploreCmd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.stop()
	store.Log = p.Say
	var entries []matrix.Entry
	for _, spec := range c.Kernel {
		entries = append(entries, matrix.Entry{Spec: spec})
	}
	lab, err := explore.NewGuestLab(ctx, explore.GuestLabOptions{
		Kernels: entries, Accel: c.Accel, Jobs: c.Jobs, Cache: store, Log: p.Say,
	})
	if err != nil {
		return err
	}
	defer lab.Close()
	opt := explore.Options{
		Most: c.Programs, For: c.For, Out: c.Out, Resume: c.Resume, Log: p.Say, Doing: p.Doing,
	}
	if err := lab.Describe(ctx, &opt); err != nil {
		return err
	}
	opt.Tool, opt.Seed, opt.About, opt.Header.Known = versionText(), c.Seed, c.About, !c.All
	if !c.All {
		opt.Known = change.All()
	}
	if c.Seed != 0 {
		p.Say("--seed %d", c.Seed)
	}
	begun := time.Now()
	out, err := explore.Do(ctx, lab, opt)
	p.stop()
	if err != nil && out.Programs == 0 {
		return err
	}
	writeExplored(os.Stdout, opt, out, time.Since(begun))
	if written := c.writeSpecs(out, p.Say); err == nil {
		err = written
	}
	switch {
	case err != nil:
		return err
	case out.Interrupted:
		fmt.Fprintln(os.Stderr, "faultline: interrupted; run the same command with --resume to continue")
		return exitError(errkind.ExitInterrupted)
	case len(out.Findings) > 0:
		return exitError(errkind.ExitUnexpected)
	case len(out.Lost)+len(out.Unstable)+len(out.Open) > 0, out.Same+out.Differ == 0:
		return exitError(errkind.ExitInfra)
	}
	return nil
}

// check checks the flags.
func (c *exploreCmd) check() error {
	if len(c.Kernel) < 2 {
		return errkind.Requestf("explore compares kernels; give --kernel at least twice")
	}
	for _, spec := range c.Kernel {
		if err := source.All().Check(spec); err != nil {
			return err
		}
	}
	for _, glob := range c.About {
		if _, err := path.Match(glob, ""); err != nil {
			return errkind.Requestf("--about %s: %v", glob, err)
		}
		found := false
		var names []string
		for _, p := range generated.Places() {
			found = found || explore.Selected(p, []string{glob})
			names = append(names, p.Name)
		}
		if !found {
			return errkind.Requestf("--about %s matches no place; they are %s", glob, strings.Join(names, ", "))
		}
	}
	_, err := os.Stat(filepath.Join(c.Out, explore.JournalFile))
	switch {
	case c.Programs < 0 || c.For < 0:
		return errkind.Requestf("--programs and --for must not be negative; omit them for no limit")
	case err == nil && !c.Resume:
		return errkind.Requestf("%s has an exploration; continue it with --resume, or give another --out", c.Out)
	case errors.Is(err, fs.ErrNotExist) && c.Resume:
		return errkind.Requestf("%s has no exploration to continue; omit --resume", c.Out)
	case c.Seed == 0 && !c.Resume:
		c.Seed = 1 + uint64(rand.Uint32())
	}
	return checkJobs(c.Jobs)
}

// writeSpecs writes each finding as a spec, if it has one.
func (c *exploreCmd) writeSpecs(out explore.Outcome, say func(string, ...any)) error {
	old, err := filepath.Glob(filepath.Join(c.Out, "found*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for i, f := range out.Findings {
		p, err := generated.Parse(f.Program)
		if err != nil {
			return err
		}
		source, err := suite.Found(p, [2]string{f.KernelA, f.KernelB}, f.Cells[0], f.Cells[1])
		if err != nil {
			say("%s has no source of a scenario: %v", f.Program, err)
			continue
		}
		dir := filepath.Join(c.Out, fmt.Sprint("found", i+1))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "found.go"), source, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mostListed bounds a list of programs that could not be judged; outcome.json has all.
const mostListed = 5

// writeExplored prints the result, short enough for a mail.
func writeExplored(w io.Writer, opt explore.Options, out explore.Outcome, took time.Duration) {
	var names []string
	for _, k := range opt.Kernels {
		names = append(names, k.Name)
	}
	fmt.Fprintf(w, "%s: %s in %s, --seed %d\n", strings.Join(names, ", "), programs(out.Programs),
		took.Round(time.Second), out.Seed)
	fmt.Fprintf(
		w,
		"  same on all kernels %d, different %d, not possible %d, infrastructure failure %d, not repeatable %d\n",
		out.Same,
		out.Differ,
		out.Skipped,
		len(out.Lost),
		len(out.Unstable),
	)
	for _, l := range out.Lost[:min(len(out.Lost), mostListed)] {
		fmt.Fprintf(w, "  infrastructure failure: %s: %s\n", l.Program, l.Why)
	}
	for _, id := range out.Unstable[:min(len(out.Unstable), mostListed)] {
		fmt.Fprintf(w, "  not repeatable: %s\n", id)
	}
	if n := len(out.Open); n > 0 {
		fmt.Fprintf(w, "  %s differ and were not examined in time; continue with --resume\n", programs(n))
	}
	if len(out.Changes) > 0 {
		fmt.Fprintln(w, "\npredicted by known changes:")
	}
	for _, c := range change.All() {
		if n := out.Changes[c.ID]; n > 0 {
			fmt.Fprintf(w, "  %-24s %s\n", c.ID, programs(n))
		}
	}
	if len(out.Findings) > 0 {
		fmt.Fprintf(w, "\nnot predicted, with the values of %s:\n", strings.Join(names, " / "))
	}
	for i, f := range out.Findings {
		fmt.Fprintf(w, "  %d. %s (%s)\n", i+1, f.Program, programs(f.Programs))
		if len(names) > 2 {
			fmt.Fprintf(w, "     %s / %s\n", f.KernelA, f.KernelB)
		}
		for _, c := range f.Classes {
			fmt.Fprintf(w, "     %s\n", c)
		}
	}
	if len(out.Findings) > 0 {
		fmt.Fprintf(w, "\nFinding N as the source of a scenario: %s\n", filepath.Join(opt.Out, "foundN", "found.go"))
	}
}

// programs returns a number of programs as text.
func programs(n int) string { return english.Plural(n, "program", "") }
