package run

import (
	"testing"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestSuspected(t *testing.T) {
	cell, row := observe.Cell{Scenario: "a/b", Kernel: "new"}, results.Scenario{ID: "a/b", Changes: []string{"changed"}}
	for name, c := range map[string]struct {
		finding conclusion.Finding
		want    bool
	}{
		"of the cell":                   {conclusion.Finding{Scenario: "a/b", Kernels: []string{"old", "new"}}, true},
		"of another kernel":             {conclusion.Finding{Scenario: "a/b", Kernels: []string{"old"}}, false},
		"of another scenario":           {conclusion.Finding{Scenario: "a/c", Kernels: []string{"new"}, Change: "changed"}, false},
		"of a change it depends on":     {conclusion.Finding{Kernels: []string{"new"}, Change: "changed"}, true},
		"of another change":             {conclusion.Finding{Kernels: []string{"new"}, Change: "other"}, false},
		"of a change on another kernel": {conclusion.Finding{Kernels: []string{"old"}, Change: "changed"}, false},
	} {
		if got := suspected(cell, row, []conclusion.Finding{c.finding}); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
}
