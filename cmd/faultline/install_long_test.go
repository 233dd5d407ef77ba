package main

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLongInstall installs the command as a user does, with go install and a version,
// from a module proxy in a folder, and runs a scenario outside of any source tree: the
// guest's programs have to be built from the same version.
func TestLongInstall(t *testing.T) {
	long(t)
	const module = "github.com/faultline/faultline"
	// Go's build cache takes the source of a version to be the same for ever.
	version := fmt.Sprintf("v0.0.1-t%d", time.Now().UnixNano())
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	proxy := filepath.Join(dir, "proxy", module, "@v")
	if err := os.MkdirAll(proxy, 0o755); err != nil {
		t.Fatal(err)
	}
	tracked := exec.Command("git", "ls-files", "-z")
	tracked.Dir = root
	out, err := tracked.Output()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(proxy, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(archive)
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if strings.HasPrefix(name, "tools/lint/") || strings.HasPrefix(name, "tools/readers/") ||
			strings.HasPrefix(name, "tools/package/") {
			continue // modules of their own
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(module + "@" + version + "/" + name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			err = os.WriteFile(filepath.Join(proxy, version+".mod"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proxy, version+".info"), fmt.Appendf(nil, `{"Version":%q}`, version), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proxy, "list"), []byte(version+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	others, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	// A module cache of its own would download everything again; this version is
	// removed from the shared one.
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	forget := func() {
		for _, name := range []string{module + "@" + version, filepath.Join("cache/download", module, "@v", version+".*")} {
			found, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(cache)), name))
			for _, path := range found {
				os.RemoveAll(path)
			}
		}
	}
	forget()
	t.Cleanup(forget)
	env := append(os.Environ(), "GOPROXY=file://"+filepath.Join(dir, "proxy")+","+strings.TrimSpace(string(others)),
		"GOFLAGS=-modcacherw", "GONOSUMDB="+module, "GOBIN="+filepath.Join(dir, "bin"))
	install := exec.Command("go", "install", module+"/cmd/faultline@"+version)
	install.Dir, install.Env = dir, append(env, "GOSUMDB=off")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	run := exec.Command(filepath.Join(dir, "bin", "faultline"), "run", "--accel=tcg", "--kernel", "apt:bookworm", "--scenario", "dax/ext4/shared-read", "--out", "out")
	run.Dir, run.Env = dir, append(env, "GOSUMDB=off")
	if out, err := run.CombinedOutput(); err != nil || !strings.Contains(string(out), "1 cell: 1 expected") {
		t.Errorf("run: got error %v, want 1 cell: 1 expected\n%s", err, out)
	}
}
