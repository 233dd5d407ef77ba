package demo_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
)

// The record of each demo is valid.
func TestDemosAreValid(t *testing.T) {
	for name, run := range demo.Every() {
		b, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Validate(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each run of Every has only the findings that its name announces.
func TestEvery(t *testing.T) {
	for name, want := range map[string]struct {
		code  int
		kinds []conclusion.FindingKind
	}{
		"as expected":                   {code: 0},
		"skipped":                       {code: 0},
		"infra":                         {code: 3},
		"infra, once of twice":          {code: 3},
		"no kernel boots":               {code: 3},
		"unexpected":                    {1, []conclusion.FindingKind{conclusion.UnexpectedObservation}},
		"lost change":                   {1, []conclusion.FindingKind{conclusion.LostChange}},
		"incomplete change":             {1, []conclusion.FindingKind{conclusion.IncompleteChange}},
		"contradicted claim":            {1, []conclusion.FindingKind{conclusion.ContradictedClaim}},
		"unexplained difference":        {1, []conclusion.FindingKind{conclusion.UnexplainedDifference}},
		"splat":                         {1, []conclusion.FindingKind{conclusion.Splat}},
		"not repeatable":                {1, []conclusion.FindingKind{conclusion.NotRepeatable}},
		"interrupted":                   {code: 130},
		"interrupted when all was done": {code: 130},
		"interrupted before all":        {code: 130},
		"nothing":                       {code: 0},
	} {
		run := demo.Every()[name]
		if run.Summary.ExitCode != want.code || !slices.Equal(demo.Kinds(run), want.kinds) {
			t.Errorf("%s: got exit code %d and %v, want %d and %v", name, run.Summary.ExitCode, demo.Kinds(run), want.code, want.kinds)
		}
	}
}
