package kconfig

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := ParseBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompare(t *testing.T) {
	asked := parsed(t, "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\nCONFIG_D=n\nCONFIG_E=y\nCONFIG_E=n\n")
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
			if got := fmt.Sprint(Compare(asked, parsed(t, c.got))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	a := parsed(t, "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=64\nCONFIG_S=\"x\"\n# CONFIG_N is not set\n")
	b := parsed(t, "CONFIG_A=y\nCONFIG_B=y\nCONFIG_D=1\nCONFIG_S=\"y\"\n")
	want := []Difference{{"B", "m", "y"}, {"C", "64", "n"}, {"D", "n", "1"}, {"S", "x", "y"}}
	if diff := cmp.Diff(want, Differences(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Differences(a, a); got != nil {
		t.Errorf("got %v of one configuration, want none", got)
	}
}
