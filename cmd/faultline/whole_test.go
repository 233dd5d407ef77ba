package main

import (
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// What plan hands on is read by run as it was given to plan.
func TestWholeFlagsAreHandedOn(t *testing.T) {
	t.Setenv(freshCells, "0")
	for name, want := range map[string]wholeFlags{
		"nothing": {Accel: "auto", Repeat: 1},
		"everything": {
			Kernel: []string{"apt:bookworm", "deb:a b.deb,c.deb"}, Matrix: "m.yaml", Scenario: []string{"dax/*", "", "--x"}, Label: "!change: isEmpty",
			Accel: "tcg", Repeat: 3, Jobs: 4, Fresh: true, programsFlag: programsFlag{[]string{"./a b", "c"}}, changesFlag: changesFlag{"mine.yaml"}, originFlag: originFlag{"lab"},
		},
	} {
		for f, v := range reflect.ValueOf(want).Fields() {
			if name == "everything" && v.IsZero() {
				t.Errorf("%s is a flag of a whole run, and is not handed on here", f.Name)
			}
		}
		t.Run(name, func(t *testing.T) {
			var got struct{ wholeFlags }
			parser, err := kong.New(&got, helpVars())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(want.words()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.wholeFlags, cmp.AllowUnexported(wholeFlags{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
