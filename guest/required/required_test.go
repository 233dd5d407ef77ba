package required

import (
	"strings"
	"testing"
)

func TestNeeds(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range Needs() {
		if n.For == "" || seen[n.Symbol] || strings.HasPrefix(n.Symbol, "CONFIG_") {
			t.Errorf("got %+v", n)
		}
		seen[n.Symbol] = true
	}
	if got := Symbols(); len(got) != len(seen) || len(got) == 0 {
		t.Errorf("%d symbols, %d needs", len(got), len(seen))
	}
}
