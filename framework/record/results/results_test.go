package results_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

var began = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// cell returns an observation of errno, or an infrastructure failure if it is empty.
func cell(scenario, kernel, errno string) observe.Cell {
	c := observe.Cell{Scenario: scenario, Kernel: kernel, Accel: "tcg", Verdict: observe.Expected, Started: began, Millis: 200,
		Steps: []observe.Step{{Actor: "victim", Action: "pread", Outcome: observe.Outcome{Errno: errno},
			Expected: &observe.Expectation{After: errno, Side: observe.Both, Met: true}}}}
	if errno == "" {
		c.Verdict, c.Steps, c.Message = observe.Infra, nil, "the guest gave no answer"
	}
	return c
}

func run(id string, cells ...observe.Cell) results.Run {
	r := results.Run{
		Schema: results.Schema, ID: id, Started: began, Finished: began.Add(time.Minute), Accel: "auto",
		Tool: results.Tool{Version: "0.1.0", Commit: "abc"}, Host: results.Host{OS: "Debian", CPU: "x", Cores: 2, MemoryBytes: 1 << 30, QEMU: "7.2"},
		Command:   []string{"faultline", "run"},
		Kernels:   []results.Kernel{{Name: "old", Spec: "apt:old", Arch: "amd64", Digest: "sha256:1"}, {Name: "new", Spec: "apt:new", Arch: "amd64", Digest: "sha256:2"}},
		Scenarios: []results.Scenario{{ID: "a/b", Doc: "does a thing", Suite: "a"}, {ID: "a/c", Doc: "does another", Suite: "a"}},
		Cells:     cells,
	}
	judge.Run(&r)
	return r
}

func folder(t *testing.T, r results.Run) *results.Folder {
	t.Helper()
	f, err := results.Create(filepath.Join(t.TempDir(), r.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if err := f.PutCell(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.PutRun(r); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRunRoundTrip(t *testing.T) {
	want := run("r1", cell("a/b", "old", "EIO"), cell("a/b", "new", "EFAULT"), cell("a/c", "old", ""))
	got, err := folder(t, want).LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record mismatch (-want +got):\n%s", diff)
	}
	if s := got.Summary; s.Expected != 2 || s.Infra != 1 || s.Unexplained != 1 || s.ExitCode != errkind.ExitUnexpected {
		t.Errorf("got the summary %+v, want 2 expected, 1 infra, 1 unexplained, exit code 1", s)
	}
}

// A run that has just started is valid too, because a killed run leaves only that.
func TestRunThatOnlyBegan(t *testing.T) {
	f := folder(t, results.Run{ID: "r1", Started: began})
	r, err := f.LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Finished.IsZero() {
		t.Errorf("got finished %v, want not finished", r.Finished)
	}
}

func TestExitCode(t *testing.T) {
	bad := cell("a/b", "old", "EIO")
	bad.Verdict = observe.Unexpected
	for _, tc := range []struct {
		name        string
		cells       []observe.Cell
		interrupted bool
		want        int
	}{
		{"expected", []observe.Cell{cell("a/b", "old", "EIO"), cell("a/b", "new", "EIO")}, false, errkind.ExitExpected},
		{"unexpected", []observe.Cell{bad}, false, errkind.ExitUnexpected},
		{"difference", []observe.Cell{cell("a/b", "old", "EIO"), cell("a/b", "new", "EPERM")}, false, errkind.ExitUnexpected},
		{"infra", []observe.Cell{cell("a/b", "old", "")}, false, errkind.ExitInfra},
		{"unexpected and infra", []observe.Cell{bad, cell("a/c", "old", "")}, false, errkind.ExitUnexpected},
		{"interrupted", []observe.Cell{bad}, true, errkind.ExitInterrupted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run("r", tc.cells...)
			r.Interrupted = tc.interrupted
			judge.Run(&r)
			if r.Summary.ExitCode != tc.want {
				t.Errorf("got exit code %d, want %d", r.Summary.ExitCode, tc.want)
			}
		})
	}
}

// The conclusions of a run depend on its cells alone: those of an earlier judgement are
// replaced, and the user's claims stay.
func TestJudgeForgetsWhatItConcluded(t *testing.T) {
	r := run("r", cell("a/b", "old", "EIO"))
	r.Kernels[0].Changes = []conclusion.ChangeState{{ID: "dax_fault_hwpoison", Verdict: conclusion.Has}}
	r.Kernels[1].Claims = map[string]bool{"dax_fault_hwpoison": true}
	r.Findings, r.Differences = []conclusion.Finding{{Kind: conclusion.Splat}}, []conclusion.Difference{{Field: "errno"}}
	r.Summary.ExitCode = errkind.ExitInfra
	claimed := true
	want := []conclusion.ChangeState{{ID: "dax_fault_hwpoison", Verdict: conclusion.NotSeen, Claimed: &claimed}}
	for range 2 {
		judge.Run(&r)
		if diff := cmp.Diff(want, r.Kernels[1].Changes); diff != "" || r.Kernels[0].Changes != nil || r.Findings != nil || r.Differences != nil || r.Summary.ExitCode != errkind.ExitExpected {
			t.Errorf("changes mismatch (-want +got):\n%s\ngot the other's changes %+v, findings %v, differences %v, %+v; want none",
				diff, r.Kernels[0].Changes, r.Findings, r.Differences, r.Summary)
		}
	}
}

// The upstream release of a kernel is derived from its own version.
func TestJudgeKnowsTheBase(t *testing.T) {
	for release, lost := range map[string]int{"6.12.117-amd64": 1, "6.1.0-56-amd64": 0, "": 0, "mine": 0} {
		c := cell("dax/ext4/shared-read", "old", "EIO")
		c.Steps[0].Expected = &observe.Expectation{Change: "dax_fault_hwpoison", Before: "EIO", After: "OK", Side: observe.Before, Met: true}
		r := run("r", c)
		r.Kernels[0].Release = release
		judge.Run(&r)
		if len(r.Findings) != lost || r.Summary.ExitCode != lost {
			t.Errorf("%q: got the findings %v, %+v; want %d and that as exit code", release, r.Findings, r.Summary, lost)
		}
	}
}

// A difference caused by a lost change is neither explained by it nor unexplained.
func TestSummaryOfALostChange(t *testing.T) {
	side := func(kernel, errno string, side observe.Side) observe.Cell {
		c := cell("dax/ext4/shared-read", kernel, errno)
		c.Steps[0].Expected = &observe.Expectation{Change: "dax_fault_hwpoison", Before: "EIO", After: "EFAULT", Side: side, Met: true}
		return c
	}
	r := run("r", side("old", "EFAULT", observe.After), side("new", "EIO", observe.Before))
	for i := range r.Kernels {
		r.Kernels[i].Release = "6.12.117+deb12-amd64"
	}
	judge.Run(&r)
	if s := r.Summary; s.Lost != 1 || s.Explained+s.Unexplained != 0 || s.ExitCode != errkind.ExitUnexpected || s.Expected != 2 {
		t.Errorf("got %+v, want 1 lost, 2 expected, none explained or unexplained, exit code 1", s)
	}
}

func TestValidate(t *testing.T) {
	whole, err := json.Marshal(run("r1", cell("a/b", "old", "EIO")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, from, to, want string }{
		{"another schema", `"faultline.run/3"`, `"faultline.run/4"`, "/schema"},
		{"unknown verdict", `"verdict":"expected"`, `"verdict":"maybe"`, "/cells/0/verdict"},
		{"unknown key", `"accel":"auto"`, `"accel":"auto","colour":1`, "colour"},
		{"wrong type", `"cores":2`, `"cores":"two"`, "/host/cores"},
		{"no date", `"started":"2026-03-01T09:30:00Z","tool"`, `"started":"today","tool"`, ""},
		{"cut", `"schema"`, `"schema`, "not JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := strings.Replace(string(whole), tc.from, tc.to, 1)
			err := results.Validate([]byte(doc))
			if tc.name == "no date" {
				err = results.Validate([]byte(strings.Replace(string(whole), "2026-03-01T09:30:00Z", "today", 1)))
			}
			var se *results.SchemaError
			if !errors.As(err, &se) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a schema error that names %q", err, tc.want)
			}
		})
	}
	if err := results.Validate(whole); err != nil {
		t.Errorf("a good run: got %v, want no error", err)
	}
}

// The schema and the types agree: every field is in the schema, is described there, and is
// required exactly if it is always written.
func TestSchemaMatchesTypes(t *testing.T) {
	type object struct {
		Description string
		Required    []string
		Properties  map[string]struct {
			Description string
			Ref         string `json:"$ref"`
		}
	}
	var root struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(results.JSONSchema(), &root); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"": results.Run{}, "tool": results.Tool{}, "host": results.Host{}, "kernel": results.Kernel{}, "package": results.Package{}, "scenario": results.Scenario{}, "summary": results.Summary{},
		"change_state": conclusion.ChangeState{}, "difference": conclusion.Difference{}, "finding": conclusion.Finding{}, "uncompared": conclusion.Uncompared{},
		"cell": observe.Cell{}, "left_out": observe.Ignored{}, "step": observe.Step{}, "outcome": observe.Outcome{}, "signal": observe.Signal{}, "exit": observe.Exit{}, "expectation": observe.Expectation{},
	} {
		def := root.object
		if name != "" {
			def = root.Defs[name]
		}
		if def.Description == "" {
			t.Errorf("%q has no description in the schema", name)
		}
		seen := map[string]bool{}
		for i := range reflect.TypeOf(v).NumField() {
			field, opts, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			seen[field] = true
			p, ok := def.Properties[field]
			if !ok || p.Description == "" && p.Ref == "" {
				t.Errorf("%T.%s is not described in the schema; add it to run.schema.json", v, field)
			}
			if want := opts == ""; slices.Contains(def.Required, field) != want {
				t.Errorf("%T.%s: got required %t in the schema, want %t", v, field, !want, want)
			}
		}
		for p := range def.Properties {
			if !seen[p] {
				t.Errorf("the schema's %q has %s, which %T has not", name, p, v)
			}
		}
	}
}
