package main

import (
	"context"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run"
)

// scenarios lists the scenarios of all suites.
func scenarios(ctx context.Context) ([]scenario.Info, error) {
	suites, err := run.Suites(ctx, nil)
	if err != nil {
		return nil, err
	}
	all := []scenario.Info{}
	for _, s := range suites {
		all = append(all, s.Scenarios...)
	}
	return all, nil
}
