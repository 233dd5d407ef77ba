package kconfig

import (
	"fmt"
	"strings"
)

// Unmet is a symbol that does not have the requested value: Kconfig silently drops
// symbols whose dependencies are not set.
type Unmet struct{ Symbol, Asked, Got string }

func (u Unmet) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (got %s)", strings.TrimPrefix(u.Symbol, "CONFIG_"), u.Asked, u.Got)
}

// Compare returns the symbols whose value is not the requested one. A built-in
// feature satisfies a request for a module.
func Compare(asked, got *Config) (list []Unmet) {
	value := func(c *Config, symbol string) string {
		if v := c.Get(symbol); v != "" {
			return v
		}
		return "n"
	}
	for _, s := range asked.Symbols() {
		if a, g := value(asked, s), value(got, s); a != g && !(a == "m" && g == "y") {
			list = append(list, Unmet{s, a, g})
		}
	}
	return list
}
