package bisect_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/errkind"
)

// A bisection that was started with other builds or another guest is not resumed, even if
// the command is the same.
func TestResumedWithOtherInputs(t *testing.T) {
	t.Parallel()
	h, all := line(t, 8, map[int][]string{5: turns()})
	was := map[string]string{"configuration": "1a", "KCFLAGS": "", "compiler": "gcc 12", "suite dax": "2b"}
	opt := h.options(all[0], all[7], read)
	l := newLab(h)
	l.inputs = was
	l.broken[all[3]] = 4
	if _, _, err := bisect.Do(t.Context(), opt, l); !errors.As(err, new(*bisect.InfraError)) {
		t.Fatalf("got %v, want an *InfraError", err)
	}
	l.broken = map[string]int{}
	opt.Resume = true
	for name, c := range map[string]struct{ input, is, words string }{
		"the file's content": {"configuration", "1b", `with another configuration: "1a", this is "1b"`},
		"a variable":         {"KCFLAGS", "-O1", `with another KCFLAGS: "", this is "-O1"`},
		"the compiler":       {"compiler", "gcc 13", `with another compiler: "gcc 12"`},
		"the suite":          {"suite dax", "3c", "another suite dax"},
		"one more":           {"suite mce", "", "another suite mce"},
	} {
		l.inputs = maps.Clone(was)
		l.inputs[c.input] = c.is
		if _, _, err := bisect.Do(t.Context(), opt, l); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: got %v, want a request error with %q", name, err, c.words)
		}
	}
	l.inputs = maps.Clone(was)
	delete(l.inputs, "suite dax")
	if _, _, err := bisect.Do(t.Context(), opt, l); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "another suite dax") {
		t.Errorf("one less: got %v, want a request error with another suite dax", err)
	}
	l.inputs = was
	if r := do(t, opt, l); found(t, r, read).First != all[5] {
		t.Errorf("got %+v, want %s", r.Answers, all[5])
	}
}

// A diff that ends in a blank line, and settings of the user, do not prevent the check.
func TestCheckIsNotLost(t *testing.T) {
	t.Parallel()
	const text = "int a;\nint b;\n\n\n\nint c;\n"
	h, all := line(t, 8, map[int][]string{0: {"zz", text}, 5: turns("zz", strings.Replace(text, "b", "B", 1)), 6: {"beside", "1"}})
	h.git("config", "log.showSignature", "true")
	h.git("config", "diff.noprefix", "true")
	h.git("config", "diff.external", "false")
	r := do(t, h.options(all[0], all[7], read), newLab(h))
	if a := found(t, r, read); a.First != all[5] || a.Check.Verdict != bisect.Confirmed || !strings.Contains(a.Check.How, "reverted on") {
		t.Errorf("got %+v, check %+v; want %s, confirmed", a, a.Check, all[5])
	}
}
