package yamlfile

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/limitread"
)

func testFile() File {
	return File{Name: "f.yaml", Fail: func(at, problem, hint string, cause error) error {
		return fmt.Errorf("%s: %s: %w; %s", at, problem, errors.Join(cause), hint)
	}}
}

// A YAML bomb is rejected where it gets too deep, before it reaches the parser.
func TestBombs(t *testing.T) {
	fill := func(unit string) string { return strings.Repeat(unit, MaxBytes/len(unit)) }
	stairs := ""
	for i := range 300 {
		stairs += strings.Repeat(" ", i) + "a:\n"
	}
	deep := fmt.Sprintf("more than %d levels", maxDepth)
	for name, c := range map[string]struct{ in, says string }{
		"lists":                    {fill("["), deep},
		"mappings":                 {fill("{a: "), deep},
		"both":                     {fill("a: [\n"), deep},
		"a list in each value":     {fill("[a,\n"), deep},
		"dashes":                   {fill("- "), deep},
		"question marks":           {fill("? "), deep},
		"lists below dashes":       {fill("- ["), deep},
		"stairs":                   {stairs, deep},
		"question marks in a list": {"[" + fill("? ")[2:], deep},
		"anchors in a list":        {"[" + fill("&a ")[3:], deep},
		"tags":                     {fill("!t "), ""},
		"closed lists":             {fill("]"), ""},
		"keys on a line":           {fill("a: "), ""},
		"too large":                {fill("#") + "#", "more than the maximum of 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := testFile().Body([]byte(c.in), "the file", "write it well")
			runtime.ReadMemStats(&after)
			if err == nil || !strings.HasPrefix(err.Error(), "f.yaml") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %.200v, want an error of f.yaml with %q", err, c.says)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 200<<20 {
				t.Errorf("got %d MiB allocated, want at most 200", used>>20)
			}
		})
	}
	if _, err := ReadFile("/dev/zero"); !errors.As(err, new(*limitread.Error)) {
		t.Errorf("a file without an end: got %v, want a *limitread.Error", err)
	}
}

// Real files are accepted in every notation.
func TestDepth(t *testing.T) {
	for name, in := range map[string]string{
		"brackets in brackets": "a: [{b: x, c: {d: true, e: false, f: true, g: true, h: true, i: true}, j: [1, 2, 3, 4, 5, 6, 7, 8, 9]}, {b: x}]\n",
		"a list for each":      strings.Repeat("- [a, b]\n", 1000),
		"levels that end":      strings.Repeat("a:\n  b:\n    c:\n      - d: 1\n", 1000),
		"indented far":         "a:\n          -    b:   x\n               c:\n                                  d:   true\n                                  e: false\n",
		"comments":             "# [[[[[[[[[[[[[[[[[[[[[[[[\na: b # - - - - - - - - - - - - - - - - - - - - {{{{\n",
		"in quotes":            "a: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['\nb: \"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\"\n",
	} {
		if err := testFile().depth([]byte(in), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBody checks that any file is either read or rejected with an error.
func FuzzBody(f *testing.F) {
	f.Add([]byte("a: [{b: c}]\n"))
	f.Add([]byte("- a\n- b: {c: d}\n"))
	f.Add([]byte("? a\n: &x b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := testFile().Body(data, "the file", "write it well")
		if err == nil && n == nil {
			t.Fatal("neither read nor refused")
		}
	})
}
