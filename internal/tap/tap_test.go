package tap

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Report
	}{
		"nothing":  {"", Report{Planned: -1}},
		"no TAP":   {"hello\nokay\n", Report{Planned: -1}},
		"only ok":  {"ok\n", Report{IsTAP: true, Planned: -1, Tests: []Test{{Name: "test 1", OK: true}}}},
		"numbered": {"1..2\nok 1\nnot ok 2\n", Report{IsTAP: true, Planned: 2, Tests: []Test{{Name: "test 1", OK: true}, {Name: "test 2"}}}},
		"names": {"TAP version 13\nok 1 - one thing\nok 2 another \\# 7\nnot ok third\n1..3\n",
			Report{IsTAP: true, Planned: 3, Tests: []Test{{Name: "one thing", OK: true}, {Name: "another # 7", OK: true}, {Name: "third"}}}},
		"directives": {"ok 1 a # SKIP no memory\nnot ok 2 b # TODO later\nok 3 c # skipped: why\nnot ok 4 - d # XFAIL\nok 5 # SKIP\n",
			Report{IsTAP: true, Planned: -1, Tests: []Test{
				{Name: "a", OK: true, Directive: "SKIP", Reason: "no memory"}, {Name: "b", Directive: "TODO", Reason: "later"},
				{Name: "c", OK: true, Directive: "SKIP", Reason: "why"}, {Name: "d", Directive: "XFAIL"}, {Name: "test 5", OK: true, Directive: "SKIP"}}}},
		"no directive":        {"ok 1 a # 3 of 4\n", Report{IsTAP: true, Planned: -1, Tests: []Test{{Name: "a # 3 of 4", OK: true}}}},
		"skips all":           {"1..0 # SKIP needs root\n", Report{IsTAP: true, Skipped: "needs root"}},
		"skips all, silently": {"1..0 # skip\n", Report{IsTAP: true, Skipped: "without a reason"}},
		"gives up":            {"1..3\nok 1 a\nBail out! no more memory\n", Report{IsTAP: true, Planned: 3, BailOut: "no more memory", Tests: []Test{{Name: "a", OK: true}}}},
		"the kernel's harness": {"TAP version 13\n1..2\n# Starting 2 tests from 1 test cases.\n#  RUN           mf.anon ...\n# mf.c:201:anon:Expected a (-2) == 0 (0)\n# anon: Test terminated by assertion\n#          FAIL  mf.anon\nnot ok 1 mf.anon\n#  RUN           mf.clean ...\n# about no test\n#            OK  mf.clean\nok 2 mf.clean\n# FAILED: 1 / 2 tests passed.\n# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0\n",
			Report{IsTAP: true, Planned: 2, Tests: []Test{
				{Name: "mf.anon", Notes: []string{"mf.c:201:anon:Expected a (-2) == 0 (0)", "anon: Test terminated by assertion"}}, {Name: "mf.clean", OK: true}}}},
		"nested": {"KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n    ok 1 deeper\n  ok 1 one\n  not ok 2 two\nnot ok 1 both\n",
			Report{IsTAP: true, Planned: 1, Tests: []Test{{Name: "both", Notes: []string{"not ok 2 two"}}}}},
		"carriage returns": {"1..1\r\nok 1 a\r\n", Report{IsTAP: true, Planned: 1, Tests: []Test{{Name: "a", OK: true}}}},
	} {
		if diff := cmp.Diff(c.want, Read(c.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, c := range []struct {
		test          Test
		skips, failed bool
	}{
		{Test{OK: true}, false, false}, {Test{}, false, true}, {Test{Directive: "TODO"}, false, false}, {Test{Directive: "XFAIL"}, false, false},
		{Test{Directive: "SKIP"}, true, false}, {Test{Directive: "ERROR"}, false, true}, {Test{Directive: "TIMEOUT"}, false, true},
	} {
		if c.test.Skipped() != c.skips || c.test.Failed() != c.failed {
			t.Errorf("%+v: got skipped %t, failed %t; want %t, %t", c.test, c.test.Skipped(), c.test.Failed(), c.skips, c.failed)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("TAP version 13\n1..2\nok 1 - a # SKIP b\nnot ok 2 c\n  not ok 1 d\n# e\nBail out! f\n")
	f.Add("1..0 # SKIP\nok # skip\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := Read(text)
		if !r.IsTAP && (len(r.Tests) > 0 || r.Planned >= 0 || r.BailOut != "" || r.Skipped != "") {
			t.Errorf("a text that is not TAP: got %+v, want nothing of it", r)
		}
		for _, i := range r.Tests {
			if i.Name == "" || len(i.Notes) > mostNotes || i.Skipped() && i.Failed() {
				t.Errorf("got %+v, want a name, at most %d notes, and not both skipped and failed", i, mostNotes)
			}
		}
	})
}
