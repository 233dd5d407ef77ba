package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// helpColumns is the maximum width of the help of a flag, an argument or a subcommand,
// and of each verbatim line in the text below it.
const helpColumns = 80

// Help texts are imperative lines in plain technical English.
func TestHelp(t *testing.T) {
	parser, err := parser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	detail(t, "faultline", parser.Model.Help)
	for _, n := range parser.Model.Leaves(true) {
		checkCommand(t, n)
	}
}

func checkCommand(t *testing.T, n *kong.Node) {
	t.Helper()
	for at := n; at.Type != kong.ApplicationNode; at = at.Parent {
		line(t, at.FullPath(), at.Help)
		detail(t, at.FullPath(), at.Detail)
	}
	for _, a := range n.Positional {
		line(t, n.FullPath()+" "+a.Summary(), a.Help)
	}
	for _, f := range n.Flags {
		name := n.FullPath() + " --" + f.Name
		line(t, name, f.Help)
		if f.IsSlice() != strings.Contains(f.Help, "(repeatable)") {
			t.Errorf("%s: got the help %q, want (repeatable) exactly for flags that can be repeated", name, f.Help)
		}
		if !f.IsBool() && f.PlaceHolder == "" {
			t.Errorf("%s has no placeholder, so its default is shown as one", name)
		}
	}
	judges := map[string]bool{"run": true, "plan": true, "report": true, "compare": true, "history": true, "check": true, "merge": true,
		"bisect": true, "bisect-step": true, "backport": true, "repro": true, "exec": true, "shell": true, "doctor": true}
	if !judges[n.Name] {
		return
	}
	for _, want := range []string{"Example", "Exit codes:"} {
		if !strings.Contains(n.Detail, want) {
			t.Errorf("%s: no %q in its help", n.FullPath(), want)
		}
	}
}

// line checks the text of a flag, an argument or a subcommand, which is one line.
func line(t *testing.T, name, text string) {
	t.Helper()
	if len(text) > helpColumns || strings.Contains(text, "\n") || !strings.HasSuffix(text, ".") {
		t.Errorf("%s: %q: want a line of at most %d columns that ends with a dot", name, text, helpColumns)
	}
	plainWords(t, name, text)
}

func detail(t *testing.T, name, text string) {
	t.Helper()
	for l := range strings.Lines(text) {
		// The output indents it by 2 more.
		if l = strings.TrimRight(l, "\n"); strings.HasPrefix(l, " ") && len(l) > helpColumns-2 {
			t.Errorf("%s: got %d columns, want at most %d: %q", name, len(l), helpColumns-2, l)
		}
	}
	plainWords(t, name, text)
}

// idiom matches words that readers of the help stumbled over.
var idiom = regexp.MustCompile(`(?i)\b(says?|said|tells?|told|anew|mends?|lacks?|hears?|who|whoever|may be repeated|may be several|hold|held|moved|doable|rig|parts?|words|can be had|at a time|behind|wants?|beside)\b`)

// plainWords fails the test for each idiom in a text.
func plainWords(t *testing.T, name, text string) {
	t.Helper()
	for _, w := range idiom.FindAllString(text, -1) {
		t.Errorf("%s: got the idiom %q, want plain words: %q", name, w, text)
	}
}
