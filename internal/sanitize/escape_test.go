package sanitize

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func escaped(t testing.TB, most int64, pieces ...string) string {
	var b bytes.Buffer
	e := NewEscaper(&b, most)
	for _, p := range pieces {
		if n, err := e.Write([]byte(p)); n != len(p) || err != nil {
			t.Errorf("wrote %d of %d bytes, error %v; want all", n, len(p), err)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return b.String()
}

func TestEscaper(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"[    0.1] Linux\r\n\tnext\r\n": "[    0.1] Linux\n\tnext\n",
		"\x1b[2J\x1b]0;title\a":         `\x1b[2J\x1b]0;title\x07`,
		"\u009b31m \u0085 \u202e":       `\xc2\x9b31m \xc2\x85 \xe2\x80\xae`,
		"C:\\path":                      `C:\\path`,
		"alone\nreturn\rover\r\r\n":     "alone\\n\nreturn\\x0dover\\x0d\n",
		"ends\r":                        `ends\x0d`,
		"::error::x ##[y ##vso[z":       `:\x3aerror:\x3ax #\x23[y #\x23vso[z`,
		":::":                           `:\x3a\x3a`,
		"<LAVA_SIGNAL_TESTCASE":         `<\x4cAVA_SIGNAL_TESTCASE`,
		"\x7f\x00":                      `\x7f\x00`,
	} {
		if got := escaped(t, 1000, in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if got := escaped(t, 1000, strings.Split(in, "")...); got != want {
			t.Errorf("%q in pieces: got %q, want %q", in, got, want)
		}
	}
}

func TestEscaperIsBounded(t *testing.T) {
	flood := strings.Repeat("flood\r\n", 1000)
	got := escaped(t, 60, flood, flood, "end\r")
	if want := strings.Repeat("flood\n", 10) + cut; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzEscaper recovers the bytes, and checks that the text has no control sequences for
// a terminal or a CI runner.
func FuzzEscaper(f *testing.F) {
	f.Add("a\r\n\n\r\x1b[0m::x\\n<LAVA_")
	escape := regexp.MustCompile(`\\(x[0-9a-f]{2}|\\|n\n)|\n`)
	f.Fuzz(func(t *testing.T, in string) {
		text := escaped(t, 1<<40, in)
		for i := range len(text) {
			if b := text[i]; b != '\n' && b != '\t' && (b < 0x20 || b > 0x7e) {
				t.Errorf("%#x is left in %q", b, text)
			}
		}
		if Log(text) != text {
			t.Errorf("%q has a runner command", text)
		}
		back := escape.ReplaceAllStringFunc(text, func(s string) string {
			switch {
			case s == "\n":
				return "\r\n"
			case s == "\\n\n":
				return "\n"
			case s == `\\`:
				return `\`
			}
			n, err := strconv.ParseUint(s[2:], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			return string([]byte{byte(n)})
		})
		if back != in {
			t.Error(fmt.Sprintf("%q became %q, and that %q", in, text, back))
		}
	})
}
