package results_test

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

func TestFindCell(t *testing.T) {
	r := results.Run{
		Kernels: []results.Kernel{
			{Name: "6.1.192 (apt:bookworm)", Spec: "apt:bookworm", Version: "6.1.192", Release: "6.1.0-56-amd64"},
			{Name: "6.12.117 (apt:bookworm/6.12)", Spec: "apt:bookworm/6.12", Version: "6.12.117", Release: "6.12.117+deb12-amd64"},
			{Name: "ours", Spec: "tree:../linux@v6.1", Version: "6.1.0"},
			{Name: "theirs", Spec: "tree:../linux@v6.1", Version: "6.1.0"},
		},
		Cells: []observe.Cell{
			{Scenario: "dax/ext4/pread", Kernel: "6.1.192 (apt:bookworm)", Verdict: observe.Infra, Attempt: 1},
			{Scenario: "dax/ext4/pread", Kernel: "6.1.192 (apt:bookworm)", Verdict: observe.Expected, Attempt: 2},
			{Scenario: "dax/ext4/pread", Kernel: "6.12.117 (apt:bookworm/6.12)", Verdict: observe.Expected},
			{Scenario: "dax/ext4/pread", Kernel: "ours", Verdict: observe.Expected},
		},
	}
	for name, want := range map[string]string{
		"dax/ext4/pread@apt:bookworm":                 "6.1.192 (apt:bookworm)",
		"dax/ext4/pread@6.1.192":                      "6.1.192 (apt:bookworm)",
		"dax/ext4/pread@6.1.0-56-amd64":               "6.1.192 (apt:bookworm)",
		"dax/ext4/pread@6.12":                         "6.12.117 (apt:bookworm/6.12)",
		"dax/ext4/pread@6.12.117 (apt:bookworm/6.12)": "6.12.117 (apt:bookworm/6.12)",
		"dax/ext4/pread@ours":                         "ours",
	} {
		c, k, err := r.FindCell(name)
		if err != nil || k.Name != want || c.Kernel != want || c.Verdict != observe.Expected {
			t.Errorf("%s: got %+v on %s, error %v; want an expected cell on %s", name, c, k.Name, err, want)
		}
		// Its own name finds it again.
		if again, _, err := r.FindCell(r.CellName(c)); err != nil || again.Kernel != want {
			t.Errorf("%s: got %+v, error %v; want the cell on %s", r.CellName(c), again, err, want)
		}
	}
	if got := r.CellName(r.Cells[2]); got != "dax/ext4/pread@apt:bookworm/6.12" {
		t.Errorf("got %s, want dax/ext4/pread@apt:bookworm/6.12", got)
	}
	if got := r.CellName(r.Cells[3]); got != "dax/ext4/pread@ours" { // its spec is another's, too
		t.Errorf("got %s, want dax/ext4/pread@ours", got)
	}
	for name, want := range map[string]string{
		"dax/ext4/pread":                    "is not the name of a cell; write SCENARIO@KERNEL",
		"dax/ext4/pread@":                   `the run has no kernel ""; it has "6.1.192 (apt:bookworm)", `,
		"dax/ext4/pread@6.1":                `"6.1" matches more than one kernel of the run: "6.1.192 (apt:bookworm)", "ours" and "theirs"`,
		"dax/ext4/pread@tree:../linux@v6.1": `more than one kernel of the run: "ours" and "theirs"`,
		"dax/ext4/pread@apt:bokworm":        "did you mean apt:bookworm?",
		"dax/ext4/pread@nothing like it":    "it has ",
		"dax/ext4/praed@ours":               "did you mean dax/ext4/pread?",
		"dax/ext4/pread@theirs":             "the run has no cell of \"dax/ext4/pread\" on theirs; see report.html",
	} {
		if _, _, err := r.FindCell(name); err == nil || !strings.Contains(err.Error(), want) || errkind.Of(err) != errkind.Request {
			t.Errorf("%s: got %v, want a request error with %q", name, err, want)
		}
	}
}
