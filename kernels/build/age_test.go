package build

import (
	"strings"
	"testing"
)

func TestNewerCompiler(t *testing.T) {
	bookworm := []choice{{12, true}, {11, false}, {12, false}}
	for _, c := range []struct {
		tree, gcc string
		others    []choice
		want      string
	}{
		{"6.1.172", "12", bookworm, ""},
		{"5.18.0", "12.2.0", bookworm, ""},
		{"5.15.1", "12.2.0", bookworm, "apt-get install --no-install-recommends gcc-11 and add ?cc=gcc-11, or set KCFLAGS"},
		{"5.10.1", "12.2.0", bookworm, "gcc-11 and add ?cc=gcc-11, the oldest available, or set KCFLAGS"},
		{"5.15.1", "12", append(bookworm, choice{11, true}), "(gcc 12): add ?cc=gcc-11, or"},
		{"5.10.1", "12", []choice{{8, false}, {9, false}, {10, false}, {11, true}}, "gcc-10"},
		{"5.4.0", "12", []choice{{11, true}, {10, false}}, "add ?cc=gcc-10, the oldest"},
		{"4.4.0", "12", nil, "(gcc 12): set KCFLAGS"},
		{"6.1.0", "14", []choice{{13, true}, {14, true}, {12, false}, {11, false}}, "gcc-12"},
		{"nonsense", "14", bookworm, ""},
		{"6.1.0", "", bookworm, ""},
	} {
		got := newer(c.tree, c.gcc, c.others)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s with gcc %s: got %q, want it to contain %q", c.tree, c.gcc, got, c.want)
		}
	}
}
