package report_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/internal/exttest"
)

func asJSON(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.JSON.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The verdicts in the record imply its exit code.
func TestJSONSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		text := asJSON(t, run)
		demo.Seen(t, string(text))
		if err := results.Validate(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var r struct {
			Interrupted bool
			Findings    []any
			Cells       []struct{ Verdict string }
			Uncompared  []any
			Summary     struct {
				ExitCode int `json:"exit_code"`
			}
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		code := 0
		if len(r.Uncompared) > 0 {
			code = 3
		}
		for _, c := range r.Cells {
			if c.Verdict == "infra" {
				code = 3
			}
		}
		if len(r.Findings) > 0 {
			code = 1
		}
		if r.Interrupted {
			code = 130
		}
		if code != r.Summary.ExitCode || code != run.Summary.ExitCode {
			t.Errorf("%s: got exit codes %d and %d, want %d", name, code, r.Summary.ExitCode, run.Summary.ExitCode)
		}
	}
}

// TestJSONSchema validates with Python's jsonschema.
func TestJSONSchema(t *testing.T) {
	python := exttest.Program(t, "python3")
	const script = `
import json, sys
from jsonschema import Draft202012Validator as V
schema = json.load(open(sys.argv[1]))
V.check_schema(schema)
for path in sys.argv[2:]:
    V(schema).validate(json.load(open(path)))`
	args := []string{"-c", script, exttest.Temp(t, "run.schema.json", results.JSONSchema())}
	read := func(more ...string) (string, error) {
		out, err := exec.Command(python, append(args[:3:3], more...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := read(); err != nil && strings.Contains(out, "ModuleNotFoundError") {
		t.Skipf("%s has no module jsonschema (Debian: python3-jsonschema)", python)
	}
	var files []string
	for name, run := range demo.Every() {
		files = append(files, exttest.Temp(t, name+".json", asJSON(t, run)))
	}
	if out, err := read(files...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	bad := bytes.Replace(asJSON(t, demo.Run()), []byte(`"verdict": "expected"`), []byte(`"verdict": "fine"`), 1)
	if _, err := read(exttest.Temp(t, "bad.json", bad)); err == nil {
		t.Error("the schema accepts an invalid record")
	}
}
