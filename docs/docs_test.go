// Package docs_test compares README.md and docs/ with the project: command lines
// with the command, links and paths with the tree, Go examples with the code, and
// tables of scenarios with the suites and a recorded run. It uses no network,
// and with -short it boots no guest.
package docs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"

	"mvdan.cc/sh/v3/syntax"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/change/declared"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
)

const root = ".."

// built is a folder with what make build writes to bin/, built from the tree:
// bin/ itself may be older, or missing.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "faultline-docs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	commands := [][]string{{"build", "-trimpath", "-buildvcs=false", "-o", built + "/", "./cmd/faultline"}}
	for _, args := range commands {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0") // as make build does
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %v: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}

// scenarios returns the output of faultline list --json.
var scenarios = sync.OnceValues(func() ([]scenario.Info, error) {
	out, err := exec.Command(filepath.Join(built, "faultline"), "list", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("faultline list --json: %w", err)
	}
	var list []scenario.Info
	return list, json.Unmarshal(out, &list)
})

func listed(t *testing.T) []scenario.Info {
	t.Helper()
	list, err := scenarios()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// block is a fenced block or a code span of a document.
type block struct {
	file string // relative to the root
	line int
	lang string // "span" for a code span
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

var (
	fence = regexp.MustCompile("^ *```([a-z]*)$")
	span  = regexp.MustCompile("`([^`]+)`")
	link  = regexp.MustCompile(`\]\(([^)]+)\)`)
)

// documents returns the files that this package checks.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"docs/README.md"}
	for _, kind := range []string{"guides", "reference", "evidence"} {
		pages, err := filepath.Glob(filepath.Join(kind, "*.md"))
		if err != nil || len(pages) == 0 {
			t.Fatalf("docs/%s: got no pages, error %v", kind, err)
		}
		for _, p := range pages {
			files = append(files, filepath.Join("docs", p))
		}
	}
	return append(files, "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
}

// read splits a document into blocks and lines of prose.
func read(t *testing.T, file string) (blocks []block, prose []block) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	for i, line := range strings.Split(string(data), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			open = &block{file: file, line: i + 1, lang: m[1]}
		case m != nil:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			prose = append(prose, block{file: file, line: i + 1, text: line})
			for _, s := range span.FindAllStringSubmatch(line, -1) {
				blocks = append(blocks, block{file: file, line: i + 1, lang: "span", text: s[1]})
			}
		}
	}
	if open != nil {
		t.Errorf("%s: the block is not closed", open)
	}
	return blocks, prose
}

// each calls check for each block of these languages in all documents.
func each(t *testing.T, langs []string, check func(*testing.T, block)) {
	for _, file := range documents(t) {
		if file == followed {
			continue
		}
		blocks, _ := read(t, file)
		for _, b := range blocks {
			if slices.Contains(langs, b.lang) {
				check(t, b)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	each(t, []string{"sh", "span"}, func(t *testing.T, b block) {
		if b.lang == "span" && !regexp.MustCompile(`^(bin/faultline|faultline|make) [a-z-]`).MatchString(b.text) {
			return
		}
		parsed, err := syntax.NewParser().Parse(strings.NewReader(b.text), "")
		if err != nil {
			t.Errorf("%s: not a shell script: %v", b, err)
			return
		}
		syntax.Walk(parsed, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
				if err := try(t, words(call.Args)); err != nil {
					at := b
					if b.lang == "sh" {
						at.line += int(call.Pos().Line())
					}
					t.Errorf("%s: %v", at, err)
				}
			}
			return true
		})
	})
}

// words returns a command's arguments as the shell would pass them, with "$" for an
// expansion.
func words(args []*syntax.Word) []string {
	var all []string
	for _, w := range args {
		text := ""
		for _, p := range w.Parts {
			switch p := p.(type) {
			case *syntax.Lit:
				text += p.Value
			case *syntax.SglQuoted:
				text += p.Value
			default:
				text += "$"
			}
		}
		all = append(all, text)
	}
	return all
}

// try checks whether a command of the project is valid, without running it.
func try(t *testing.T, argv []string) error {
	switch argv[0] {
	case "bin/faultline", "faultline":
		return tryFaultline(t, argv[1:])
	case "make":
		cmd := exec.Command("make", append([]string{"-n"}, argv[1:]...)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%q: %s", argv, out)
		}
	case "go":
		for _, w := range argv[1:] {
			if strings.HasPrefix(w, "./") {
				if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(w, "/..."))); err != nil {
					return fmt.Errorf("%q: %v", argv, err)
				}
			}
		}
	}
	return nil
}

// tryFaultline has the command itself parse a command line: with --help it prints its
// help instead of running. Values that it checks only when it runs are checked here.
func tryFaultline(t *testing.T, args []string) error {
	ours := args
	if i := slices.Index(args, "--"); i >= 0 { // the rest belongs to another program
		ours = args[:i]
	}
	if out, err := exec.Command(filepath.Join(built, "faultline"), append(slices.Clone(ours), "--help")...).CombinedOutput(); err != nil {
		return fmt.Errorf("faultline %q: %v: %s", ours, err, out)
	}
	values, rest := map[string][]string{}, []string{}
	for i := 0; i < len(ours); i++ {
		name, value, set := strings.Cut(ours[i], "=")
		switch {
		case !strings.HasPrefix(name, "--"):
			rest = append(rest, ours[i])
		case set:
			values[name] = append(values[name], value)
		case i+1 < len(ours):
			values[name] = append(values[name], ours[i+1])
			if slices.Contains([]string{"--kernel", "--matrix", "--scenario", "--label", "--accel", "--out", "--program"}, name) {
				i++
			}
		}
	}
	specs := values["--kernel"]
	if len(rest) > 1 && (rest[0] == "exec" || rest[0] == "shell") {
		specs = append(specs, rest[1])
	}
	for _, spec := range specs {
		if err := source.All().Check(spec); err != nil && spec != "KERNEL" && spec != "SPEC" {
			return err
		}
	}
	if globs, labels := values["--scenario"], strings.Join(values["--label"], ""); len(globs)+len(labels) > 0 {
		all := listed(t)
		for _, p := range values["--program"] { // a program of the reader
			all = append(all, scenario.Info{ID: program.Program{Path: strings.Fields(p)[0]}.ID()})
		}
		for _, id := range globs {
			if _, err := generated.Parse(id); err == nil {
				all = append(all, scenario.Info{ID: id})
			}
		}
		if _, err := plan.Select(all, globs, labels); err != nil && !slices.Contains(globs, "GLOB") && labels != "FILTER" {
			return err
		}
	}
	return nil
}

// TestYAML parses the matrices and the files of changes as the command does.
func TestYAML(t *testing.T) {
	var ids []string
	for _, s := range listed(t) {
		ids = append(ids, s.ID)
	}
	each(t, []string{"yaml"}, func(t *testing.T, b block) {
		if strings.HasPrefix(b.text, "changes:") {
			f, err := declared.Parse(b.String(), []byte(b.text))
			if err == nil {
				err = f.CheckScenarios(ids)
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
		m, err := matrix.Parse(b.String(), []byte(b.text))
		if err == nil {
			err = m.CheckChanges(change.All().IDs())
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// TestLinks checks relative links, and paths of the tree in code spans.
func TestLinks(t *testing.T) {
	top := map[string]bool{}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		top[e.Name()] = !slices.Contains([]string{"bin", "results"}, e.Name()) // not in every clone
	}
	path := regexp.MustCompile(`^[A-Za-z0-9._*-]+(/[A-Za-z0-9._*-]+)*/?$`)
	for _, file := range documents(t) {
		blocks, prose := read(t, file)
		for _, p := range prose {
			for _, m := range link.FindAllStringSubmatch(p.text, -1) {
				target, _, _ := strings.Cut(m[1], "#")
				if target == "" || strings.Contains(target, "://") {
					continue
				}
				if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), target)); err != nil {
					t.Errorf("%s: dead link: %v", p, err)
				}
			}
		}
		for _, b := range blocks {
			first, _, deep := strings.Cut(b.text, "/")
			if b.lang != "span" || !deep || !top[first] || !path.MatchString(b.text) {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, b.text)); err != nil || len(found) == 0 {
				t.Errorf("%s: no such path: %s", b, b.text)
			}
		}
	}
}

// TestGo checks that every Go example is in the tree, except for its indentation, where
// the compiler checks it.
func TestGo(t *testing.T) {
	var sources []string
	for _, dir := range []string{"suites", "framework", "kernels", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" {
				return err
			}
			data, err := os.ReadFile(path)
			sources = append(sources, unindented(string(data)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	each(t, []string{"go"}, func(t *testing.T, b block) {
		if !slices.ContainsFunc(sources, func(s string) bool { return strings.Contains(s, unindented(b.text)) }) {
			t.Errorf("%s: these lines are in no source file:\n%s", b, b.text)
		}
	})
}

func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n")
}
