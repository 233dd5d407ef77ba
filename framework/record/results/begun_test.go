package results_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// TestLoadBegun covers the states of a run's two records after a power loss.
func TestLoadBegun(t *testing.T) {
	const whole, newer, other = "whole", `{"schema":"faultline.run/4"}`, `{"schema":"faultline.run/3","id":"r1"}`
	zeros := strings.Repeat("\x00", 4096)
	for name, c := range map[string]struct {
		run, begun string // the files' content; "-" for none
		from       string
		want       string // of the error
	}{
		"both":                          {whole, whole, results.RunFile, ""},
		"of an earlier version":         {whole, "-", results.RunFile, ""},
		"run.json is lost":              {"-", whole, results.BegunFile, ""},
		"run.json is empty":             {"", whole, results.BegunFile, ""},
		"run.json is zeros":             {zeros, whole, results.BegunFile, ""},
		"run.json is torn":              {`{"schema":"faultline.run/3","kern`, whole, results.BegunFile, ""},
		"begun.json is torn":            {whole, "", results.RunFile, ""},
		"both are lost":                 {"-", "-", "", "run.json in DIR is missing, and there is no begun.json that describes how its cells (1 of new, 2 of old) were observed"},
		"both are empty":                {"", "", "", "run.json in DIR is empty"},
		"both are damaged":              {zeros, "{", "", "run.json in DIR is damaged"},
		"run.json is a newer version's": {newer, whole, "", "not a run of schema"},
		"run.json is no record":         {other, whole, "", "read DIR/run.json"},
		"begun.json is no record":       {"", other, "", "read DIR/begun.json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO"), cell("a/b", "new", "EIO"))
			f := folder(t, r)
			begun := r
			begun.Cells, begun.Findings = nil, nil
			if err := f.PutBegun(begun); err != nil {
				t.Fatal(err)
			}
			for file, content := range map[string]string{results.RunFile: c.run, results.BegunFile: c.begun} {
				switch content {
				case whole:
				case "-":
					if err := os.Remove(f.Path(file)); err != nil {
						t.Fatal(err)
					}
				default:
					if err := os.WriteFile(f.Path(file), []byte(content), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, from, err := f.LoadBegun(judge.Run)
			if c.want != "" {
				if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), f.Dir(), "DIR"), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if lost := (*results.LostError)(nil); errors.As(err, &lost) && (errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "another --out")) {
					t.Errorf("no hint in %v", err)
				}
				return
			}
			if err != nil || from != c.from {
				t.Fatalf("got it from %s, error %v; want %s", from, err, c.from)
			}
			if diff := cmp.Diff(begun.Kernels[0].Digest, got.Kernels[0].Digest); diff != "" || got.ID != "r1" {
				t.Errorf("got the run %s, want r1; digest mismatch (-want +got):\n%s", got.ID, diff)
			}
		})
	}
	f, err := results.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.LoadBegun(judge.Run); !errors.As(err, new(*results.NoRunError)) {
		t.Errorf("an empty folder: got %v, want a *NoRunError", err)
	}
}
