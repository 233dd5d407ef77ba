package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/faultline/faultline/internal/exttest"
)

// planned returns the output of faultline plan for an engine; its arguments need quoting.
func planned(t *testing.T, engine string) []byte {
	t.Helper()
	args := []string{"plan", "--shards=4", "--for=" + engine, "--kernel=deb:it's a file.deb", "--kernel=apt:bookworm", "--label=!change: isEmpty"}
	if engine == "k8s" || engine == "gitlab" {
		args = append(args, "--image=faultline:v1")
	}
	out, err := exec.Command(filepath.Join(built, "faultline"), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// module runs a tool of tools/readers, which is a separate module. If that cannot be
// built, for example without a network, the test is skipped.
func module(t *testing.T, input []byte, args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a reader of a separate module; not with -short")
	}
	build := exec.Command("go", "build", "-o", os.DevNull, "./job", "github.com/rhysd/actionlint/cmd/actionlint")
	build.Dir = filepath.Join(root, "tools", "readers")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("no reader in tools/readers: %v: %s", err, out)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stdin = root, bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestWorkflowsByActionlint checks workflows with actionlint, which calls shellcheck for
// their steps if it is installed, and compares the use of our action with action.yml.
func TestWorkflowsByActionlint(t *testing.T) {
	lint := func(args ...string) (string, error) {
		return module(t, nil, append([]string{"tool", "-modfile=tools/readers/go.mod", "actionlint"}, args...)...)
	}
	if out, err := lint(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	page, err := os.ReadFile("guides/pipelines.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile("(?s)```yml\n(on:.*?)```").FindAllSubmatch(page, -1) {
		n++
		if out, err := lint(exttest.Temp(t, "example.yml", m[1])); err != nil {
			t.Errorf("an example for GitHub: %v: %s", err, out)
		}
	}
	if n == 0 {
		t.Error("pipelines.md has no example for GitHub")
	}
	bad, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "faultline.yml"))
	if err != nil {
		t.Fatal(err)
	}
	bad = bytes.ReplaceAll(bad, []byte("needs.plan.outputs.matrix"), []byte("needs.plan.outputs.shards"))
	if out, err := lint(exttest.Temp(t, "bad.yml", bad)); err == nil || !strings.Contains(out, `"shards" is not defined`) {
		t.Errorf("an output that does not exist: got error %v, want \"shards\" is not defined: %s", err, out)
	}
}

// TestScriptsByShellcheck checks the scripts of the action and of a job array.
func TestScriptsByShellcheck(t *testing.T) {
	check := exttest.Program(t, "shellcheck")
	var action struct {
		Runs struct{ Steps []struct{ Run string } }
	}
	data, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &action); err != nil {
		t.Fatal(err)
	}
	scripts := []string{string(planned(t, "slurm"))}
	for _, s := range action.Runs.Steps {
		if s.Run != "" {
			scripts = append(scripts, "#!/bin/bash -e\n"+s.Run)
		}
	}
	if len(scripts) < 6 {
		t.Fatalf("got %d scripts, want at least 6", len(scripts))
	}
	for _, s := range scripts {
		cmd := exec.Command(check, "-s", "bash", "-S", "warning", "-e", "SC2154", "-") // eval sets $flags
		cmd.Stdin = strings.NewReader(s)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestActionMetadata checks action.yml by the documentation of its syntax: actionlint
// reads only the parts that a workflow with the action needs.
func TestActionMetadata(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Name, Description string
		Inputs            map[string]struct {
			Description string
			Required    bool
			Default     string
		}
		Outputs map[string]struct{ Description, Value string }
		Runs    struct {
			Using string
			Steps []struct {
				Name, ID, If, Uses, Shell, Run string
				Env, With                      map[string]string
			}
		}
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.DisallowUnknownField()).Decode(&a); err != nil {
		t.Fatal(err)
	}
	if a.Name == "" || a.Description == "" || a.Runs.Using != "composite" {
		t.Errorf("got %+v, want a name, a description and runs.using: composite", a)
	}
	ids := map[string]bool{}
	for _, s := range a.Runs.Steps {
		if (s.Run == "") == (s.Uses == "") || (s.Run == "") != (s.Shell == "") {
			t.Errorf("a step has either uses, or run and its shell: %+v", s)
		}
		if s.Uses != "" && !regexp.MustCompile(`^actions/[a-z-]+(/[a-z]+)?@[0-9a-f]{40}$`).MatchString(s.Uses) {
			t.Errorf("%s is not pinned by a commit, as tags can be moved", s.Uses)
		}
		ids[s.ID] = true
	}
	for _, m := range regexp.MustCompile(`(inputs|steps)\.([a-z-]+)`).FindAllStringSubmatch(string(data), -1) {
		if _, ok := a.Inputs[m[2]]; m[1] == "inputs" && !ok || m[1] == "steps" && !ids[m[2]] {
			t.Errorf("there is no %s", m[0])
		}
	}
	for name, i := range a.Inputs {
		if i.Description == "" || !strings.Contains(string(data), "inputs."+name) {
			t.Errorf("input %s is not described, or not used", name)
		}
	}
}

func TestJobByKubernetes(t *testing.T) {
	good := planned(t, "k8s")
	if out, err := module(t, good, "run", "-C", "tools/readers", "./job"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	bad := bytes.Replace(good, []byte("backoffLimitPerIndex"), []byte("backoffLimitPerShard"), 1)
	if out, err := module(t, bad, "run", "-C", "tools/readers", "./job"); err == nil {
		t.Errorf("an unknown field is accepted: %s", out)
	}
}

// TestPipelinesByGitLab checks pipelines with gitlab-ci-local, which has GitLab's schema.
func TestPipelinesByGitLab(t *testing.T) {
	local := exttest.File(t, "node_modules/.bin/gitlab-ci-local")
	template, err := os.ReadFile(filepath.Join("guides", "pipelines", "gitlab.yml"))
	if err != nil {
		t.Fatal(err)
	}
	list := func(pipeline []byte) (string, error) {
		dir := t.TempDir()
		for _, args := range [][]string{{"init", "-q"}, {"remote", "add", "origin", "https://example.org/a/b.git"}} {
			cmd := exec.Command("git", args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, ".gitlab-ci.yml"), pipeline, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(local, "--list")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for name, c := range map[string]struct {
		pipeline []byte
		shards   int
	}{"the template": {template, 2}, "what plan prints": {planned(t, "gitlab"), 4}} {
		out, err := list(c.pipeline)
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		for i := 1; i <= c.shards; i++ {
			if !strings.Contains(out, fmt.Sprintf("faultline: [%d/%d]", i, c.shards)) {
				t.Errorf("%s has no shard %d: %s", name, i, out)
			}
		}
		if !regexp.MustCompile(`(?m)^faultline merge +test +always +false +\[faultline\]`).MatchString(out) {
			t.Errorf("%s has no merge: %s", name, out)
		}
	}
	if out, err := list(bytes.Replace(template, []byte("parallel: 2"), []byte("parallel: many"), 1)); err == nil {
		t.Errorf("invalid input is accepted: %s", out)
	}
}

// TestTemplateOfGitLab checks that the template runs a shard with the arguments that plan
// prints, and resumes a shard that was begun.
func TestTemplateOfGitLab(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("guides", "pipelines", "gitlab.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var p map[string]struct{ Script []string }
	if err := yaml.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "faultline"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func() []string {
		cmd := exec.Command("sh", "-e", "-c", strings.Join(p["faultline"].Script, "\n"))
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "CI_NODE_INDEX=1", "CI_NODE_TOTAL=2", "CI_PIPELINE_ID=9", `FAULTLINE_FLAGS=--scenario 'dax/*' --label "a b"`}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	want := []string{"run", "--scenario", "dax/*", "--label", "a b"}
	end := []string{"--shard", "1/2", "--out", "shards/9/1"}
	if got := run(); !slices.Equal(got, append(slices.Clone(want), end...)) {
		t.Errorf("got %q, want %q and then %q", got, want, end)
	}
	os.MkdirAll(filepath.Join(dir, "shards/9/1"), 0o755)
	os.WriteFile(filepath.Join(dir, "shards/9/1/run.json"), nil, 0o644)
	if got := run(); !slices.Equal(got, append(append(slices.Clone(want), "--resume"), end...)) {
		t.Errorf("begun before: got %q, want %q, --resume and %q", got, want, end)
	}
}

const lavaReads = `
import sys, yaml
from lava_common.schemas import validate
from lava_common.schemas.test import testdef
job, test = (yaml.safe_load(open(f)) for f in sys.argv[1:])
validate(job, strict=True)
testdef.validate(test)
`

func TestDefinitionsByLAVA(t *testing.T) {
	folder := filepath.Dir(exttest.File(t, "lava_common"))
	read := func(job, test string) (string, error) {
		// Another python3 in PATH does not have Debian's packages.
		cmd := exec.Command("/usr/bin/python3", "-c", lavaReads, job, test)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "ModuleNotFoundError") {
			t.Skipf("%s; docs/guides/pipelines.md lists the packages that have it", out)
		}
		return string(out), err
	}
	job, test := filepath.Join("guides", "pipelines", "lava-job.yaml"), filepath.Join("guides", "pipelines", "lava-test.yaml")
	if out, err := read(job, test); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	data, err := os.ReadFile(test)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := read(job, exttest.Temp(t, "bad.yaml", bytes.Replace(data, []byte("steps:"), []byte("step:"), 1))); err == nil {
		t.Errorf("invalid input is accepted: %s", out)
	}
	var d struct{ Run struct{ Steps []string } }
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	// The last two steps translate the exit codes.
	for code, want := range map[int]string{0: "", 1: "", 2: "faultline-ended-with-2\n", 3: "", 130: "faultline-ended-with-130\n"} {
		script := fmt.Sprintf("faultline() { return %d; }\nlava-test-raise() { echo \"$@\"; }\nset -e\n%s", code, strings.Join(d.Run.Steps[len(d.Run.Steps)-2:], "\n"))
		if out, err := exec.Command("bash", "-c", script).CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("exit code %d: got %q, error %v; want %q", code, out, err, want)
		}
	}
}
