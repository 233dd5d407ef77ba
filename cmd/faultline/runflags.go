package main

import (
	"context"
	"strconv"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/run"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
)

// matrixHelp explains --matrix and --kernel.
const matrixHelp = `--matrix takes a file, or the name of a built-in matrix: default (6.1 and 6.12 of Debian 12), wide
(also 5.10 and the newest 7.x), or archive (all of Debian's archive, for faultline sweep). Kernels
given with --kernel are appended. With neither flag, the matrix is default. FILE is YAML: kernels: and
a list of spec: SPEC, each optionally with name: COLUMN and has: {CHANGE: true}, a claim that the
kernel has the change; a result that contradicts it is a finding. See docs/reference/usage.md.
`

// wholeFlags define a whole run, before it is split into shards.
type wholeFlags struct {
	Kernel   []string `placeholder:"SPEC" sep:"none" help:"Run on this kernel (repeatable)."`
	Matrix   string   `placeholder:"FILE" help:"Read the kernels from FILE, or a built-in matrix: default, wide, archive."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label    string   `placeholder:"FILTER" help:"${label}"`
	Accel    string   `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Repeat   int      `default:"1" placeholder:"N" help:"Run each cell N times (default: 1)."`
	Jobs     int      `default:"0" placeholder:"N" help:"${jobs}"`
	Fresh    bool     `name:"fresh-cells" env:"FAULTLINE_FRESH_CELLS" help:"Run every cell; reuse no results from earlier runs."`
	programsFlag
	changesFlag
	originFlag
}

// options checks the flags, and returns the options of the run that they define.
func (c *wholeFlags) options(ctx context.Context) (opt run.Options, err error) {
	opt = run.Options{
		Selection: run.Selection{Scenarios: c.Scenario, Label: c.Label},
		Accel:     c.Accel, Repeat: c.Repeat, Jobs: c.Jobs, Known: !c.Fresh, Origin: c.Origin,
	}
	if opt.Programs, err = c.programs(); err != nil {
		return opt, err
	}
	if opt.Changes, err = c.declared(ctx, opt.Programs...); err != nil {
		return opt, err
	}
	if opt.Kernels, err = c.kernels(opt.Changes); err != nil {
		return opt, err
	}
	if c.Repeat < 1 {
		return opt, errkind.Requestf("--repeat is %d; give 1 or more", c.Repeat)
	}
	if err := checkJobs(c.Jobs); err != nil {
		return opt, err
	}
	return opt, c.checkOrigin()
}

// checkJobs checks the value of --jobs.
func checkJobs(n int) error {
	if n < 0 {
		return errkind.Requestf("--jobs is %d; give 1 or more, or leave it out", n)
	}
	return nil
}

// args returns the flags as they were given, for the command of a shard.
func (c *wholeFlags) args() (args []string) {
	add := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	for _, k := range c.Kernel {
		add("kernel", k)
	}
	add("matrix", c.Matrix)
	for _, s := range c.Scenario {
		args = append(args, "--scenario="+s)
	}
	for _, p := range c.Program {
		args = append(args, "--program="+p)
	}
	add("label", c.Label)
	if c.Accel != "auto" {
		add("accel", c.Accel)
	}
	if c.Repeat != 1 {
		add("repeat", strconv.Itoa(c.Repeat))
	}
	if c.Jobs != 0 {
		add("jobs", strconv.Itoa(c.Jobs))
	}
	if c.Fresh {
		args = append(args, "--fresh-cells")
	}
	add("changes", c.Changes)
	add("origin", c.Origin)
	return args
}

// kernels returns the matrix entries of the flags. Their claims may name the known
// changes and the declared ones.
func (c *wholeFlags) kernels(declared change.List) ([]matrix.Entry, error) {
	for _, spec := range c.Kernel {
		if err := source.All().Check(spec); err != nil {
			return nil, err
		}
	}
	name := c.Matrix
	if name == "" && len(c.Kernel) == 0 {
		name = "default"
	}
	load := func() (*matrix.Matrix, error) { return matrix.Load(name) }
	switch name {
	case "":
		load = func() (*matrix.Matrix, error) { return &matrix.Matrix{}, nil }
	case "default":
		load = matrix.Default
	case "wide":
		load = matrix.Wide
	case "archive":
		load = matrix.Archive
	}
	m, err := load()
	if err != nil {
		return nil, err
	}
	if err := m.CheckChanges(change.All().With(declared).IDs()); err != nil {
		return nil, err
	}
	entries := m.Kernels
	for _, spec := range c.Kernel {
		entries = append(entries, matrix.Entry{Spec: spec})
	}
	return entries, nil
}
