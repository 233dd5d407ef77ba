package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
)

// step is a step of an action or of a job.
type step struct {
	Name, ID, If, Uses, Shell, Run string
	Env, With                      map[string]any
}

// steps are the parts of action.yml and of the workflow that the tests read.
type steps struct {
	Inputs  map[string]struct{ Default any }
	Outputs map[string]struct{ Value string }
	Runs    struct{ Steps []step }
	On      struct {
		Call struct {
			Inputs map[string]struct{ Default any }
		} `yaml:"workflow_call"`
	}
	Jobs map[string]struct {
		Outputs map[string]string
		Steps   []step
	}
}

func readSteps(t *testing.T, file string) (s steps) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// runner is a minimal GitHub runner for shell steps: it evaluates expressions that are
// a name, conditions that compare them, and the files by which a step sets outputs and
// environment. It skips third-party actions.
type runner struct {
	t       *testing.T
	dir     string            // the workspace
	temp    string            // RUNNER_TEMP
	action  string            // the folder of our action
	path    string            // PATH
	env     []string          // set by steps with GITHUB_ENV
	values  map[string]string // inputs.kernels, steps.run.outputs.code
	passed  []string          // the names of steps to skip, such as "Install Faultline"
	uses    []string          // the actions that were skipped
	summary string
	log     string
}

func newRunner(t *testing.T, passed ...string) *runner {
	t.Helper()
	r := &runner{t: t, dir: t.TempDir(), temp: t.TempDir(), path: built + ":" + os.Getenv("PATH"),
		action: t.TempDir(), values: map[string]string{"github.action_ref": "v1"}, passed: passed}
	// Use the kernels that this machine has cached.
	if err := os.Symlink(userCache(t), filepath.Join(r.temp, "faultline-cache")); err != nil {
		t.Fatal(err)
	}
	return r
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

func (r *runner) eval(text any) string {
	return expression.ReplaceAllStringFunc(fmt.Sprint(text), func(m string) string {
		name := expression.FindStringSubmatch(m)[1]
		value, ok := r.values[name]
		if !ok && !strings.HasPrefix(name, "steps.") { // a skipped step has no outputs
			r.t.Fatalf("unknown name %s", name)
		}
		return value
	})
}

var comparison = regexp.MustCompile(`^([a-z._-]+) (==|!=) '([^']*)'$`)

func (r *runner) holds(condition string) bool {
	for _, term := range strings.Split(condition, " && ") {
		m := comparison.FindStringSubmatch(term)
		if term == "" || term == "always()" {
			continue
		}
		if m == nil {
			r.t.Fatalf("unknown term %q", term)
		}
		if (r.eval("${{ "+m[1]+" }}") == m[3]) != (m[2] == "==") {
			return false
		}
	}
	return true
}

// steps runs all steps, and returns the exit code of the first that fails.
func (r *runner) steps(all []step) (code int) {
	r.t.Helper()
	for _, s := range all {
		switch {
		case code != 0 && !strings.Contains(s.If, "always()") || !r.holds(s.If) || slices.Contains(r.passed, s.Name):
		case s.Uses == "./.faultline":
			r.nested(s)
		case s.Uses != "":
			r.uses = append(r.uses, s.Uses)
		default:
			if got := r.step(s); code == 0 {
				code = got
			}
		}
	}
	return code
}

func (r *runner) step(s step) int {
	r.t.Helper()
	file := map[string]string{}
	env := append(os.Environ(), "GITHUB_ACTION_PATH="+r.action, "RUNNER_TEMP="+r.temp, "PATH="+r.path)
	for _, name := range []string{"OUTPUT", "ENV", "PATH", "STEP_SUMMARY"} {
		file[name] = filepath.Join(r.t.TempDir(), name)
		os.WriteFile(file[name], nil, 0o644)
		env = append(env, "GITHUB_"+name+"="+file[name])
	}
	env = append(env, r.env...)
	for k, v := range s.Env {
		env = append(env, k+"="+r.eval(v))
	}
	script := filepath.Join(r.t.TempDir(), "step.sh")
	if err := os.WriteFile(script, []byte(s.Run), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if expression.MatchString(s.Run) || s.Shell != "bash" {
		r.t.Fatalf("step %q: pass external values to bash through env: %s", s.Name, s.Run)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script)
	cmd.Env, cmd.Dir = env, r.dir
	out, err := cmd.CombinedOutput()
	r.log += string(out)
	if cmd.ProcessState == nil {
		r.t.Fatalf("got no process: %v", err)
	}
	read := func(name string) (lines []string) {
		data, err := os.ReadFile(file[name])
		if err != nil {
			r.t.Fatal(err)
		}
		return strings.FieldsFunc(string(data), func(c rune) bool { return c == '\n' })
	}
	for _, line := range read("OUTPUT") {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			r.t.Fatalf("step %q: no output: %q", s.Name, line)
		}
		r.values["steps."+s.ID+".outputs."+name] = value
	}
	r.env = append(r.env, read("ENV")...)
	for _, p := range read("PATH") {
		r.path = p + ":" + r.path
	}
	r.summary += strings.Join(read("STEP_SUMMARY"), "\n")
	return cmd.ProcessState.ExitCode()
}

// nested runs our action as a step.
func (r *runner) nested(s step) {
	r.t.Helper()
	inner := *r
	inner.values = map[string]string{"github.action_ref": ""}
	given := map[string]string{}
	for k, v := range s.With {
		given[k] = r.eval(v)
	}
	if code := inner.run(given); code != 0 {
		r.t.Fatalf("our action, as a step: got exit code %d, want 0: %s", code, inner.log)
	}
	r.env, r.path, r.log, r.uses, r.summary = inner.env, inner.path, inner.log, inner.uses, inner.summary
	for name, o := range readSteps(r.t, "action.yml").Outputs {
		r.values["steps."+s.ID+".outputs."+name] = inner.eval(o.Value)
	}
}

// run runs our action with these inputs.
func (r *runner) run(inputs map[string]string) int {
	r.t.Helper()
	action := readSteps(r.t, "action.yml")
	for name, i := range action.Inputs {
		r.values["inputs."+name] = fmt.Sprint(i.Default)
	}
	for name, v := range inputs {
		if _, ok := action.Inputs[name]; !ok {
			r.t.Fatalf("our action has no input %s", name)
		}
		r.values["inputs."+name] = v
	}
	return r.steps(action.Runs.Steps)
}

// skippedSteps are not run: one gives all users access to this machine's /dev/kvm, the
// other builds, which TestLongAction does.
var skippedSteps = []string{"Open /dev/kvm", "Install Faultline"}

const twoScenarios = "dax/ext4/shared-read\ndax/ext4/shared-write\n"

// TestAction runs the shell steps of action.yml like a runner, with real guests.
func TestAction(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	r := newRunner(t, skippedSteps...)
	if code := r.run(map[string]string{"scenarios": twoScenarios, "label": "!change: isEmpty", "accel": "tcg", "cache": "false"}); code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, r.log)
	}
	if got := r.eval("${{ steps.run.outputs.code }}"); got != "0" || !strings.Contains(r.summary, "as expected") || !strings.Contains(r.log, "::notice") {
		t.Errorf("got exit code %s, summary %q, want 0, as expected, and a notice: %s", got, r.summary, r.log)
	}
	if all, err := cellsOf(filepath.Join(r.dir, "faultline-results")); err != nil || len(all) != 4 {
		t.Errorf("got %d cells, error %v; want 4 cells", len(all), err)
	}
	uses := slices.DeleteFunc(r.uses, isSetup)
	if len(uses) != 1 || !strings.HasPrefix(uses[0], "actions/upload-artifact@") {
		t.Errorf("got the uses %q, want actions/upload-artifact alone", uses)
	}
}

func isSetup(action string) bool { return strings.HasPrefix(action, "actions/setup-go@") }

// An invalid request ends the action with exit code 2, and no shell evaluates an input.
func TestActionRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the suites; not with -short")
	}
	r := newRunner(t, skippedSteps...)
	bad := "$(touch bad) `touch bad`; touch bad\n--help"
	if code := r.run(map[string]string{"kernels": bad, "matrix": "'; touch bad", "label": `"; touch bad`, "against": "$(touch bad)", "cache": "false"}); code != 2 {
		t.Fatalf("got exit code %d, want 2: %s", code, r.log)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "bad")); err == nil || !strings.Contains(r.log, "$(touch bad)") {
		t.Errorf("bad: got %v, want no such file, and a log that has $(touch bad): %s", err, r.log)
	}
}

// TestCacheKey checks that the cache key depends only on the requested kernels and the day.
func TestCacheKey(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the suites; not with -short")
	}
	key := func(inputs map[string]string) string {
		r := newRunner(t, append(skippedSteps, "Run", "Fetch the kernels")...)
		os.WriteFile(filepath.Join(r.dir, "m.yaml"), []byte("kernels: "+inputs["scenarios"]), 0o644)
		if code := r.run(maps.Clone(inputs)); code != 0 && code != 2 { // the skipped step Run sets no verdict
			t.Fatalf("got exit code %d, want 0 or 2: %s", code, r.log)
		}
		return r.eval("${{ steps.places.outputs.prefix }}")
	}
	one := key(map[string]string{"kernels": "apt:bookworm", "cache": "false"})
	if again := key(map[string]string{"kernels": "apt:bookworm", "scenarios": "dax/*", "cache": "false"}); again != one {
		t.Errorf("%s and %s: the keys differ for the same kernels", one, again)
	}
	if other := key(map[string]string{"kernels": "apt:trixie", "cache": "false"}); other == one {
		t.Errorf("two kernels have the key %s", one)
	}
	m := key(map[string]string{"matrix": "m.yaml", "scenarios": "a", "cache": "false"})
	if other := key(map[string]string{"matrix": "m.yaml", "scenarios": "b", "cache": "false"}); other == m {
		t.Errorf("two matrices have the key %s", m)
	}
}

// TestWorkflow runs the jobs of the reusable workflow in order, each with the artifacts
// of those before, and again with a lost shard.
func TestWorkflow(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	w := readSteps(t, ".github/workflows/faultline.yml")
	given := map[string]string{"scenarios": twoScenarios, "accel": "tcg", "shards": "2"}
	inputs := map[string]string{}
	for name, i := range w.On.Call.Inputs {
		inputs["inputs."+name] = fmt.Sprint(i.Default)
	}
	for name, v := range given {
		inputs["inputs."+name] = v
	}
	job := func(name string, r *runner) int {
		maps.Copy(r.values, inputs)
		return r.steps(w.Jobs[name].Steps)
	}
	// Do not prune the cache of this machine.
	skippedSteps := append(slices.Clone(skippedSteps), "Remove kernels that were not used for a week")
	plan := newRunner(t, skippedSteps...)
	if code := job("plan", plan); code != 0 {
		t.Fatalf("plan: got exit code %d, want 0: %s", code, plan.log)
	}
	var matrix struct {
		Include []map[string]any
	}
	if err := yaml.Unmarshal([]byte(plan.eval(w.Jobs["plan"].Outputs["matrix"])), &matrix); err != nil || len(matrix.Include) != 2 {
		t.Fatalf("got the matrix %v, error %v; want 2 entries", matrix, err)
	}
	verdict := newRunner(t, skippedSteps...)
	for _, m := range matrix.Include {
		r := newRunner(t, skippedSteps...)
		for k, v := range m {
			r.values["matrix."+k] = fmt.Sprint(v)
		}
		if code := job("shard", r); code != 0 {
			t.Fatalf("shard %v: got exit code %d, want 0: %s", m["shard"], code, r.log)
		}
		to := filepath.Join(verdict.dir, "shards", fmt.Sprint("faultline-shard-", m["index"]))
		if err := os.CopyFS(to, os.DirFS(filepath.Join(r.dir, fmt.Sprint(m["out"])))); err != nil {
			t.Fatal(err)
		}
	}
	if code := job("verdict", verdict); code != 0 || !strings.Contains(verdict.summary, "as expected") {
		t.Errorf("verdict: got exit code %d, %s, want 0, as expected: %s", code, verdict.summary, verdict.log)
	}
	f, err := results.Open(filepath.Join(verdict.dir, "merged"))
	if err != nil {
		t.Fatal(err)
	}
	if merged, err := f.LoadRun(judge.Run); err != nil || len(merged.Cells) != 4 {
		t.Errorf("got %d cells, error %v; want 4 cells", len(merged.Cells), err)
	}

	// A baseline that differs changes the verdict.
	if out, err := exec.Command(filepath.Join(built, "faultline"), "baseline", "save", filepath.Join(verdict.dir, "b.json"), filepath.Join(verdict.dir, "merged")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for text, want := range map[string]int{"SIGBUS BUS_ADRERR": 0, "SIGBUS BUS_OBJERR": 1} {
		inputs["inputs.against"] = "b.json"
		data, err := os.ReadFile(filepath.Join(verdict.dir, "b.json"))
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(verdict.dir, "b.json"), []byte(strings.ReplaceAll(string(data), "SIGBUS BUS_ADRERR", text)), 0o644)
		if code := job("verdict", verdict); code != want {
			t.Errorf("against a baseline with %s: got exit code %d, want %d: %s", text, code, want, verdict.log)
		}
		os.WriteFile(filepath.Join(verdict.dir, "b.json"), data, 0o644)
	}
	inputs["inputs.against"] = ""

	if err := os.RemoveAll(filepath.Join(verdict.dir, "shards", "faultline-shard-2")); err != nil {
		t.Fatal(err)
	}
	if code := job("verdict", verdict); code != 3 || !strings.Contains(verdict.log, "shard 2/2 is missing") || verdict.eval("${{ steps.merge.outputs.code }}") != "3" {
		t.Errorf("with a shard lost: got exit code %d, want 3, as shard 2/2 is missing: %s", code, verdict.log)
	}
}

// TestLongAction runs the action with its installation from a clone, as on a runner.
func TestLongAction(t *testing.T) {
	long(t)
	r := newRunner(t, "Open /dev/kvm")
	if out, err := exec.Command("git", "clone", "-q", "--depth=1", "file://"+root(t), r.action).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.path = os.Getenv("PATH")
	if code := r.run(map[string]string{"scenarios": twoScenarios, "accel": "tcg", "cache": "false"}); code != 0 {
		t.Fatalf("got exit code %d, want 0: %s", code, r.log)
	}
	if !strings.Contains(r.path, r.action+"/bin:") {
		t.Errorf("got PATH %s, want %s/bin in it", r.path, r.action)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
