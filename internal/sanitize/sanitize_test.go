package sanitize_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/faultline/faultline/internal/sanitize"
)

func TestLine(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"as it is", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"},
		{"any language", "≠ größer 日本", "≠ größer 日本"},
		{"colours", "\x1b[0;32mok\x1b[0m", "ok"},
		{"a title", "\x1b]0;owned\x07", "·]0;owned·"},
		{"C1", "a\u009b31mb", "a·31mb"},
		{"bytes", "a\xff\x00b", "a�·b"},
		{"lines", "one\r\ntwo\tthree\vfour", "one two three·four"},
		{"line separators", "a\u2028b\u2029c\u0085d", "a·b·c·d"},
		{"direction", "a\u202eb\u2066c", "a·b·c"},
		{"a space that does not break", "a\u00a0b", "a b"},
		{"GitHub", "::error::x", ":·:error:·:x"},
		{"three colons", ":::add-mask:::", ":·:·:add-mask:·:·:"},
		{"GitHub's older form, and Azure", "x ##[add-path]/tmp ##vso[task.x] ###[error]", "x #·#[add-path]/tmp #·#vso[task.x] ##·#[error]"},
		{"TeamCity", "##teamcity[testFailed]", "#·#teamcity[testFailed]"},
		{"LAVA", "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>", "<·LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>"},
		{"split by a colour", ":\x1b[0m:error:\x1b[0m:x", ":·:error:·:x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := sanitize.Line(tc.in); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got, want := sanitize.Text("one::\r\n\ttwo\x1b[K"), "one::\n\ttwo"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
}

func FuzzLog(f *testing.F) {
	f.Add("::error::\x1b[31m##[x]<LAVA_SIGNAL_X y>\n:::\r:")
	command := regexp.MustCompile(`::|##\[|##vso\[|##teamcity\[|<LAVA_`)
	f.Fuzz(func(t *testing.T, s string) {
		got := sanitize.Log(s)
		if m := command.FindString(got); m != "" {
			t.Errorf("%q has %q", got, m)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) {
			t.Errorf("%q controls a terminal", got)
		}
		if strings.ContainsAny(sanitize.Line(s), "\n\t") {
			t.Errorf("%q is not one line", sanitize.Line(s))
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("a\u009b\u202e\u007f\U000e0001\xff")
	f.Fuzz(func(t *testing.T, s string) {
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		escaped := sanitize.JSON(encoded)
		if err := json.Unmarshal(encoded, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(escaped, &got); err != nil || got != want {
			t.Errorf("%q became %q (%v)", want, got, err)
		}
		if strings.ContainsFunc(string(escaped), unicode.IsControl) {
			t.Errorf("%q controls a terminal", escaped)
		}
	})
}
