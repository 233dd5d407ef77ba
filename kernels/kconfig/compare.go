package kconfig

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Unmet is a symbol that does not have the requested value: Kconfig silently drops
// symbols whose dependencies are not set.
type Unmet struct{ Symbol, Asked, Got string }

func (u Unmet) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (got %s)", strings.TrimPrefix(u.Symbol, "CONFIG_"), u.Asked, u.Got)
}

// Difference is a symbol with different values in two configurations; "n" is a symbol that
// is not set.
type Difference struct{ Symbol, A, B string }

// Differences returns the symbols whose values differ, sorted by name.
func Differences(a, b *Config) (list []Difference) {
	for _, s := range slices.Compact(slices.Sorted(slices.Values(append(a.Symbols(), b.Symbols()...)))) {
		if x, y := orNo(a, s), orNo(b, s); x != y {
			list = append(list, Difference{s, x, y})
		}
	}
	return list
}

// orNo returns a symbol's value, "n" if it is not set.
func orNo(c *Config, symbol string) string { return cmp.Or(c.Get(symbol), "n") }

// Compare returns the symbols whose value is not the requested one. A built-in
// feature satisfies a request for a module.
func Compare(asked, got *Config) (list []Unmet) {
	for _, s := range asked.Symbols() {
		if a, g := orNo(asked, s), orNo(got, s); a != g && !(a == "m" && g == "y") {
			list = append(list, Unmet{s, a, g})
		}
	}
	return list
}
