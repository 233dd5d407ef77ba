package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newRepo returns a repository whose branch 6.1 has a source of one file.
func newRepo(t *testing.T) (r repo, base string) {
	t.Helper()
	r = repo{t.TempDir()}
	if _, err := r.git(t.Context(), "", "", "init", "--quiet", r.dir); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"dax.c": "one two three", ".gitignore": "/*\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	base, err := r.takeIn(t.Context(), "6.1", folder)
	if err != nil {
		t.Fatal(err)
	}
	return r, base
}

func (r repo) show(t *testing.T, what string) string {
	t.Helper()
	text, err := r.git(t.Context(), "", "", "show", what)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEdited(t *testing.T) {
	r, base := newRepo(t)
	edits := []edit{{"dax.c", "one", "1"}, {"dax.c", "1 two", "1 2"}, remark("dax.c", "four")} // the second edit needs the first
	commit, err := r.edited(t.Context(), base, "Edit", edits)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.show(t, commit+":dax.c"); got != "1 2 three\n/* four */\n" {
		t.Errorf("edited: got %q, want 1 2 three, and the comment", got)
	}
	if again, err := r.edited(t.Context(), base, "Edit", edits); err != nil || again != commit {
		t.Errorf("the same edits: got error %v, %s and %s; want one commit", err, commit, again)
	}
	file := filepath.Join(t.TempDir(), "x.mbox")
	if err := r.mails(t.Context(), base, commit, file); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "Subject: [PATCH] Edit") || !strings.Contains(string(data), "+1 2 three") {
		t.Errorf("got error %v, want the patch of Edit:\n%s", err, data)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, ".git/index-*")); err != nil || len(left) > 0 {
		t.Errorf("got %v left behind, want none", left)
	}
}

// TestEnvironment checks that the environment of a hook or an alias, and the user's
// configuration, do not affect commits.
func TestEnvironment(t *testing.T) {
	_, want := newRepo(t)
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "config"), []byte("[core]\n\tautocrlf = true\n\tbare = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GIT_DIR": elsewhere, "GIT_WORK_TREE": elsewhere, "GIT_COMMON_DIR": elsewhere, "GIT_INDEX_FILE": filepath.Join(elsewhere, "index"),
		"GIT_OBJECT_DIRECTORY": elsewhere, "GIT_NAMESPACE": "elsewhere", "GIT_TEMPLATE_DIR": elsewhere, "GIT_DEFAULT_HASH": "sha256",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": elsewhere,
		"GIT_CONFIG_SYSTEM": filepath.Join(elsewhere, "config"), "GIT_CONFIG_PARAMETERS": "'core.autocrlf=true'", "GIT_TRACE": "1",
	} {
		t.Setenv(name, value)
	}
	r, base := newRepo(t)
	if base != want {
		t.Errorf("got the commit %s, want %s, as in the other environment", base, want)
	}
	if text := r.show(t, "6.1:dax.c"); text != "one two three" {
		t.Errorf("got %q, want one two three", text)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 1 {
		t.Errorf("another repository: got %v, error %v; want nothing written", left, err)
	}
}

func TestHistoryOf(t *testing.T) {
	r, base := newRepo(t)
	head, err := r.history(t.Context(), base, []commit{
		{subject: "a", edits: []edit{{"dax.c", "one", "1"}}}, {subject: "b"},
		{subject: "m", merge: []commit{{subject: "s", edits: []edit{{"dax.c", "two", "2"}}}}},
		{subject: "c", edits: []edit{{"dax.c", "1", "one"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.show(t, head+":dax.c"); got != "one 2 three" {
		t.Errorf("got %q, want one 2 three", got)
	}
	log, err := r.line(t.Context(), "", "", "log", "--format=%s", "--topo-order", head)
	if err != nil {
		t.Fatal(err)
	}
	subjects := strings.Fields(log)
	if slices.Sort(subjects[:5]); !slices.Equal(subjects[:5], []string{"a", "b", "c", "m", "s"}) {
		t.Errorf("got the subjects %q, want a, b, c, m and s first, in any order", log)
	}
	if parents, err := r.line(t.Context(), "", "", "rev-list", "--merges", "--count", head); err != nil || parents != "1" {
		t.Errorf("got %s merges, error %v; want 1", parents, err)
	}
}

func TestEditsRefused(t *testing.T) {
	r, base := newRepo(t)
	for name, c := range map[string]struct {
		edits []edit
		want  string
	}{
		"absent":        {[]edit{{"dax.c", "four", "4"}}, `dax.c: "four" occurs 0 times`},
		"twice":         {[]edit{{"dax.c", "o", "0"}}, `dax.c: "o" occurs 2 times`},
		"gone by then":  {[]edit{{"dax.c", "one", "1"}, {"dax.c", "one", "I"}}, `"one" occurs 0 times`},
		"no such file":  {[]edit{{"mm.c", "one", "1"}}, "mm.c"},
		"second absent": {[]edit{{"dax.c", "one", "1"}, {"mm.c", "one", "1"}}, "mm.c"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := r.edited(t.Context(), base, name, c.edits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}

func TestVariants(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range variants {
		if seen[v.name] {
			t.Errorf("two kernels are called %s", v.name)
		}
		seen[v.name] = true
	}
}

// The history has the properties that docs/guides/bisecting.md and the long tests rely on.
func TestHistory(t *testing.T) {
	var subjects []string
	merges := 0
	for _, c := range history {
		subjects = append(subjects, c.subject)
		for _, s := range c.merge {
			merges++
			subjects = append(subjects, s.subject)
		}
	}
	if len(subjects) < 16 || merges == 0 {
		t.Errorf("got %d commits, %d of a branch that is merged; want at least 16, and 1 of those", len(subjects), merges)
	}
	for _, s := range []string{theChange, noBuild, noBoot} {
		if i := slices.Index(subjects, s); i < 2 || i > len(subjects)-3 {
			t.Errorf("%q: got place %d of %d, want it not among the 2 first or last", s, i, len(subjects))
		}
	}
}

func TestChoose(t *testing.T) {
	got, err := choose([]string{"6.1-bare", "6.12"})
	if err != nil || !slices.Equal(got, []string{"6.12", "6.1-bare"}) {
		t.Errorf("got %v, error %v; want the table's order", got, err)
	}
	if _, err := choose([]string{"6.12", "7.0"}); err == nil || !strings.Contains(err.Error(), `"7.0"`) {
		t.Errorf("an unknown name: got %v, want an error that names 7.0", err)
	}
	if all, err := choose(nil); err != nil || len(all) != len(variants)+1 {
		t.Errorf("no names: got %d kernels, error %v; want %d", len(all), err, len(variants)+1)
	}
}
