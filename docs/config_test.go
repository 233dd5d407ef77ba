package docs_test

import (
	"testing"

	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// The configuration that tree: builds with has what every scenario and the guest
// itself need, as trees.md says: a symbol that is missing there costs a scenario on
// every kernel, and a backport is then never judged as a whole.
func TestConfigurationHasAllNeeds(t *testing.T) {
	c, err := kconfig.ParseBytes([]byte(kernels.MinimalConfig()))
	if err != nil {
		t.Fatal(err)
	}
	lacks := map[string]string{}
	for _, s := range listed(t) {
		for _, symbol := range s.Needs {
			if c.Get(symbol) != "y" {
				lacks[symbol] = s.ID
			}
		}
	}
	for _, n := range required.Needs() {
		if c.Get(n.Symbol) != "y" {
			lacks[n.Symbol] = n.For
		}
	}
	for symbol, by := range lacks {
		t.Errorf("kernels/minimal.config lacks CONFIG_%s, which is needed by %s", symbol, by)
	}
}
