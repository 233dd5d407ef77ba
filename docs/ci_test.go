package docs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// pinned matches an action at a commit: a tag can be moved.
var pinned = regexp.MustCompile(`@[0-9a-f]{40}$`)

// reExample matches an example of a GitHub workflow.
var reExample = regexp.MustCompile("(?s)```yml\n(on:.*?)```")

// moves reports whether a name can refer to another version of an action later. The
// version of our own action is the caller's choice.
func moves(uses string) bool {
	return uses != "" && !strings.HasPrefix(uses, "./") && !strings.HasPrefix(uses, "faultline/faultline") && !pinned.MatchString(uses)
}

// TestWorkflowsAskForLittle checks that workflows, and their examples, have read access
// only, and leave no token in a clone.
func TestWorkflowsAskForLittle(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("got the workflows %v, error %v; want at least 2", files, err)
	}
	texts := map[string][]byte{}
	for _, file := range files {
		if texts[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("guides/pipelines.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range reExample.FindAllSubmatch(page, -1) {
		texts[fmt.Sprintf("example %d of pipelines.md", i+1)] = m[1]
	}
	if len(texts) < len(files)+3 {
		t.Errorf("pipelines.md: got %d examples for GitHub, want at least 3", len(texts)-len(files))
	}
	for file, data := range texts {
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Permissions map[string]string
				Steps       []struct {
					Uses string
					With map[string]any
				}
			}
		}
		if err := yaml.Unmarshal(data, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: got the permissions %v, want only contents: read", file, w.Permissions)
		}
		for name, job := range w.Jobs {
			// Creating a release needs a permission.
			release := strings.HasSuffix(file, "release.yml") && len(job.Permissions) == 1 && job.Permissions["contents"] == "write"
			if job.Permissions != nil && !release {
				t.Errorf("%s: %s has permissions of its own: %v", file, name, job.Permissions)
			}
			for _, s := range job.Steps {
				if moves(s.Uses) {
					t.Errorf("%s: %s uses %s, which is not pinned to a commit", file, name, s.Uses)
				}
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s: %s leaves its token in the clone", file, name)
				}
			}
		}
	}
}

// TestActionPinsActions checks that the action uses other actions by commit, too.
func TestActionPinsActions(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Runs struct{ Steps []struct{ Uses string } }
	}
	if err := yaml.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, s := range a.Runs.Steps {
		if s.Uses != "" {
			used++
		}
		if moves(s.Uses) {
			t.Errorf("action.yml uses %s, which is not pinned to a commit", s.Uses)
		}
	}
	if used == 0 {
		t.Error("action.yml uses no action, or has an unexpected form")
	}
}

// TestCI runs .ci/run with programs in PATH that log how they are called.
func TestCI(t *testing.T) {
	for _, c := range []struct {
		name, id, bare string // the user, and the exit code of tools/bare
		debootstrap    bool
		code           int
		calls, log     string
	}{
		{"a fresh root", "0", "0", true, 0, "bare bookworm make test\n", ""},
		{"tests that fail", "0", "2", true, 2, "bare bookworm make test\n", ""},
		{"no mounts", "0", "125", true, 7, "bare bookworm make test\nmake test\n", "no fresh Debian; make test runs on this machine\n"},
		{"no debootstrap", "0", "0", false, 7, "apt-get install\napt-get update\nmake test\n", "debootstrap is not installed\n"},
		{"a user", "1000", "0", true, 7, "make test\n", "a fresh Debian needs root\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(name, script string) {
				t.Helper()
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			run, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
			if err != nil {
				t.Fatal(err)
			}
			put("clone/.ci/run", strings.TrimPrefix(string(run), "#!/usr/bin/env bash\n"))
			put("clone/tools/bare", `echo "bare $*" >> ../calls; exit `+c.bare)
			put("bin/make", `echo "make $*" >> ../calls; exit 7`)
			put("bin/id", "echo "+c.id)
			put("bin/apt-get", `echo "apt-get $1" >> ../calls; exit 100`)
			if c.debootstrap {
				put("bin/debootstrap", "")
			}
			for _, p := range []string{"bash", "dirname"} {
				path, err := exec.LookPath(p)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(dir, "bin", p)); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("bash", filepath.Join(dir, "clone", ".ci", "run"))
			cmd.Dir = "/"
			cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin"), "CI=true"}
			out, err := cmd.CombinedOutput()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
			if code != c.code || string(calls) != c.calls ||
				!strings.Contains(string(out), c.log) || (c.log == "") != (len(out) == 0) {
				t.Errorf("got exit code %d, want %d; calls %q, want %q; output %q, want %q",
					code, c.code, calls, c.calls, out, c.log)
			}
		})
	}
}
