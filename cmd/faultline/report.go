package main

import (
	"errors"
	"os"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/internal/errkind"
)

type reportCmd struct {
	Folder string `arg:"" optional:"" name:"run" default:"results/latest" help:"Results folder of a run (default: results/latest)."`
	Schema bool   `help:"Print the JSON schema of run.json and exit."`
	outputFlags
	originFlag
}

func (reportCmd) Help() string {
	return `Without --format, print the table, and write report.html and the files for CI systems into the
results folder again. With --format, write only the formats given. The reports of an incomplete run
contain the cells observed so far.

` + formats() + `
Examples:
  faultline report results/latest
  faultline report results/latest --format junit=-

Exit codes:
  0    the reports were written, whatever the verdict of the run
  2    invalid request
  3    infrastructure failure`
}

func (c *reportCmd) Run() error {
	if c.Schema {
		_, err := os.Stdout.Write(results.JSONSchema())
		return err
	}
	if err := c.checkOrigin(); err != nil {
		return err
	}
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	folder, err := results.Open(c.Folder)
	if err != nil {
		return err
	}
	record, err := folder.LoadObserved(judge.Run)
	if err != nil {
		return err
	}
	if c.Origin != "" {
		record.Origin = c.Origin
	}
	if len(outputs) > 0 {
		return outputs.write(record, folder)
	}
	return errors.Join(report.Write(record, folder), show(os.Stdout, record, folder.Dir()))
}

// outputFlags are the formats in which a command writes a run.
type outputFlags struct {
	Format []string `placeholder:"NAME=FILE" complete:"format" sep:"none" help:"Write the run in this format to FILE (repeatable)."`
}

// originFlag is the origin of a run in KCIDB.
type originFlag struct {
	Origin string `placeholder:"NAME" help:"Set the origin field of kcidb: the name of your CI."`
}

// checkOrigin rejects a name that KCIDB's schema does not allow as an origin.
func (f originFlag) checkOrigin() error {
	if strings.Trim(f.Origin, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return errkind.Requestf("--origin %q: want lower case letters, digits and _, as KCIDB requires", f.Origin)
	}
	return nil
}

// outputs are formats with their files.
type outputs []report.Output

// outputs parses the flags, and fails early if a file can't be written.
func (f outputFlags) outputs() (outputs, error) {
	var out outputs
	for _, text := range f.Format {
		o, err := report.ParseOutput(text)
		if err == nil {
			err = o.Check()
		}
		if err != nil {
			return nil, err
		}
		if o.File == report.Stdout && out.stdout() {
			return nil, errkind.Requestf("--format %s: another format uses standard output; give one of them a file",
				text)
		}
		out = append(out, o)
	}
	return out, nil
}

// stdout reports whether one of them goes to standard output.
func (all outputs) stdout() bool {
	for _, o := range all {
		if o.File == report.Stdout {
			return true
		}
	}
	return false
}

// table returns the file for the table: standard error if a format uses standard output.
func (all outputs) table() *os.File {
	if all.stdout() {
		return os.Stderr
	}
	return os.Stdout
}

// write writes all of them, even if one fails.
func (all outputs) write(record results.Run, folder *results.Folder) error {
	var errs []error
	for _, o := range all {
		errs = append(errs, o.Write(record, folder, os.Stdout))
	}
	return errors.Join(errs...)
}
