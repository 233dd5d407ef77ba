package vm

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	main := func(path, version string) debug.Module { return debug.Module{Path: path, Version: version} }
	revision := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "4c4b129"}}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"go install":                  {debug.BuildInfo{Main: main(module, "v1.2.3")}, "v1.2.3"},
		"go install of a commit":      {debug.BuildInfo{Main: main(module, "v0.0.0-20261129181922-4c4b12921bda")}, "v0.0.0-20261129181922-4c4b12921bda"},
		"go build in a clean clone":   {debug.BuildInfo{Main: main(module, "v0.0.0-20261129181922-4c4b12921bda"), Settings: revision}, ""},
		"go build -buildvcs=false":    {debug.BuildInfo{Main: main(module, "(devel)")}, ""},
		"a program of another module": {debug.BuildInfo{Main: main("example.org/other", "v1.2.3")}, ""},
	} {
		if got := versionOf(&test.info); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestSourceTreeOfAWorkspace(t *testing.T) {
	root := sourceTree(t.Context())
	if root == "" {
		t.Fatal("the tests do not run in the module's source tree")
	}
	space := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(space, "other"), 0o755))
	must(t, os.WriteFile(filepath.Join(space, "other", "go.mod"), []byte("module example.org/other\n\ngo 1.26\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(space, "go.work"), []byte("go "+strings.TrimPrefix(runtime.Version(), "go")+"\n\nuse (\n\t./other\n\t"+root+"\n)\n"), 0o600))
	t.Chdir(space)
	if got := sourceTree(t.Context()); got != root {
		t.Errorf("in a workspace: got %q, want %q", got, root)
	}
	t.Chdir(t.TempDir())
	if got := sourceTree(t.Context()); got != "" {
		t.Errorf("elsewhere: got %q, want none", got)
	}
}
