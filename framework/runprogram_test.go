package framework

import (
	"bytes"
	"testing"

	"github.com/faultline/faultline/internal/tap"
)

// What a program says decides whether it could do anything here.
func TestSkipped(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		code int
		want string
	}{
		"no TAP, passed":                      {"fine\n", 0, ""},
		"no TAP, failed":                      {"bad\n", 1, ""},
		"no TAP, skipped":                     {"first\nno such device\n\n", 4, "no such device"},
		"one, without a reason":               {"ok 1 a # SKIP\n", 0, "a"},
		"nothing said, skipped":               {"", 4, "it does not say why"},
		"one test was run":                    {"1..2\nok 1 a # SKIP no\nok 2 b\n", 0, ""},
		"all were skipped":                    {"1..2\n# too little memory\nok 1 # SKIP a\nok 2 b # SKIP later\n", 0, "too little memory; a"},
		"the first, and no other":             {"1..21\nok 1 # SKIP no such advice\n", 4, "no such advice"},
		"it broke off":                        {"1..21\nok 1 a # SKIP no such advice\n", 0, ""},
		"a plan of none":                      {"1..0 # SKIP needs root\n", 0, "needs root"},
		"it gave up":                          {"Bail out! no\n", 4, ""},
		"a test failed, and it says it skips": {"not ok 1 a\n", 4, ""},
	} {
		if got := skipped(tap.Read(c.out), c.code, c.out); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for want, test := range map[string]tap.Test{
		"ok": {OK: true}, "not ok": {}, "skipped": {OK: true, Directive: "SKIP"}, "not ok, TODO": {Directive: "TODO"}, "ok, XPASS": {OK: true, Directive: "XPASS"},
	} {
		if got := told(test); got != want {
			t.Errorf("%+v: %q, want %q", test, got, want)
		}
	}
}

func TestFirstBytes(t *testing.T) {
	var kept bytes.Buffer
	w := &firstBytes{&kept, 5}
	for _, part := range []string{"abc", "defg", "h"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%q: %d, %v", part, n, err)
		}
	}
	if kept.String() != "abcde" {
		t.Errorf("%q", kept.String())
	}
}
