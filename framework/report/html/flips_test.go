package html

import (
	"slices"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
)

func flipsOf(run results.Run) flips { return newFlips(run, matrix.Short(run.Kernels)) }

func words(f flips) (out []string) {
	for _, m := range f.Moves {
		text := m.Text
		if m.Finding {
			text = "! " + text
		}
		out = append(out, text)
	}
	return out
}

func TestFlips(t *testing.T) {
	gone := demo.Run()
	gone.Kernels[0].Version = "6.13" // which shows the state before the change
	other := demo.Run()
	for i, c := range other.Cells {
		if c.Kernel == other.Kernels[1].Name && c.Scenario == "dax/ext4/shared-read" {
			other.Cells[i].Witnesses = map[string]string{"badblocks": "40 8", "log": c.Witnesses["log"]}
		}
	}
	none := demo.Run()
	for i := range none.Kernels {
		none.Kernels[i].Version, none.Kernels[i].Release = "next", "next"
	}
	for name, c := range map[string]struct {
		run  results.Run
		want []string
	}{
		"flipped":     {demo.Run(), []string{"6.1.192 to 6.12.117: dax_fault_hwpoison flips 7 scenarios"}},
		"gone":        {gone, []string{"! 6.12.117 to 6.13: dax_fault_hwpoison is gone in 7 scenarios"}},
		"unexplained": {other, []string{"! 6.1.192 to 6.12.117: 1 scenario by no known change", "6.1.192 to 6.12.117: dax_fault_hwpoison flips 7 scenarios"}},
		"no version":  {none, nil},
	} {
		f := flipsOf(c.run)
		if got := words(f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if drawn := f.picture() != ""; drawn != (c.want != nil) {
			t.Errorf("%s: got drawn %t, want %t", name, drawn, !drawn)
		}
	}
	row := flipsOf(gone).Rows[0]
	if want := []conclusion.ChangeVerdict{conclusion.Has, conclusion.Lacks}; !slices.Equal(row.states, want) || row.States[0] != "seen in 7" {
		t.Errorf("got %+v, want has, then lacks, and seen in 7", row)
	}
}
