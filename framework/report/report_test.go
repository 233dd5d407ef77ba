package report_test

import (
	"mime"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report"
)

// Two formats that share a name or a file would hide each other.
func TestFormats(t *testing.T) {
	names, files := map[string]bool{}, map[string]bool{"run.json": true}
	for _, f := range report.Formats() {
		if names[f.Name] || f.File != "" && files[f.File] {
			t.Errorf("%s, written as %s, is a duplicate", f.Name, f.File)
		}
		names[f.Name], files[f.File] = true, true
		if f.File != "" && !slices.Contains(results.Files, f.File) {
			t.Errorf("results.Files has no %s: a new run would leave an earlier run's", f.File)
		}
		if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(f.Name) {
			t.Errorf("%q is not a name for the command line", f.Name)
		}
		if _, _, err := mime.ParseMediaType(f.MediaType); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func TestWrite(t *testing.T) {
	run := demo.Run()
	folder := demo.Folder(t, run)
	if err := report.Write(run, folder); err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Formats() {
		if f.File == "" {
			continue
		}
		if at, err := os.Stat(folder.Path(f.File)); err != nil || at.Size() == 0 {
			t.Errorf("%s: got error %v, or an empty file", f.Name, err)
		}
	}
}
