package kconfig

import (
	"fmt"
	"strings"
)

// Unmet is a symbol that is not as it was asked for: Kconfig drops one whose
// dependencies are not set, and says nothing.
type Unmet struct{ Symbol, Asked, Got string }

func (u Unmet) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (got %s)", strings.TrimPrefix(u.Symbol, "CONFIG_"), u.Asked, u.Got)
}

// Compare says in which symbols a configuration is not what was asked for. Who
// asked for a module has nothing against having it built in.
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
