package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestArchitecture compares the list of packages in docs/reference/architecture.md with the
// tree: every package has its line, and imports point down the list only.
func TestArchitecture(t *testing.T) {
	const file = "docs/reference/architecture.md"
	blocks, _ := read(t, file)
	at := map[string]int{}
	line := regexp.MustCompile(`(?m)^([a-z]+(?:/[a-z0-9]+)*)/ {2,}\S`)
	for _, b := range blocks {
		if b.lang == "packages" {
			for i, m := range line.FindAllStringSubmatch(b.text, -1) {
				at[m[1]] = i + 1
			}
		}
	}
	if len(at) == 0 {
		t.Fatalf("%s has no block of packages", file)
	}
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/faultline/faultline/"
	for l := range strings.Lines(string(out)) {
		var names []string
		for _, w := range strings.Fields(l) {
			if name, ours := strings.CutPrefix(w, module); ours {
				names = append(names, name)
			}
		}
		p := names[0]
		if p == "docs" { // tests only
			continue
		}
		switch {
		case at[p] == 0:
			t.Errorf("%s does not list %s; add a line, above the packages that it imports", file, p)
			continue
		}
		for _, i := range names[1:] {
			if at[i] != 0 && at[i] < at[p] {
				t.Errorf("%s imports %s, which is above it in %s", p, i, file)
			}
			if strings.HasPrefix(p, "guest/") && !strings.HasPrefix(i, "guest/") {
				t.Errorf("%s imports %s; packages that run in the guest import none from outside guest/", p, i)
			}
		}
	}
	for p := range at {
		if _, err := os.Stat(filepath.Join(root, p)); err != nil {
			t.Errorf("%s lists %s: %v", file, p, err)
		}
	}
}

// wings are the folders of framework/, each with the wings that it may import. The
// language of scenarios, framework itself and inject, may import all of them.
var wings = map[string][]string{
	"machine":  {"machine"},
	"record":   {"record", "change"},
	"analysis": {"analysis", "record", "change"},
	"report":   {"report", "analysis", "record", "change", "catalogue"},
	"run":      {"run", "report", "analysis", "record", "machine", "change"},
	"change":   {"change"},
}

// TestWings checks which wing of framework/ imports which, and that record and analysis
// link neither QEMU nor SSH nor Ginkgo.
func TestWings(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./framework/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/faultline/faultline/framework/"
	checked := map[string]int{}
	for l := range strings.Lines(string(out)) {
		fields := strings.Fields(l)
		name, ours := strings.CutPrefix(fields[0], module)
		wing, _, _ := strings.Cut(name, "/")
		if allowed, known := wings[wing]; ours && known {
			checked[wing]++
			for _, i := range fields[1:] {
				other, ours := strings.CutPrefix(i, module)
				if to, _, _ := strings.Cut(other, "/"); ours && !slices.Contains(allowed, to) {
					t.Errorf("framework/%s imports framework/%s; %s may import %v", name, other, wing, allowed)
				}
			}
		}
	}
	for wing := range wings {
		if checked[wing] == 0 {
			t.Errorf("framework/%s: got no package, want one", wing)
		}
	}
	cmd = exec.Command("go", "list", "-deps", "./framework/record/...", "./framework/analysis/...")
	cmd.Dir = root
	if out, err = cmd.Output(); err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		for _, heavy := range []string{module + "machine", "golang.org/x/crypto/ssh", "github.com/onsi/", "github.com/digitalocean/"} {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("record or analysis links %s", strings.TrimSpace(dep))
			}
		}
	}
}
