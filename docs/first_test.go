package docs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// followed is the page that TestFirstScenario follows literally; the other tests skip
// its blocks.
const followed = "docs/guides/first-scenario.md"

// TestFirstScenario follows the page in a copy of the tree, block by block: it writes
// each Go block to the file that its first line names, applies diffs, runs commands, and
// compares their output with the text below.
func TestFirstScenario(t *testing.T) {
	if testing.Short() {
		t.Skip("boots guests")
	}
	dir := copyTree(t)
	blocks, _ := read(t, followed)
	printed := ""
	for _, b := range blocks {
		switch b.lang {
		case "go":
			name, _, _ := strings.Cut(strings.TrimPrefix(b.text, "// "), "\n")
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		case "diff":
			run(t, b, dir, b.text, "git", "apply", "-")
		case "sh":
			printed = run(t, b, dir, "", "bash", "-uc", b.text)
		case "text":
			if !shown(b.text).MatchString(printed) {
				t.Fatalf("%s: the output is instead:\n%s", b, printed)
			}
		}
	}
}

// TestFirstScenarioDiffs checks that the page's diffs apply to the tree.
func TestFirstScenarioDiffs(t *testing.T) {
	blocks, _ := read(t, followed)
	checked := 0
	for _, b := range blocks {
		if b.lang != "diff" {
			continue
		}
		checked++
		cmd := exec.Command("git", "apply", "--check", "-")
		cmd.Dir, cmd.Stdin = root, strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", b, err, out)
		}
	}
	if checked == 0 {
		t.Errorf("%s has no diffs", followed)
	}
}

// copyTree copies the tracked and the new files of the tree.
func copyTree(t *testing.T) string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed, and not yet removed from the index
		}
		info, statErr := os.Stat(filepath.Join(root, name))
		to := filepath.Join(dir, name)
		if err == nil && statErr == nil && os.MkdirAll(filepath.Dir(to), 0o700) == nil {
			err = os.WriteFile(to, data, info.Mode())
		}
		if err != nil || statErr != nil {
			t.Fatalf("%s: %v; stat: %v", name, err, statErr)
		}
	}
	return dir
}

// run runs a block's program in a folder, and returns its standard output.
func run(t *testing.T, b block, dir, input string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // for a machine that has to boot its templates first
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// As on a command line, also if make runs the tests: a nested make prints more.
	// Fresh cells, also if the test ran before.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") }), "FAULTLINE_FRESH_CELLS=1")
	var out, log strings.Builder
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(input), &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", b, err, out.String(), log.String())
	}
	return out.String()
}

var (
	anyVersion = regexp.MustCompile(`\d+\\\.\d+\\\.\d+`)
	spaces     = regexp.MustCompile(` {2,}`)
)

// shown returns the pattern of a text block: … matches anything, a kernel version any
// version, and columns may have any width.
func shown(text string) *regexp.Regexp {
	p := regexp.QuoteMeta(strings.Trim(text, "\n"))
	p = anyVersion.ReplaceAllString(p, `\d+\.\d+\.\d+`)
	p = spaces.ReplaceAllString(p, ` +`)
	return regexp.MustCompile(`^\n*` + strings.ReplaceAll(p, "…", `(?s:.*)`) + `\n*$`)
}
