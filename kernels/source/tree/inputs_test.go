package tree_test

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/kernels/source/tree"
)

// TestInputs checks that a configuration's content counts, not its name, and that
// flags count.
func TestInputs(t *testing.T) {
	u := newUser(t)
	t.Setenv("KCFLAGS", "")
	u.write("../config", "CONFIG_MINE=y\n")
	set := map[string]string{"config": filepath.Join(u.root, "../config")}
	inputs := func() map[string]string {
		t.Helper()
		in, err := tree.Inputs(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	first := inputs()
	if !maps.Equal(first, inputs()) {
		t.Error("equal inputs differ")
	}
	u.write("../config", "# CONFIG_MINE is not set\n")
	second := inputs()
	if first["configuration"] == second["configuration"] {
		t.Error("changed content of the configuration: got equal inputs")
	}
	t.Setenv("KCFLAGS", "-O1")
	if third := inputs(); maps.Equal(second, third) || third["KCFLAGS"] != "-O1" {
		t.Errorf("got %v and %v, want KCFLAGS=-O1 in the second", second, third)
	}
}
