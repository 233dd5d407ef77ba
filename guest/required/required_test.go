package required

import (
	"strings"
	"testing"
)

func TestNeeds(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range Needs() {
		if n.For == "" || seen[n.Symbol] || strings.HasPrefix(n.Symbol, "CONFIG_") {
			t.Errorf("got %+v, want a reason, and a symbol of its own without CONFIG_", n)
		}
		seen[n.Symbol] = true
	}
	if got := Symbols(); len(got) != len(seen) || len(got) == 0 {
		t.Errorf("got %d symbols, want %d, one of each need", len(got), len(seen))
	}
}
