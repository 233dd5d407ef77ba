package main

import (
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// The arguments that plan passes to shards parse to the flags that plan was given.
func TestWholeFlagsAreHandedOn(t *testing.T) {
	t.Setenv(freshCells, "0")
	for name, want := range map[string]wholeFlags{
		"nothing": {Accel: "auto", Repeat: 1},
		"everything": {
			Kernel: []string{"apt:bookworm", "deb:a b.deb,c.deb"}, Matrix: "m.yaml", Scenario: []string{"dax/*", "", "--x"}, Label: "!change: isEmpty",
			Accel: "tcg", Repeat: 3, Jobs: 4, Fresh: true, programsFlag: programsFlag{[]string{"./a b", "c"}}, changesFlag: changesFlag{"declared.yaml"}, originFlag: originFlag{"lab"},
		},
	} {
		for f, v := range reflect.ValueOf(want).Fields() {
			if name == "everything" && v.IsZero() {
				t.Errorf("%s is a flag of a whole run, but this test does not set it", f.Name)
			}
		}
		t.Run(name, func(t *testing.T) {
			var got struct{ wholeFlags }
			parser, err := kong.New(&got, helpVars())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(want.args()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.wholeFlags, cmp.AllowUnexported(wholeFlags{})); diff != "" {
				t.Errorf("flags mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
