package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

type listCmd struct {
	Scenarios listScenariosCmd `cmd:"" default:"withargs" help:"List the scenarios (with --json also what they need and test)."`
	Changes   listChangesCmd   `cmd:"" help:"List the known kernel changes."`
	Kernels   listKernelsCmd   `cmd:"" help:"List the kernels of apt's suites, or of another suite or repository."`
}

func (listCmd) Help() string {
	return `Examples:
  # the scenarios, one per line
  faultline list
  # what explains differences
  faultline list changes
  # specs for --kernel
  faultline list kernels`
}

type listScenariosCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *listScenariosCmd) Run(ctx context.Context) error {
	all, err := scenarios(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(all)
	}
	var tested, not []scenario.Info
	for _, s := range all {
		if s.Skipped == "" {
			tested = append(tested, s)
		} else {
			not = append(not, s)
		}
	}
	columns(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "SCENARIO\tWHAT IT SHOWS")
		for _, s := range tested {
			fmt.Fprintf(w, "%s\t%s\n", s.ID, s.Doc)
		}
	})
	if len(not) > 0 {
		fmt.Println()
		columns(func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "NOT TESTED\tWHY")
			for _, s := range not {
				fmt.Fprintf(w, "%s\t%s\n", s.ID, s.Skipped)
			}
		})
	}
	return nil
}

type listChangesCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (listChangesCmd) Help() string {
	return `explain, backport --change, and has: in a matrix file take these ids. SINCE is the first upstream
release with the change.

Example:
  faultline list changes`
}

func (c *listChangesCmd) Run() error {
	all := change.All()
	if c.JSON {
		return printJSON(all)
	}
	columns(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "CHANGE\tCOMMIT\tSINCE\tEFFECT")
		for _, c := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, cmp.Or(c.Commit, "-"), cmp.Or(c.Since, "-"), c.Effect)
		}
	})
	return nil
}

type listKernelsCmd struct {
	Place string `arg:"" optional:"" placeholder:"SOURCE" name:"source" help:"apt:SUITE, rpmrepo:URL (both also with /PATTERN), or dir:FOLDER/*."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

func (listKernelsCmd) Help() string {
	return `Without SOURCE, list the newest kernel of each series in the suites of apt's sources, without rt, cloud
and debug flavours; apt:SUITE/* lists every version. Other suites of the same mirror are available by
name, as in apt:trixie-backports. Print the spec for --kernel, the version, package and
suite, and whether the kernel is cached.

` + kernelSpecs() + `
Examples:
  faultline list kernels
  faultline list kernels apt:trixie-backports
  faultline list kernels rpmrepo:https://HOST/9-stream/BaseOS/x86_64/os`
}

func (c *listKernelsCmd) Run(ctx context.Context) error {
	offers, err := source.All().Offers(ctx, c.Place, kernels.Options{Log: progress})
	if err != nil {
		return err
	}
	if c.JSON {
		if offers == nil {
			offers = []kernels.Offer{}
		}
		return printJSON(offers)
	}
	columns(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "KERNEL\tVERSION\tPACKAGE\tSUITE\tCACHED")
		for _, o := range offers {
			cached := "no"
			if o.Cached {
				cached = "yes"
			}
			if o.Suite == "" {
				o.Suite = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", o.Spec, o.Version, o.Package, o.Suite, cached)
		}
	})
	return nil
}

func columns(fill func(*tabwriter.Writer)) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fill(w)
	w.Flush()
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
