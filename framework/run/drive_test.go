package run

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// A suite's process runs where faultline runs: what was named by a relative
// path, a kernel's folder for one, it finds by that too.
func TestRelativePaths(t *testing.T) {
	r := script(t)
	r.suites[1].Binary = filepath.Join(t.TempDir(), "ram.test")
	said := filepath.Join(t.TempDir(), "said")
	script := "#!/bin/sh\nfor a; do case $a in --faultline.kernel=dir:*) cat \"${a#*dir:}/config\" >" + said + ";; esac; done\n"
	if err := os.WriteFile(r.suites[1].Binary, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for path, text := range map[string]string{"here/config": "not this one", "install/config": "this one"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir("here")
	r.kernels[0].Spec = "dir:../install"
	r.observe(context.Background(), r.suites[1], r.kernels[0])
	if got, err := os.ReadFile(said); err != nil || string(got) != "this one" {
		t.Errorf("%q, %v; the process said %+v", got, err, r.cells)
	}
}
