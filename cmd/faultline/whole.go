package main

import (
	"context"
	"strconv"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
)

// matrixHelp explains how --matrix and --kernel go together.
const matrixHelp = `--matrix takes a file, or the name of a built-in matrix: default or wide. Kernels given with
--kernel are appended. With neither flag, the matrix is default.
`

// wholeFlags say what a whole run is, whichever part of it runs where.
type wholeFlags struct {
	Kernel   []string `placeholder:"SPEC" sep:"none" help:"Observe this kernel (repeatable)."`
	Matrix   string   `placeholder:"FILE" help:"Observe the kernels of FILE, default or wide."`
	Scenario []string `placeholder:"GLOB" complete:"scenario" sep:"none" help:"${scenario}"`
	Label    string   `placeholder:"FILTER" help:"${label}"`
	Accel    string   `enum:"auto,kvm,tcg" default:"auto" placeholder:"auto|kvm|tcg" help:"${accel}"`
	Repeat   int      `default:"1" placeholder:"N" help:"Observe each cell N times (default: 1)."`
	Jobs     int      `default:"0" placeholder:"N" help:"${jobs}"`
	Fresh    bool     `name:"fresh-cells" env:"FAULTLINE_FRESH_CELLS" help:"Observe every cell; reuse no results from earlier runs."`
	programsFlag
	changesFlag
	originFlag
}

// whole reads the flags: the kernels, and the changes that the user declares.
func (c *wholeFlags) whole(ctx context.Context) ([]matrix.Entry, change.List, error) {
	if err := c.use(); err != nil {
		return nil, nil, err
	}
	mine, err := c.declared(ctx)
	if err != nil {
		return nil, nil, err
	}
	entries, err := c.kernels(mine)
	if err != nil {
		return nil, nil, err
	}
	if c.Repeat < 1 || c.Jobs < 0 {
		return nil, nil, errkind.Requestf("--repeat is at least 1, and --jobs is not negative")
	}
	return entries, mine, c.checkOrigin()
}

// words are the flags as they were given, for another who is to run it.
func (c *wholeFlags) words() (words []string) {
	add := func(name, value string) {
		if value != "" {
			words = append(words, "--"+name+"="+value)
		}
	}
	for _, k := range c.Kernel {
		add("kernel", k)
	}
	add("matrix", c.Matrix)
	for _, s := range c.Scenario {
		words = append(words, "--scenario="+s)
	}
	for _, p := range c.Program {
		words = append(words, "--program="+p)
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
		words = append(words, "--fresh-cells")
	}
	add("changes", c.Changes)
	add("origin", c.Origin)
	return words
}

// kernels are the entries that the flags ask for; mine are the changes that they
// may speak of beside those that are known.
func (c *wholeFlags) kernels(mine change.List) ([]matrix.Entry, error) {
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
	}
	m, err := load()
	if err != nil {
		return nil, err
	}
	if err := m.CheckChanges(change.All().With(mine).IDs()); err != nil {
		return nil, err
	}
	entries := m.Kernels
	for _, spec := range c.Kernel {
		entries = append(entries, matrix.Entry{Spec: spec})
	}
	return entries, nil
}
