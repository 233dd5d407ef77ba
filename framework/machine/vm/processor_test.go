package vm

import (
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	const info = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nstepping\t: 1\nmicrocode\t: 0xa0011d1\n" +
		"cpu MHz\t\t: 2450.000\nflags\t\t: fpu vme\n\nprocessor\t: 1\nmicrocode\t: 0xa0011d1\n"
	base := model(info)
	for name, c := range map[string]struct {
		from, to string
		same     bool
	}{
		"microcode": {"0xa0011d1", "0xa0011d5", false},
		"stepping":  {"stepping\t: 1", "stepping\t: 2", false},
		"a flag":    {"fpu vme", "fpu", false},
		"family":    {"family\t: 25", "family\t: 26", false},
		"frequency": {"2450.000", "3100.512", true},
		"another":   {"\n\nprocessor\t: 1\n", "\n\nprocessor\t: 7\n", true},
	} {
		changed := strings.Replace(info, c.from, c.to, 1)
		if got := model(changed); changed == info || got == base != c.same {
			t.Errorf("%s: got %q, the same %t; want the same %t", name, got, got == base, c.same)
		}
	}
	if here, err := processor(); err != nil || here == "" {
		t.Errorf("got %q, error %v; want a processor", here, err)
	}
}
