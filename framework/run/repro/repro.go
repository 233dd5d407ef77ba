// Package repro observes a recorded cell again, with verbose output, and compares it with
// the record. It can stop before a step, with the guest open for debugging. It writes no
// results.
package repro

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
)

// Options select the cell to observe again and how to follow it.
type Options struct {
	Run    results.Run
	Cell   observe.Cell // of Run
	Kernel results.Kernel
	// Pause is the step, from 1, before which the scenario waits with its guest open; 0
	// means that it does not wait. Busybox is the guest's shell then (vm.Guest.Open).
	Pause   int
	Busybox string
	Cache   *cache.Cache
	// Trust allows the kernels and programs of a record of another installation to be
	// resolved and run.
	Trust bool
	// Log logs what takes time. OnEvent receives the events of the suite process as they
	// arrive; a paused scenario resumes when OnEvent returns.
	Log     func(format string, args ...any)
	OnEvent func(scenario.Event)
}

// Again is the result of observing the cell again.
type Again struct {
	Cell observe.Cell
	// OtherKernel reports that the spec now resolves to another kernel.
	OtherKernel bool
	// Differences are the differences from the recorded cell.
	Differences []conclusion.Difference
	// Console is the guest's console output.
	Console string
}

// Same reports whether the cell shows the same as the recorded one.
func (a Again) Same() bool { return len(a.Differences) == 0 }

// Step returns the number, from 1, of the most relevant step of a recorded cell: the
// first that differs from another kernel's, else the first that was not as expected,
// else the first with an expectation, else 1.
func Step(r results.Run, c observe.Cell) int {
	first := func(of func(observe.Step) bool) int { return slices.IndexFunc(c.Steps, of) + 1 }
	at := 0
	for _, d := range slices.Concat(r.Differences, r.Repeats) {
		of := d.Scenario == c.Scenario && (d.KernelA == c.Kernel || d.KernelB == c.Kernel)
		if of && d.Step != conclusion.WholeCell && d.Step < len(c.Steps) && (at == 0 || d.Step+1 < at) {
			at = d.Step + 1
		}
	}
	if at == 0 {
		at = first(func(s observe.Step) bool { return s.Expected != nil && !s.Expected.Met })
	}
	if at == 0 {
		at = first(func(s observe.Step) bool { return s.Expected != nil })
	}
	return max(at, 1)
}

// programs returns the program of the cell's scenario, if it has one.
func programs(opt Options) ([]program.Program, error) {
	for _, s := range opt.Run.Scenarios {
		if s.ID != opt.Cell.Scenario || s.Program == nil {
			continue
		}
		now, err := program.New(s.Program.Path, s.Program.Args...)
		if err != nil {
			return nil, errkind.Requestf("read the program of %s: %v", s.ID, err)
		}
		if now.SHA256 != s.Program.SHA256 {
			opt.Log("%s differs from the recorded program; results may differ for this reason", now.Path)
		}
		return []program.Program{now}, nil
	}
	return nil, nil
}

// trusted returns an error for a record that this installation did not write, because
// resolving its kernel may run foreign code, such as the Makefile of a tree.
func trusted(opt Options) error {
	if opt.Trust {
		return nil
	}
	installation, err := results.OpenInstallation(opt.Cache.Dir())
	if err != nil || installation.Wrote(opt.Run) {
		return err
	}
	what := fmt.Sprintf("the kernel %q", opt.Kernel.Spec)
	for _, s := range opt.Run.Scenarios {
		if s.ID == opt.Cell.Scenario && s.Program != nil {
			what += fmt.Sprintf(" and runs the program %q", s.Program.Path)
		}
	}
	return errkind.Requestf("this record was written or changed by another installation of Faultline, "+
		"or it has relative paths and was written in another folder, "+
		"and repro resolves %s with your privileges (a tree: is built by its Makefile); "+
		"if you trust all of this, give --trust", what)
}

// Do observes the cell again. It returns an error for a wrong request or an
// infrastructure failure before a guest ran; later failures are in the cell.
func Do(ctx context.Context, opt Options) (a Again, err error) {
	if opt.Cell.Verdict == observe.Skipped {
		return a, errkind.Requestf("%s was skipped on %s: %s; name another cell",
			opt.Cell.Scenario, opt.Cell.Kernel, opt.Cell.Message)
	}
	if n := len(opt.Cell.Steps); opt.Pause > max(n, 1) {
		return a, errkind.Requestf("--pause=%d: the recorded cell has %d steps", opt.Pause, n)
	}
	if err := trusted(opt); err != nil {
		return a, err
	}
	its, err := programs(opt)
	if err != nil {
		return a, err
	}
	suites, picked, err := run.Pick(ctx, run.Selection{Scenarios: []string{opt.Cell.Scenario}, Programs: its})
	if err != nil {
		return a, err
	}
	name := opt.Kernel.Name
	entry := matrix.Entry{Spec: opt.Kernel.Spec, Name: name}
	k, err := entry.Resolve(ctx, kernels.Options{Cache: opt.Cache, Log: opt.Log})
	if err != nil {
		return a, err
	}
	defer k.Close()
	if a.OtherKernel = k.Digest != opt.Kernel.Digest; a.OtherKernel {
		opt.Log("%s is now another kernel (%s) than the recorded one (%s); results may differ for this reason",
			k.Spec, k.Release, opt.Kernel.Release)
	}
	o, err := run.NewExecutor(ctx, opt.Cache, k.Arch, 1)
	if err != nil {
		return a, err
	}
	defer o.Close()
	o.Log = opt.Log
	dir, err := os.MkdirTemp("", "faultline-repro-")
	if err != nil {
		return a, err
	}
	defer os.RemoveAll(dir)
	o.Consoles = func(string) string { return dir }
	pk, err := o.Kernel(ctx, k, accel(opt, picked))
	if err != nil {
		return a, err
	}
	todo := plan.Make([]*plan.Kernel{pk}, suites, picked, plan.Options{})
	if len(todo.Impossible) > 0 {
		return a, errkind.Requestf("%s cannot be observed on %s any more: %s",
			opt.Cell.Scenario, name, todo.Impossible[0].Message)
	}
	if err := o.Boot(ctx, todo.Tasks, nil); err != nil {
		return a, err
	}
	for _, t := range todo.Tasks {
		o.Follow(
			ctx,
			t,
			run.Follow{OnEvent: opt.OnEvent, Pause: opt.Pause, Busybox: opt.Busybox},
			func(c observe.Cell) { a.Cell = c },
		)
	}
	if err := context.Cause(ctx); err != nil {
		return a, err
	}
	a.Cell = judge.Declare([]observe.Cell{a.Cell}, opt.Run.Known())[0]
	a.Differences = differ(opt.Cell, a.Cell, a.OtherKernel)
	a.Console, err = consoles(dir)
	return a, err
}

// accel returns the accelerator to request: that of the recorded cell, or for a scenario
// that needs TCG that of the run.
func accel(opt Options, picked []scenario.Info) string {
	for _, i := range picked {
		if i.TCG != "" {
			return opt.Run.Accel
		}
	}
	return opt.Cell.Accel
}

// differ returns the differences between a recorded cell and a later observation. On the
// same kernel their canonical bytes must be equal.
func differ(then, now observe.Cell, other bool) []conclusion.Difference {
	var out []conclusion.Difference
	if then.Verdict != now.Verdict {
		out = append(
			out,
			conclusion.Difference{
				Scenario: then.Scenario,
				KernelA:  then.Kernel,
				KernelB:  now.Kernel,
				Step:     conclusion.WholeCell,
				Field:    "verdict",
				A:        string(then.Verdict),
				B:        string(now.Verdict),
			},
		)
	}
	switch {
	case other:
		return append(out, judge.Differ(then, now)...)
	case bytes.Equal(then.Canonical(), now.Canonical()):
		return out
	}
	return append(out, judge.DifferExactly(then, now)...)
}

// maxConsole bounds the console output that is shown, in bytes.
const maxConsole = 1 << 20

func consoles(dir string) (string, error) {
	files, err := fs.Glob(os.DirFS(dir), "*.console")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range files {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		_, err = io.Copy(&b, io.LimitReader(f, maxConsole))
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read the guest's console: %w", err)
		}
	}
	return b.String(), nil
}
