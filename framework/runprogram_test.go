package framework

import (
	"bytes"
	"testing"

	"github.com/faultline/faultline/internal/tap"
)

// A program's output and exit status decide whether it skips.
func TestSkipped(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		code int
		want string
	}{
		"no TAP, passed":                     {"fine\n", 0, ""},
		"no TAP, failed":                     {"bad\n", 1, ""},
		"no TAP, skipped":                    {"first\nno such device\n\n", 4, "no such device"},
		"one, without a reason":              {"ok 1 a # SKIP\n", 0, "a"},
		"nothing said, skipped":              {"", 4, "no reason given"},
		"one test was run":                   {"1..2\nok 1 a # SKIP no\nok 2 b\n", 0, ""},
		"all were skipped":                   {"1..2\n# too little memory\nok 1 # SKIP a\nok 2 b # SKIP later\n", 0, "too little memory; a"},
		"the first, and no other":            {"1..21\nok 1 # SKIP no such advice\n", 4, "no such advice"},
		"it broke off":                       {"1..21\nok 1 a # SKIP no such advice\n", 0, ""},
		"a plan of none":                     {"1..0 # SKIP needs root\n", 0, "needs root"},
		"it gave up":                         {"Bail out! no\n", 4, ""},
		"it gave up, with automake's status": {"TAP version 13\nBail out! no\n", 77, ""},
		"TAP, its plan skips, and fails":     {"1..0 # SKIP no such device\n", 1, "no such device"},
		"TAP, and nothing but a version":     {"TAP version 13\n# no such device\n", 77, "# no such device"},
		"TAP, LTP's status":                  {"1..2\nok 1 a # SKIP no\n", 32, ""},
		"TAP, to do":                         {"1..1\nnot ok 1 a # TODO later\n", 4, ""},
		"KTAP, nested":                       {"KTAP version 1\n1..1\n  1..1\n  ok 1 b # SKIP no\nok 1 a # SKIP all of it\n", 0, "all of it"},

		"LTP: not here":                       {"tst_test.c:1560: TINFO: Timeout is 30s\nmf01.c:40: TCONF: needs hwpoison\n\nSummary:\npassed   0\nskipped  1\n", 32, "needs hwpoison"},
		"LTP: in color":                       {"mf01.c:40: \x1b[1;33mTCONF: \x1b[0mneeds root\r\n", 32, "needs root"},
		"LTP: not here, in old words":         {"mf01        1  TCONF  :  mf01.c:40: needs numa\n", 32, "mf01.c:40: needs numa"},
		"LTP: the bit of information":         {"mf01.c:40: TINFO: x\nmf01.c:40: TCONF: needs numa\n", 48, "needs numa"},
		"LTP: without its line":               {"mf01.c:40: TINFO: x\n", 32, "no reason given"},
		"LTP: a warning":                      {"mf01.c:40: TPASS: x\nmf01.c:41: TWARN: left a file\n", 4, ""},
		"LTP: a failure":                      {"mf01.c:40: TFAIL: x\n", 1, ""},
		"LTP: broken":                         {"mf01.c:40: TBROK: x\n", 2, ""},
		"LTP: a failure, and a part not here": {"mf01.c:40: TFAIL: x\nmf01.c:41: TCONF: y\n", 33, ""},
		"LTP: a warning, and a part not here": {"mf01.c:40: TWARN: x\nmf01.c:41: TCONF: y\n", 36, ""},
		"LTP: a part not here, and passed":    {"mf01.c:40: TPASS: x\nmf01.c:41: TCONF: y\n", 0, ""},
		"LTP: automake's status":              {"mf01.c:40: TPASS: x\n", 77, ""},

		"LTP: passed, in old words, a part":       {"mf01        1  TPASS  :  x\nmf01        2  TCONF  :  mf01.c:40: needs numa\n", 32, ""},
		"LTP: of a file below":                    {"../../lib/tst_kernel.c:12: TCONF: needs CONFIG_NUMA\n", 32, "needs CONFIG_NUMA"},
		"LTP: a child's":                          {"mf01.c:40: TINFO: x\nmf01.c:50: TCONF: first\nmf01.c:51: TCONF: second\n", 32, "first"},
		"LTP: talks of passing":                   {"mf01.c:40: TINFO: no TPASS: to come\nmf01.c:50: TCONF: needs numa\n", 32, "needs numa"},
		"LTP: killed":                             {"tst_test.c:1600: TBROK: Test killed by SIGKILL!\n", 2, ""},
		"TAP, a plan of none alone":               {"TAP version 13\n1..0\n", 0, "it plans no test"},
		"TAP, a plan of none, kselftest's":        {"1..0\n", 4, "it plans no test"},
		"TAP, a plan of none that fails":          {"1..0\n", 1, ""},
		"TAP, a plan of none, and a bail-out":     {"1..0\nBail out! no device\n", 0, ""},
		"TAP, skipped in small letters":           {"1..0 # Skipped: no device\n", 0, "no device"},
		"TAP, the rest is skipped":                {"1..21\nok 1 a\nok 2 # SKIP no such advice\n", 4, ""},
		"KTAP, not ok and skipped":                {"KTAP version 1\n1..1\nnot ok 1 selftests: a # SKIP needs root\n", 4, "needs root"},
		"automake: not here":                      {"no such device\n", 77, "no such device"},
		"automake: silent":                        {"", 77, "no reason given"},
		"automake: hard error":                    {"no compiler\n", 99, ""},
		"meson: not here":                         {"a\n  SKIP: too old  \n\n", 77, "SKIP: too old"},
		"no TAP, LTP's status":                    {"needs root\n", 32, "needs root"},
		"no TAP, 33":                              {"needs root\n", 33, ""},
		"no TAP, talks of LTP":                    {"see TCONF: in LTP\nneeds root\n", 4, "needs root"},
		"kselftest: its own":                      {"[SKIP]\tneeds root\n", 4, "[SKIP]\tneeds root"},
		"kselftest: XFAIL is 2":                   {"x\n", 2, ""},
		"a test failed, and its status is a skip": {"not ok 1 a\n", 4, ""},
	} {
		if got := skipped(tap.Read(c.out), c.code, c.out); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for want, test := range map[string]tap.Test{
		"ok": {OK: true}, "not ok": {}, "skipped": {OK: true, Directive: "SKIP"}, "not ok, TODO": {Directive: "TODO"}, "ok, XPASS": {OK: true, Directive: "XPASS"},
	} {
		if got := result(test); got != want {
			t.Errorf("%+v: got %q, want %q", test, got, want)
		}
	}
}

// An exit status is recorded only if it means a failure.
func TestFailing(t *testing.T) {
	for name, c := range map[string]struct {
		out        string
		code, want int
		rest       bool // it skips the rest
	}{
		"nothing said":                  {"", 32, 32, false},
		"passed":                        {"x\n", 0, 0, false},
		"LTP, a part not here":          {"a 1 TPASS : x\na 2 TCONF : y\n", 32, 0, false},
		"LTP, information":              {"a.c:1: TINFO: x\na.c:2: TPASS: y\n", 16, 0, false},
		"LTP, a warning and a part":     {"a.c:1: TPASS: x\na.c:2: TWARN: y\n", 36, 36, false},
		"LTP, a failure":                {"a.c:1: TFAIL: x\n", 1, 1, false},
		"LTP, another status":           {"a.c:1: TPASS: x\n", 77, 77, false},
		"kselftest, the rest skipped":   {"1..21\nok 1 a\nok 2 # SKIP no such advice\n", 4, 0, true},
		"kselftest, 4 without a skip":   {"1..2\nok 1 a\nok 2 b\n", 4, 4, false},
		"kselftest, known to fail":      {"1..2\nok 1 a\nnot ok 2 b # XFAIL no\n", 2, 0, false},
		"kselftest, 2 without one":      {"1..1\nok 1 a\n", 2, 2, false},
		"TAP, skipped last, other code": {"1..2\nok 1 a\nok 2 b # SKIP no\n", 1, 1, false},
	} {
		said := tap.Read(c.out)
		if got := failing(said, c.code, c.out); got != c.want || skipsRest(said, c.code) != c.rest {
			t.Errorf("%s: got %d, the rest skipped %t; want %d, %t", name, got, skipsRest(said, c.code), c.want, c.rest)
		}
	}
}

func TestFirstBytes(t *testing.T) {
	var kept bytes.Buffer
	w := &firstBytes{&kept, 5}
	for _, part := range []string{"abc", "defg", "h"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%q: wrote %d bytes, error %v; want all of it", part, n, err)
		}
	}
	if kept.String() != "abcde" {
		t.Errorf("got %q, want abcde", kept.String())
	}
}
