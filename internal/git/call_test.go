package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hostile sets an environment that points git to another repository, as in hooks and
// aliases, with every variable that git considers local to a repository.
func hostile(t *testing.T, other *history) {
	t.Helper()
	list, err := exec.Command("git", "rev-parse", "--local-env-vars").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(list)) {
		t.Setenv(name, "elsewhere")
	}
	attributes := filepath.Join(t.TempDir(), "attributes")
	if err := os.WriteFile(attributes, []byte("* text eol=crlf diff=evil\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config")
	text := "[core]\n\tattributesFile = " + attributes + "\n\tautocrlf = true\n\tbare = true\n[diff]\n\tnoprefix = true\n\texternal = false\n[diff \"evil\"]\n\ttextconv = false\n\tcommand = false\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(other.root, ".git")
	for name, value := range map[string]string{
		"GIT_DIR": dir, "GIT_WORK_TREE": other.root, "GIT_COMMON_DIR": dir, "GIT_INDEX_FILE": filepath.Join(dir, "index"),
		"GIT_OBJECT_DIRECTORY": filepath.Join(dir, "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": filepath.Join(dir, "objects"),
		"GIT_SHALLOW_FILE": filepath.Join(dir, "none"), "GIT_GRAFT_FILE": filepath.Join(dir, "none"), "GIT_NAMESPACE": "elsewhere", "GIT_PREFIX": "x/",
		"GIT_CONFIG": config, "GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_SYSTEM": config, "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": other.root,
		"GIT_TEMPLATE_DIR": other.root, "GIT_EXTERNAL_DIFF": "false", "GIT_DIFF_OPTS": "--unified=0", "GIT_DEFAULT_HASH": "sha256", "GIT_CEILING_DIRECTORIES": "/",
		"GIT_LITERAL_PATHSPECS": "1", "GIT_PAGER": "false", "GIT_TRACE": "1", "GIT_ATTR_SOURCE": "HEAD", "LANGUAGE": "de",
	} {
		t.Setenv(name, value)
	}
}

// TestEnvironment checks that another repository's environment has no effect.
func TestEnvironment(t *testing.T) {
	h, other := newHistory(t), newHistory(t)
	base := h.commit("base", "f", "1\n2\n3\n4\n5\n6\n7\n8\n")
	head := h.commit("change", "f", "1\n2\n3\n4\nfive\n6\n7\n8\n")
	other.commit("elsewhere", "f", "other\n", "hooks/pre-commit", "false\n")
	tree := h.git("rev-parse", "HEAD^{tree}")
	hostile(t, other)
	user := h.open()
	if got, err := user.Commit(t.Context(), "HEAD"); err != nil || got != head {
		t.Errorf("HEAD: got %s, error %v; want %s", got, err, head)
	}
	if s, err := user.Subject(t.Context(), "HEAD"); err != nil || s != "change" {
		t.Errorf("got the subject %q, error %v; want change", s, err)
	}
	if files, err := user.Changed(t.Context()); err != nil || len(files) > 0 {
		t.Errorf("got modified %q, error %v; want none", files, err)
	}
	r := h.repo()
	got, err := r.Apply(t.Context(), base+"^{tree}", []Edit{{Commit: head}})
	if err != nil || got.Tree != tree {
		t.Errorf("picked: got error %v, %+v; want the tree %s", err, got, tree)
	}
	out := filepath.Join(t.TempDir(), "source")
	if err := r.Checkout(t.Context(), tree, out); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(out, "f")); err != nil || string(text) != "1\n2\n3\n4\nfive\n6\n7\n8\n" {
		t.Errorf("checked out: got %q, error %v; want the lines with five", text, err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "hooks")); err == nil {
		t.Error("our repository has hooks of a template")
	}
	for _, v := range environ(nil) {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GIT_") && !strings.HasPrefix(name, "GIT_SS") && os.Getenv(name) == value {
			t.Errorf("the environment of git has the caller's %s", v)
		}
	}
}

// TestUsersConfiguration checks that the user's settings, local and global, change
// neither output nor checked-out files.
func TestUsersConfiguration(t *testing.T) {
	h := newHistory(t)
	nine := "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	base := h.commit("base", "f", nine, "ü", "x\n")
	head := h.commit("change", "f", strings.Replace(nine, "5", "five  ", 1)) // which apply.whitespace=fix would change
	tree := h.git("rev-parse", "HEAD^{tree}")
	patch := h.file("p.mbox", h.git("format-patch", "--stdout", base)+"\n")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	if err := os.MkdirAll(filepath.Join(home, ".config/git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config/git/attributes"), []byte("f eol=crlf diff=evil merge=evil\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"log.showSignature", "true"}, {"color.ui", "always"}, {"color.status", "always"}, {"core.quotePath", "true"}, {"core.pager", "false"}, {"pager.log", "true"},
		{"log.date", "relative"}, {"log.decorate", "full"}, {"format.pretty", "raw"}, {"i18n.logOutputEncoding", "utf-16"}, {"core.fsmonitor", "false"},
		{"diff.noprefix", "true"}, {"diff.mnemonicPrefix", "true"}, {"diff.external", "false"}, {"diff.renames", "copies"}, {"diff.context", "0"}, {"diff.suppressBlankEmpty", "true"},
		{"diff.evil.textconv", "false"}, {"diff.evil.command", "false"}, {"merge.evil.driver", "false"}, {"apply.whitespace", "fix"}, {"apply.ignoreWhitespace", "change"},
		{"status.relativePaths", "true"}, {"status.branch", "true"}, {"status.short", "true"}, {"status.showUntrackedFiles", "no"}, {"init.templateDir", home}, {"user.name", ""},
	} {
		h.git("config", c[0], c[1])
		h.git("config", "--global", c[0], c[1])
	}
	h.git("config", "--global", "core.autocrlf", "true")
	user := h.open()
	if s, err := user.Subject(t.Context(), head); err != nil || s != "change" {
		t.Errorf("got the subject %q, error %v; want change", s, err)
	}
	h.write("ü", "y\n")
	h.write("new", "")
	if files, err := user.Changed(t.Context()); err != nil || !slices.Equal(files, []string{"ü", "new"}) {
		t.Errorf("got modified %q, error %v; want ü and new", files, err)
	}
	r := h.repo()
	for _, e := range []Edit{{Commit: head}, {File: patch}} {
		if got, err := r.Apply(t.Context(), base+"^{tree}", []Edit{e}); err != nil || got.Tree != tree {
			t.Errorf("%+v: got %+v, error %v; want the tree %s", e, got, err, tree)
		}
	}
	out := filepath.Join(t.TempDir(), "source")
	if err := r.Checkout(t.Context(), tree, out); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(out, "f")); err != nil || strings.Contains(string(text), "\r") {
		t.Errorf("checked out: got %q, error %v; want no \\r", text, err)
	}
}

// TestSignedCommit checks that gpg's output is not part of a commit's subject.
func TestSignedCommit(t *testing.T) {
	h := newHistory(t)
	h.commit("First", "f", "1\n")
	raw := h.git("cat-file", "commit", "HEAD")
	signed := strings.Replace(raw, "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\n", 1)
	file := h.file("commit", signed+"\n")
	h.git("update-ref", "HEAD", h.git("hash-object", "-t", "commit", "-w", file))
	h.git("config", "log.showSignature", "true")
	h.git("config", "gpg.program", h.file("gpg", "#!/bin/sh\necho '[GNUPG:] GOODSIG'; echo Good >&2\n"))
	if err := os.Chmod(h.git("config", "gpg.program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s, err := h.open().Subject(t.Context(), "HEAD"); err != nil || s != "First" {
		t.Errorf("got the subject %q, error %v; want First", s, err)
	}
	if got, err := h.repo().Apply(t.Context(), "HEAD^{tree}", nil); err == nil {
		t.Errorf("HEAD of the user's repository: got %+v, want an error", got)
	}
}
