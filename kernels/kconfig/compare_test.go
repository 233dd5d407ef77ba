package kconfig

import (
	"fmt"
	"testing"
)

func TestCompare(t *testing.T) {
	parse := func(text string) *Config {
		c, err := ParseBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	asked := parse("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\nCONFIG_D=n\nCONFIG_E=y\nCONFIG_E=n\n")
	for name, c := range map[string]struct {
		got  string
		want string
	}{
		"all":     {"CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_Z=y\n", "[]"},
		"dropped": {"CONFIG_A=y\n# CONFIG_B is not set\n", "[CONFIG_B=y (got n)]"},
		"module":  {"CONFIG_A=m\nCONFIG_B=y\n", "[CONFIG_A=y (got m)]"},
		"forced":  {"CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_E=y\n", "[CONFIG_C=n (got y) CONFIG_E=n (got y)]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(Compare(asked, parse(c.got))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
