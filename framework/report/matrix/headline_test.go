package matrix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestHeadline(t *testing.T) {
	one := demo.Run()
	one.Kernels = one.Kernels[:1]
	one.Cells = filter(one.Cells, func(c observe.Cell) bool { return c.Kernel == demo.OldName })
	judge.Run(&one)
	same := demo.Run()
	same.Cells = filter(same.Cells, func(c observe.Cell) bool { return strings.HasSuffix(c.Scenario, "/pread") })
	judge.Run(&same)
	skipped := results.Run{Cells: []observe.Cell{{Verdict: observe.Skipped}, {Verdict: observe.Skipped}}, Summary: results.Summary{Skipped: 2}}
	symbol := demo.Run()
	for i := range symbol.Differences {
		if symbol.Differences[i].Scenario == "dax/ext4/shared-read" {
			symbol.Differences[i].ExplainedBy = "CONFIG_MEMORY_FAILURE"
		}
	}
	for _, tc := range []struct {
		name string
		run  results.Run
		want string
	}{
		{"explained", demo.Run(), "30 of 30 as expected; 7 of 15 scenarios differ between kernels, all explained by 1 known change."},
		{"same", same, "4 of 4 as expected; no difference between kernels in 2 scenarios."},
		{"one kernel", one, "15 of 15 as expected."},
		{"trouble", demo.Troubled(), "28 of 30 as expected, 1 unexpected, 1 infrastructure failure, 6 findings; " +
			"8 of 13 scenarios differ between kernels: 1 with a lost change, 3 unexplained, 4 explained by 1 known change."},
		{"not compared", demo.Every()["not compared"], "30 of 30 as expected, 15 not compared."},
		{"interrupted", demo.Every()["interrupted"], "Interrupted: 28 of 28 as expected; 7 of 13 scenarios differ between kernels, all explained by 1 known change."},
		{"interrupted before all", demo.Every()["interrupted before all"], "Interrupted before anything was observed."},
		{"skipped", skipped, "2 cells skipped."},
		{"a symbol", symbol, "30 of 30 as expected; 7 of 15 scenarios differ between kernels, all explained by 1 known change and 1 configuration symbol."},
		{"nothing", results.Run{}, "Nothing was observed."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, NewHeadline(tc.run).Sentence); diff != "" {
				t.Errorf("sentence mismatch (-want +got):\n%s", diff)
			}
		})
	}
	h := NewHeadline(demo.Run())
	if diff := cmp.Diff([]string{"dax_fault_hwpoison (1ea7ca1b0901, v6.5): 7 scenarios"}, h.Changes); diff != "" {
		t.Errorf("changes mismatch (-want +got):\n%s", diff)
	}
	if want := "load file+0x4000 width 1: SIGBUS BUS_ADRERR on 6.1.192, SIGBUS BUS_MCEERR_AR lsb=12 on 6.12.117."; h.Example != want || h.Scenario != "dax/ext4/second-process" {
		t.Errorf("got example %q of %s, want %q of the lead scenario", h.Example, h.Scenario, want)
	}
}

func filter(cells []observe.Cell, keep func(observe.Cell) bool) []observe.Cell {
	var out []observe.Cell
	for _, c := range cells {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}
