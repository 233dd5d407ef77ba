package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/term"

	"github.com/faultline/faultline/framework/analysis/judge"
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
	For      time.Duration `placeholder:"TIME" help:"Stop after this time, such as 30m (default: no limit)."`
	Programs int           `placeholder:"N" help:"Stop after N programs (default: no limit)."`
	Seed     uint64        `placeholder:"S" help:"Seed of the generator (default: a random one, which is printed)."`
	About    []string      `placeholder:"GLOB" sep:"none" help:"Only programs on places that match, such as 'dax-*' (repeatable)."`
	All      bool          `help:"Also report the differences that known changes predict."`
	Accel    string        `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Jobs     int           `default:"0" placeholder:"N" help:"${jobs}"`
	Out      string        `default:"explored" placeholder:"DIR" help:"Write the journal to DIR (default: explored)."`
	Resume   bool          `help:"Continue the exploration in DIR; needs --seed."`
}

func (exploreCmd) Help() string {
	return `Find differences between kernels that no scenario covers. A generated program maps memory (its
place), injects a memory error into one page, and accesses the page in up to six steps. It is written
as generated/PLACE/STEP/STEP, which is also a scenario for run, repro, bisect and backport. Half of
the programs are one injection with one operation, a quarter have two operations, a quarter are
random. docs/guides/exploring.md lists the places and steps.

A difference is repeated on each kernel, reduced to the smallest program that shows it, and reported
once. A difference that a known change predicts is counted under it.

Without --for and --programs it continues until it is interrupted. --resume continues an exploration
with the same --seed, --about and kernels, and a larger --for or --programs.

Examples:
  faultline explore --kernel apt:bookworm --kernel apt:bookworm/6.12 --for 10m
  faultline explore --kernel dir:old --kernel dir:new --about 'dax-*' \
      --programs 500
  faultline run --scenario generated/dax-ext4-shared/badblock/load

Exit codes:
  0    no difference, or known changes predict every difference
  1    other differences
  2    invalid request
  3    nothing could be judged
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
		Programs: c.Programs, For: c.For, Out: c.Out, Resume: c.Resume, Log: p.Say, Doing: p.Doing,
	}
	if opt.Header, err = c.header(ctx, lab); err != nil {
		return err
	}
	for _, k := range lab.Kernels {
		opt.Kernels = append(opt.Kernels, judge.NewKernel(k.Name, k.Version, k.Release, nil))
	}
	if !c.All {
		opt.Known = change.All()
	}
	begun := time.Now()
	out, err := explore.Do(ctx, lab, opt)
	p.stop()
	if err != nil {
		return err
	}
	writeExplored(os.Stdout, opt, out, time.Since(begun))
	if err := c.writeSpecs(out); err != nil {
		return err
	}
	switch {
	case out.Interrupted:
		fmt.Fprintln(os.Stderr, "faultline: interrupted; continue with --resume")
		return exitError(errkind.ExitInterrupted)
	case len(out.Findings) > 0:
		return exitError(errkind.ExitUnexpected)
	case out.Same+out.Differ == 0:
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
	if c.Resume && c.Seed == 0 {
		return errkind.Requestf("--resume needs the --seed of the exploration")
	}
	if c.Seed == 0 {
		c.Seed = 1 + uint64(rand.Uint32())
	}
	return checkJobs(c.Jobs)
}

// header returns what identifies the exploration.
func (c *exploreCmd) header(ctx context.Context, lab *explore.GuestLab) (h explore.Header, err error) {
	h = explore.Header{Tool: versionText(), Seed: c.Seed, About: c.About}
	for _, k := range lab.Kernels {
		h.Kernels = append(h.Kernels, k.Name+" "+k.Digest)
	}
	host, err := lab.Host(ctx)
	if err != nil {
		return h, err
	}
	h.QEMU = host.QEMU + " " + host.QEMUDigest
	exe, err := os.Executable()
	if err == nil {
		h.Programs, err = cache.FileSum(exe)
	}
	return h, err
}

// writeSpecs writes each finding as a spec.
func (c *exploreCmd) writeSpecs(out explore.Outcome) error {
	for i, f := range out.Findings {
		p, err := generated.Parse(f.Program)
		if err != nil {
			return err
		}
		source, err := suite.Found(p, [2]string{f.KernelA, f.KernelB}, f.Cells[0], f.Cells[1])
		if err != nil {
			return fmt.Errorf("write %s as a spec: %w", f.Program, err)
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

// writeExplored prints the result, short enough for a mail.
func writeExplored(w io.Writer, opt explore.Options, out explore.Outcome, took time.Duration) {
	var names []string
	for _, k := range opt.Kernels {
		names = append(names, k.Name)
	}
	fmt.Fprintf(w, "%s: %s in %s, --seed %d\n", strings.Join(names, ", "), programs(out.Programs),
		took.Round(time.Second), opt.Seed)
	fmt.Fprintf(w, "  same on all kernels %d, different %d, not possible %d, infrastructure failure %d, not repeatable %d\n",
		out.Same, out.Differ, out.Skipped, out.Lost, len(out.Unstable))
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
		fmt.Fprintf(w, "\nEach as the source of a scenario: %s\n", filepath.Join(opt.Out, "found1", "found.go"))
	}
}

// programs returns a number of programs as text.
func programs(n int) string { return english.Plural(n, "program", "") }
