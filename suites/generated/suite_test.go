package generated

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/run/suite"
)

func TestGenerated(t *testing.T) { suite.Run(t, generated.Suite) }

// Every place and every operation can be carried out, and there are no others.
func TestVocabulary(t *testing.T) {
	var places, names []string
	for _, p := range generated.Places() {
		places = append(places, p.Name)
	}
	for _, o := range generated.Operations() {
		names = append(names, o.Name)
	}
	slices.Sort(places)
	slices.Sort(names)
	if d := cmp.Diff(places, slices.Sorted(maps.Keys(setups))); d != "" {
		t.Errorf("places (-vocabulary +suite):\n%s", d)
	}
	if d := cmp.Diff(names, slices.Sorted(maps.Keys(operations))); d != "" {
		t.Errorf("operations (-vocabulary +suite):\n%s", d)
	}
}
