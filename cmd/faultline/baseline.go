package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/internal/sanitize"
)

type baselineCmd struct {
	Save  baselineSaveCmd  `cmd:"" help:"Save the results of a run as a baseline."`
	Check baselineCheckCmd `cmd:"" help:"Compare a run with a baseline."`
	List  baselineListCmd  `cmd:"" help:"List the baselines in baselines/."`
}

func (baselineCmd) Help() string {
	return `A baseline is a file of expected results, with one cell per line, to keep in your repository. NAME
means baselines/NAME.json. A NAME with a slash, or one that ends in .json, is the path of the file.
save replaces an existing baseline, and refuses an incomplete run; the baseline includes
findings.

Examples:
  faultline baseline save stable results/latest
  faultline baseline check stable
  faultline run --against stable`
}

// baselinesFolder contains the baselines that are given by name.
const baselinesFolder = "baselines"

// baselineFile returns the file of a baseline.
func baselineFile(name string) string {
	if strings.ContainsRune(name, filepath.Separator) || filepath.Ext(name) == ".json" {
		return name
	}
	return filepath.Join(baselinesFolder, name+".json")
}

func loadBaseline(file string) (compare.Side, error) {
	text, err := limitread.ReadFile(file, baseline.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return compare.Side{}, errkind.Requestf("no baseline %s; create it with faultline baseline save %s RUN", file, file)
	}
	if err != nil {
		return compare.Side{}, err
	}
	b, err := baseline.Decode(text)
	if err != nil {
		return compare.Side{}, errkind.Requestf("%s: %v", file, err)
	}
	return compare.Side{Label: file, Run: b.Run, Baseline: b}, nil
}

type baselineSaveCmd struct {
	Name string `arg:"" help:"Name of the baseline, or its file."`
	Of   string `arg:"" optional:"" name:"run" default:"results/latest" help:"Results folder of the run (default: results/latest)."`
}

func (c *baselineSaveCmd) Run() error {
	folder, err := results.Open(c.Of)
	if err != nil {
		return err
	}
	run, err := folder.LoadObserved(judge.Run)
	if err != nil {
		return err
	}
	if run.Interrupted {
		return errkind.Requestf("the run in %s is incomplete; finish it with faultline run --resume", c.Of)
	}
	text, left, err := baseline.Encode(run)
	if err != nil {
		return err
	}
	file := baselineFile(c.Name)
	old, err := limitread.ReadFile(file, baseline.MaxBytes)
	if err == nil && !bytes.HasPrefix(old, []byte(`{"faultline_baseline":`)) {
		return errkind.Requestf("%s exists and is not a baseline; give another name, or move it away", file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	fmt.Printf(
		"%s: %s of %s, %s\n",
		file,
		english.Plural(len(run.Cells)-left, "cell", ""),
		english.Plural(len(run.Kernels), "kernel", ""),
		size(int64(len(text))),
	)
	if left > 0 {
		fmt.Fprintf(os.Stderr, "left out, could not be judged: %s\n", english.Plural(left, "cell", ""))
	}
	if n := len(run.Findings); n > 0 {
		fmt.Fprintf(os.Stderr, "now part of the baseline: %s of the run\n", english.Plural(n, "finding", ""))
	}
	return nil
}

type baselineCheckCmd struct {
	Name     string `arg:"" help:"Name of the baseline, or its file."`
	Of       string `arg:"" optional:"" name:"run" default:"results/latest" help:"Results folder of the run (default: results/latest)."`
	AnyAccel bool   `help:"${anyaccel}"`
	changesFlag
}

func (baselineCheckCmd) Help() string {
	return `Every difference counts, even if a change explains it, and so does a scenario that ran before and
is skipped now. To accept the new results, save the baseline again and have it reviewed.

Example:
  faultline baseline check stable results/latest

Exit codes:
  0    no differences
  1    something differs from the baseline
  2    invalid request
  3    something could not be compared: infrastructure failure, a different
       accelerator, changed steps of a scenario, a difference that a different
       QEMU or processor may cause, or a kernel that the run does not have`
}

func (c *baselineCheckCmd) Run(ctx context.Context) error {
	base, err := loadBaseline(baselineFile(c.Name))
	if err != nil {
		return err
	}
	now, err := side(c.Of)
	if err != nil {
		return err
	}
	declared, err := c.declared(ctx)
	if err != nil {
		return err
	}
	code, err := compareBaseline(os.Stdout, base, now, compare.Options{AnyAccel: c.AnyAccel, Changes: declared})
	if err == nil && code != 0 {
		err = exitError(code)
	}
	return err
}

// compareBaseline prints the differences from a baseline, and returns the exit code.
func compareBaseline(to *os.File, base, now compare.Side, opt compare.Options) (int, error) {
	found, err := compare.Of(base, now, opt)
	if err != nil {
		return 0, err
	}
	return found.Moved(), found.Write(to)
}

type baselineListCmd struct{}

func (baselineListCmd) Run() error {
	files, err := filepath.Glob(filepath.Join(baselinesFolder, "*.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		fmt.Printf("No baselines in %s.\n", baselinesFolder)
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BASELINE\tCELLS\tKERNELS")
	for _, f := range files {
		b, err := loadBaseline(f)
		if err != nil {
			return err
		}
		var names []string
		for _, k := range b.Run.Kernels {
			names = append(names, sanitize.Line(k.Name))
		}
		fmt.Fprintf(
			w,
			"%s\t%d\t%s\n",
			strings.TrimSuffix(filepath.Base(f), ".json"),
			len(b.Run.Cells),
			strings.Join(names, ", "),
		)
	}
	return w.Flush()
}
