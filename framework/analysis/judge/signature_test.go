package judge

import (
	"testing"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// A signature explains a difference only if both complete results match, on its place.
func TestSignature(t *testing.T) {
	known := change.List{{ID: mine, Subject: "x: y", Effect: "z", Signatures: []change.Signature{
		{Places: []string{"dax-*"}, Actions: []string{"load BYTE"}, After: []string{"badblock"}, Without: []string{"fork"}, Before: short + " at BYTE", With: long + " at BYTE"},
		{Places: []string{"dax-*"}, Witness: "log", With: "MCE: Killing PROCESS due*"},
	}}}
	seen := func(kernel, id, log string, o observe.Outcome) observe.Cell {
		return observe.Cell{
			Scenario: id, Kernel: kernel, Verdict: observe.Expected, Witnesses: map[string]string{"log": log},
			Steps: []observe.Step{{Actor: "victim", Action: "load file+0x4005", Outcome: o, Of: 2}},
		}
	}
	const quiet, killing = observe.NothingAboutPoison, "MCE: Killing victim due to x"
	large := signalled(payload(4, 21, 1))
	for _, test := range []struct {
		name, id string
		a, b     observe.Cell
		open     int // differences that are not explained
	}{
		{"both", "generated/dax-ext4-shared/badblock/load", seen("a", "", quiet, adrerr()), seen("b", "", killing, mceerr()), 0},
		{"reversed", "generated/dax-ext4-shared/badblock/load", seen("a", "", killing, mceerr()), seen("b", "", quiet, adrerr()), 0},
		{"another size", "generated/dax-ext4-shared/badblock/load", seen("a", "", quiet, adrerr()), seen("b", "", quiet, large), 2},
		{"another line", "generated/dax-ext4-shared/badblock/load", seen("a", "", quiet, adrerr()), seen("b", "", "x", mceerr()), 1},
		{"without the injection", "generated/dax-ext4-shared/poison/load", seen("a", "", quiet, adrerr()), seen("b", "", quiet, mceerr()), 2},
		{"after another step", "generated/dax-ext4-shared/fork/badblock/load", seen("a", "", quiet, adrerr()), seen("b", "", quiet, mceerr()), 2},
		{"only the line", "generated/dax-ext4-shared/badblock/load", seen("a", "", quiet, mceerr()), seen("b", "", killing, mceerr()), 1},
		{"another place", "generated/cache-ext4-shared/badblock/load", seen("a", "", quiet, adrerr()), seen("b", "", quiet, mceerr()), 2},
		{"a scenario", "dax/ext4/shared-read", seen("a", "", quiet, adrerr()), seen("b", "", quiet, mceerr()), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.a.Scenario, test.b.Scenario = test.id, test.id
			j := Judge([]observe.Cell{test.a, test.b}, []Kernel{{Name: "a"}, {Name: "b"}}, known)
			open := 0
			for _, d := range j.Differences {
				if d.ExplainedBy == "" {
					open++
				} else if d.ExplainedBy != mine {
					t.Errorf("explained by %s", d.ExplainedBy)
				}
			}
			if open != test.open || len(j.Differences) == 0 {
				t.Errorf("%d of %d differences are not explained, want %d", open, len(j.Differences), test.open)
			}
		})
	}
}
