package docs_test

import (
	"testing"

	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// TestConfigurationHasAllNeeds checks that the configuration of tree: kernels has what
// the guest and every scenario need, as trees.md states. A missing symbol costs a
// scenario on every kernel, and a backport is then never judged completely.
func TestConfigurationHasAllNeeds(t *testing.T) {
	c, err := kconfig.ParseBytes([]byte(kernels.MinimalConfig()))
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]string{}
	for _, s := range listed(t) {
		for _, symbol := range s.Needs {
			if c.Get(symbol) != "y" {
				missing[symbol] = s.ID
			}
		}
	}
	for _, n := range required.Needs() {
		if c.Get(n.Symbol) != "y" {
			missing[n.Symbol] = n.For
		}
	}
	for symbol, by := range missing {
		t.Errorf("kernels/minimal.config has no CONFIG_%s, which is needed by %s", symbol, by)
	}
}
