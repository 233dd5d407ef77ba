package demo_test

import (
	"encoding/json"
	"testing"

	"github.com/faultline/faultline/framework/report/internal/demo"
	"github.com/faultline/faultline/framework/results"
)

// The demo is a run as one can be: its record is valid.
func TestDemoIsValid(t *testing.T) {
	for name, run := range map[string]results.Run{"demo": demo.Run(), "troubled": demo.Troubled(), "hostile": demo.Hostile()} {
		b, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Validate(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
