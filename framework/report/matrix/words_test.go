package matrix

import (
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

func TestRepeat(t *testing.T) {
	c := observe.Cell{Scenario: "dax/ext4/pread", Kernel: "6.1.192 (apt:bookworm)"}
	k := []results.Kernel{{Name: c.Kernel, Spec: "apt:bookworm"}}
	for _, test := range []struct {
		run  results.Run
		want string
	}{
		{results.Run{ID: "T"}, "faultline repro 'dax/ext4/pread@6.1.192 (apt:bookworm)' --run results/T"},
		{results.Run{ID: "T", Kernels: k, Command: []string{"bin/faultline", "run"}}, "bin/faultline repro dax/ext4/pread@apt:bookworm --run results/T"},
		{results.Run{ID: "T", Kernels: k, Command: []string{"faultline", "merge", "--out", "all of them", "one"}}, "faultline repro dax/ext4/pread@apt:bookworm --run 'all of them'"},
		{results.Run{ID: "T", Kernels: k, Command: []string{"faultline", "run", "--out=/tmp/x"}}, "faultline repro dax/ext4/pread@apt:bookworm --run /tmp/x"},
	} {
		if got := Repeat(test.run, c); got != test.want {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}
