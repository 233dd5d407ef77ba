package git

import (
	"errors"
	"strings"
	"testing"
)

// A patch is not present if its reverse applies only to a similar function.
func TestPresentElsewhere(t *testing.T) {
	function := func(head, check string) string {
		return head + "\n{\n\tlock();\n\tif (x)\n\t\treturn 1;\n" + check + "again:\n\tunlock();\n\treturn 0;\n}\n\n"
	}
	const check, between = "\tcheck();\n", "static int x;\n\n"
	one, two := "int one(int a)", "int two(void)"
	h := newHistory(t)
	base := h.commit("base", "f.c", function(one, "")+between+function(two, ""))
	with := h.commit("check in one", "f.c", function(one, check)+between+function(two, ""))
	// The blobs are unknown, as in a mail.
	patch := h.file("p.diff", strings.Replace(h.git("diff", base, with), "index ", "x ", 1)+"\n")
	if !strings.Contains(h.git("diff", base, with), "@@ int one(int a)") {
		t.Fatal("git names another function")
	}
	shift := strings.Repeat("static int more;\n", 7)
	for name, c := range map[string]struct {
		file    string
		present bool
	}{
		"another function has it":  {"int one(int a)\n{\n\tspin();\n}\n\n" + between + function(two, check), false},
		"it has it":                {function(one, check) + between + "int two;\n", true},
		"it has it further down":   {shift + function(one, check) + between + function(two, check), true},
		"with another signature":   {shift + function("static long one(int a, int b)", check), true},
		"under another name":       {shift + function("int uno(int a)", check), false},
		"neither has it or fits":   {shift + "int one(int a)\n{\n\tspin();\n}\n", false},
		"in a macro's of one name": {shift + function("DEFINE(one, a)", check), false},
	} {
		on := h.commit(name, "f.c", c.file)
		_, err := h.repo().Apply(t.Context(), on+"^{tree}", []Edit{{File: patch}})
		var e *ApplyError
		if !errors.As(err, &e) || e.Present != c.present {
			t.Errorf("%s: got %v, want an *ApplyError, present %t", name, err, c.present)
		}
		if name == "another function has it" && !strings.Contains(err.Error(), `the tree has the lines of f.c @@ int one(int a), but below "int two(void)"`) {
			t.Errorf("%s: got %v, want it with the function that has the lines", name, err)
		}
	}
}

func TestWithin(t *testing.T) {
	file := strings.Split("static int x;\nint one(int a)\n{\nout:\n\tf();\n}\nSYSCALL_DEFINE3(read, int, fd)\n{\n\tf();\nstruct s {\n\tint a;\n", "\n")
	for _, c := range []struct {
		at      int
		heading string
		want    bool
	}{
		{5, "int one(int a)", true}, {5, "int one(int", true}, {5, "out:", true}, {5, "int one(long)", true}, {5, "int two(int a)", false}, {5, "", true},
		{9, "SYSCALL_DEFINE3(read, int, fd)", true}, {9, "SYSCALL_DEFINE3(write, int, fd)", false}, {9, "int one(int a)", false},
		{11, "struct s {", true}, {11, "struct t {", false}, {1, "int one(int a)", false}, {100, "struct s {", true},
	} {
		if _, got := within(file, c.at, c.heading); got != c.want {
			t.Errorf("line %d in %q: got %t, want %t", c.at, c.heading, got, c.want)
		}
	}
}
