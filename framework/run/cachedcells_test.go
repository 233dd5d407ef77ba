package run

import (
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestSuspected(t *testing.T) {
	cell, row := observe.Cell{Scenario: "a/b", Kernel: "new"}, results.Scenario{ID: "a/b", Changes: []string{"changed"}}
	for name, c := range map[string]struct {
		finding judge.Finding
		want    bool
	}{
		"of the cell":                   {judge.Finding{Scenario: "a/b", Kernels: []string{"old", "new"}}, true},
		"of another kernel":             {judge.Finding{Scenario: "a/b", Kernels: []string{"old"}}, false},
		"of another scenario":           {judge.Finding{Scenario: "a/c", Kernels: []string{"new"}, Change: "changed"}, false},
		"of a change it depends on":     {judge.Finding{Kernels: []string{"new"}, Change: "changed"}, true},
		"of another change":             {judge.Finding{Kernels: []string{"new"}, Change: "other"}, false},
		"of a change on another kernel": {judge.Finding{Kernels: []string{"old"}, Change: "changed"}, false},
	} {
		if got := suspected(cell, row, []judge.Finding{c.finding}); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
