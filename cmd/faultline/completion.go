package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run/shard"
	"github.com/faultline/faultline/internal/complete"
	"github.com/faultline/faultline/internal/manpage"
)

type completionCmd struct {
	Shell string `arg:"" enum:"${shells}" help:"Shell to complete in: ${shells}."`
}

func (completionCmd) Help() string {
	return `The script completes the commands and flags of faultline, and the ids of scenarios, changes and the
cells of results/latest. faultline must be in PATH.

Examples:
  # in ~/.bashrc
  source <(faultline completion bash)
  # in ~/.zshrc, after compinit
  source <(faultline completion zsh)
  # in ~/.config/fish/config.fish
  faultline completion fish | source`
}

func (c *completionCmd) Run(app *kong.Kong) error {
	_, err := fmt.Print(complete.Script(c.Shell, app.Model.Name))
	return err
}

// completeCmd is called by the completion scripts.
type completeCmd struct {
	Line string `arg:""`
}

func (c *completeCmd) Run(ctx context.Context, app *kong.Kong) error {
	ids := func(string) (out []string) {
		all, err := scenarios(ctx)
		if err != nil {
			return nil // completion must not print errors
		}
		for _, i := range all {
			out = append(out, i.ID)
		}
		return out
	}
	changes := func(string) []string { return change.All().IDs() }
	for _, w := range complete.Words(app.Model, c.Line, complete.Values{
		"scenario": ids,
		"change":   changes,
		"cell":     latestCells,
		"engine":   func(string) []string { return shard.Names() },
		"format": func(string) (out []string) {
			for _, n := range report.Names() {
				out = append(out, n+"=")
			}
			return out
		},
		"explain": func(word string) []string {
			if strings.Contains(word, "@") {
				return latestCells(word)
			}
			return append(changes(word), ids(word)...)
		},
	}) {
		fmt.Println(w)
	}
	return nil
}

// latestCells returns the names of the cells of the latest run.
func latestCells(string) (out []string) {
	folder, err := results.Open(results.Latest)
	if err != nil {
		return nil
	}
	run, err := folder.LoadObserved(judge.Run)
	if err != nil {
		return nil
	}
	for _, c := range run.Cells {
		if c.Attempt <= 1 {
			out = append(out, run.CellName(c))
		}
	}
	return out
}

type manCmd struct{}

func (manCmd) Help() string {
	return `Example:
  faultline man | man -l -`
}

func (manCmd) Run(app *kong.Kong) error {
	return manpage.Write(os.Stdout, app.Model, versionText(), manpage.Section{Title: "EXIT STATUS", Text: exitStatus})
}
