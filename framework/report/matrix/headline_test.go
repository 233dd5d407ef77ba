package matrix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestHeadline(t *testing.T) {
	one := demo.Run()
	one.Kernels = one.Kernels[:1]
	one.Cells = filter(one.Cells, func(c observe.Cell) bool { return c.Kernel == demo.OldName })
	one.Judge()
	same := demo.Run()
	same.Cells = filter(same.Cells, func(c observe.Cell) bool { return strings.HasSuffix(c.Scenario, "/pread") })
	same.Judge()
	for _, tc := range []struct {
		name string
		run  results.Run
		want string
	}{
		{"explained", demo.Run(), "6.1.192 and 6.12.117 differ in 7 of 15 scenarios; all 7 are explained by dax_fault_hwpoison (1ea7ca1b0901, v6.5)."},
		{"same", same, "6.1.192 and 6.12.117 show user space the same in all 2 scenarios."},
		{"one kernel", one, "6.1.192: 15 of 15 observations as expected."},
		{"trouble", demo.Troubled(), "6.1.192 and 6.12.117 differ in 8 of 13 scenarios, in 1 by a change that was lost; of the other 7, 4 are explained by dax_fault_hwpoison (1ea7ca1b0901, v6.5). 1 cell could not be judged."},
		{"nothing", results.Run{}, "Nothing was observed."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, NewHeadline(tc.run).Sentence); diff != "" {
				t.Error(diff)
			}
		})
	}
	h := NewHeadline(demo.Run())
	if want := "load file+0x4000 width 1: SIGBUS BUS_ADRERR on 6.1.192, SIGBUS BUS_MCEERR_AR lsb=12 on 6.12.117."; h.Example != want || h.Scenario != "dax/ext4/second-process" {
		t.Errorf("example %q of %s, want %q of the lead scenario", h.Example, h.Scenario, want)
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
