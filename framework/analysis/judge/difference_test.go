package judge

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
)

// A cell with another accelerator than the first kernel's is listed: it is not known
// that nothing differs.
func TestUncompared(t *testing.T) {
	const a, b, c, d = "6.1", "6.4", "6.5", "6.12"
	all := []string{a, b, c, d}
	for name, test := range map[string]struct {
		accels      string // of each kernel: k, t, or - for skipped
		want        string // the kernels that are listed
		differences int    // between cells that were compared
	}{
		"all alike":                   {"tttt", "", 2},
		"one of four":                 {"tttk", d, 1},
		"the first alone":             {"kttt", b + " " + c + " " + d, 2},
		"two and two":                 {"ktkt", b + " " + d, 2},
		"the first did not run it":    {"-ktt", c + " " + d, 0},
		"only one ran it":             {"k---", "", 0},
		"two, and no two of them may": {"k--t", d, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var kernels []Kernel
			var cells []observe.Cell
			for i, k := range all {
				kernels = append(kernels, NewKernel(k, k, "", nil))
				one := cell(k, "s", step("", observe.Both, []observe.Outcome{adrerr(), mceerr()}[i/2]))
				one.Steps[0].Expected = nil
				switch test.accels[i] {
				case 'k':
					one.Accel = "kvm"
				case '-':
					one.Verdict = observe.Skipped
				}
				cells = append(cells, one)
			}
			j := Judge(cells, kernels, nil)
			var got []string
			differ := map[string]bool{}
			for _, u := range j.Uncompared {
				got = append(got, u.KernelB)
				if u.Scenario != "s" || u.Why == "" || u.KernelA == u.KernelB {
					t.Errorf("got %+v, want the scenario s, a reason and two kernels", u)
				}
			}
			for _, d := range j.Differences {
				differ[d.KernelB] = true
			}
			if strings.Join(got, " ") != test.want || len(differ) != test.differences {
				t.Errorf("got uncompared %v, want %s; got %d kernels that differ, want %d", got, test.want, len(differ), test.differences)
			}
		})
	}
}
