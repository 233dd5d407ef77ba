package main

import (
	"context"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/run"
)

// scenarios asks the compiled suites what they hold.
func scenarios(ctx context.Context) ([]framework.Info, error) {
	suites, err := run.Suites(ctx)
	if err != nil {
		return nil, err
	}
	all := []framework.Info{}
	for _, s := range suites {
		all = append(all, s.Scenarios...)
	}
	return all, nil
}
