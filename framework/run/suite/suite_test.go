package suite

import (
	"errors"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/scenario"
)

// spec returns the report of a scenario's spec, or of an ordinary spec if id is empty.
func spec(doc, id string) ginkgo.SpecReport {
	r := ginkgo.SpecReport{LeafNodeText: doc, LeafNodeLocation: types.CodeLocation{FileName: doc + ".go", LineNumber: 7}}
	if id != "" {
		i := scenario.Info{ID: id, Skipped: "for a reason (this one)"}
		Register(i)
		r.LeafNodeLabels = scenario.LabelsOf(i)
	}
	return r
}

// The console of a lost guest is sanitized, because Ginkgo prints it to a terminal.
func TestDescribeIsInert(t *testing.T) {
	said := Describe(&vm.GuestError{Kind: vm.Hang, Kernel: "K", Err: errors.New("\x1b[2Jno\u009b"), Tail: "a\n::error::\u202e"})
	if want := "K did not answer: no·\n--- end of the console:\na\n:·:error:·:·"; said != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

func TestScenarios(t *testing.T) {
	specs := []ginkgo.SpecReport{spec("one", "a/b"), spec("ordinary", ""), spec("two", "a/c")}
	infos, err := scenarios(specs)
	if err != nil || len(infos) != 2 {
		t.Fatalf("got %+v, error %v; want 2 scenarios", infos, err)
	}
	// Fields that labels cannot hold are not lost.
	if i := infos[1]; i.ID != "a/c" || i.Doc != "two" || i.Skipped != "for a reason (this one)" || len(i.Labels) != 2 {
		t.Errorf("got %+v, want a/c with its text, its reason and 2 labels", i)
	}
	_, err = scenarios(append(specs, spec("three", "a/b")))
	if err == nil || !strings.Contains(err.Error(), "a/b") || !strings.Contains(err.Error(), "one.go:7") || !strings.Contains(err.Error(), "three.go:7") {
		t.Errorf("got %v, want a/b and where both are", err)
	}
}
