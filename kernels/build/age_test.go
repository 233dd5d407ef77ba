package build

import (
	"strings"
	"testing"
)

func TestNewerCompiler(t *testing.T) {
	for _, c := range []struct{ tree, gcc, want string }{
		{"6.1.172", "12", ""},
		{"5.18.0", "12.2.0", ""},
		{"5.10.1", "12.2.0", "gcc-10"},
		{"5.4.0", "12", "gcc-9"},
		{"4.4.0", "12", "KCFLAGS"},
		{"6.1.0", "14", "gcc-12"},
		{"nonsense", "14", ""},
		{"6.1.0", "", ""},
	} {
		got := newer(c.tree, c.gcc)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s under gcc %s: %q, want something with %q", c.tree, c.gcc, got, c.want)
		}
	}
}
