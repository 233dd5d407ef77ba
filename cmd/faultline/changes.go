package main

import (
	"context"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/change/declared"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/run"
)

// changesFlag is for subcommands that judge results.
type changesFlag struct {
	Changes string `placeholder:"FILE" help:"Add the changes in FILE (docs/guides/changes.md)."`
}

// declared returns the changes of the file, if one is given, checked against the compiled
// scenarios and those of the user's programs.
func (c changesFlag) declared(ctx context.Context, programs ...program.Program) (change.List, error) {
	if c.Changes == "" {
		return nil, nil
	}
	file, err := declared.Load(c.Changes)
	if err != nil {
		return nil, err
	}
	suites, err := run.Suites(ctx, programs)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range suites {
		for _, i := range s.Scenarios {
			ids = append(ids, i.ID)
		}
	}
	return file.Changes, file.CheckScenarios(ids)
}
