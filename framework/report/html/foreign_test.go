package html_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/html"
)

// The page has the end of a console in the run's folder, and of no other file.
func TestConsoleOfTheFolderOnly(t *testing.T) {
	const secret = "extraheader = AUTHORIZATION: basic SECRET"
	base := t.TempDir()
	outside := filepath.Join(base, "config")
	if err := os.WriteFile(outside, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	console := results.ConsoleFile(demo.OldName)
	for name, test := range map[string]struct {
		console string
		make    func(at string) error
		shown   bool
	}{
		"a file":                 {console, func(at string) error { return os.WriteFile(at, []byte(secret), 0o644) }, true},
		"a link in the folder":   {console, func(at string) error { return os.Symlink("qemu.sh", at) }, true},
		"a link out of it":       {console, func(at string) error { return os.Symlink(outside, at) }, false},
		"a link that climbs":     {console, func(at string) error { return os.Symlink("../../../config", at) }, false},
		"a path that climbs":     {"../config", nil, false},
		"a path from the root":   {outside, nil, false},
		"a path out and back in": {"kernels/../../config", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := results.Create(filepath.Join(base, "theirs"))
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(f.Dir())
			defer f.Close()
			if err := f.Put(results.CommandFile(demo.OldName), []byte(secret)); err != nil {
				t.Fatal(err)
			}
			if test.make != nil {
				if err := test.make(f.Path(console)); err != nil {
					t.Fatal(err)
				}
			}
			run := demo.Run()
			run.Kernels[0].Console, run.Kernels[1].Console = test.console, ""
			var page bytes.Buffer
			if err := html.Write(&page, run, f); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(page.String(), secret); got != test.shown {
				t.Errorf("shown: got %t, want %t", got, test.shown)
			}
			if strings.Contains(page.String(), `href="..`) || strings.Contains(page.String(), outside) {
				t.Error("a link leads out of the folder")
			}
		})
	}
}
