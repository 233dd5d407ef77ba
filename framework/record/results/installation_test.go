package results_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
)

// What a record names may be resolved only if this installation wrote exactly that.
func TestInstallation(t *testing.T) {
	dir := t.TempDir()
	open := func(dir string) results.Installation {
		t.Helper()
		i, err := results.OpenInstallation(dir)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	ours := open(dir)
	r := run("r1", cell("a/b", "old", "EIO"))
	r.Scenarios[1].Program = &program.Program{Path: "/bin/true", SHA256: strings.Repeat("0", 64)}
	ours.Sign(&r)
	loaded, err := folder(t, r).LoadRun(judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if !open(dir).Wrote(loaded) {
		t.Error("it does not recognise its own record")
	}
	if open(t.TempDir()).Wrote(loaded) || (results.Installation{}).Wrote(loaded) {
		t.Error("another installation takes it for its own")
	}
	for name, forge := range map[string]func(r *results.Run){
		"no mark":         func(r *results.Run) { r.Mark = "" },
		"another mark":    func(r *results.Run) { r.Mark = strings.Repeat("0", 64) },
		"a zero key":      func(r *results.Run) { results.NewInstallation(make([]byte, 32)).Sign(r) },
		"no key":          func(r *results.Run) { results.Installation{}.Sign(r) },
		"another spec":    func(r *results.Run) { r.Kernels[0].Spec = "tree:evil" },
		"another name":    func(r *results.Run) { r.Kernels[0].Name, r.Kernels[1].Name = r.Kernels[1].Name, r.Kernels[0].Name },
		"a kernel more":   func(r *results.Run) { r.Kernels = append(r.Kernels, results.Kernel{Name: "x", Spec: "tree:evil"}) },
		"another program": func(r *results.Run) { r.Scenarios[1].Program = &program.Program{Path: "/etc/shadow"} },
		"other arguments": func(r *results.Run) {
			p := *r.Scenarios[1].Program
			p.Args = []string{"x"}
			r.Scenarios[1].Program = &p
		},
		"a program more": func(r *results.Run) { r.Scenarios[0].Program = &program.Program{Path: "/etc/shadow"} },
	} {
		forged := loaded
		forged.Kernels, forged.Scenarios = append([]results.Kernel{}, loaded.Kernels...), append([]results.Scenario{}, loaded.Scenarios...)
		forge(&forged)
		if ours.Wrote(forged) {
			t.Errorf("%s: it is taken for its own", name)
		}
	}
	if err := os.Truncate(filepath.Join(dir, results.KeyFile), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := results.OpenInstallation(dir); err == nil {
		t.Error("an empty key is one")
	}
}

// The same relative spec may name a different tree in another folder.
func TestInstallationInAnotherFolder(t *testing.T) {
	ours, err := results.OpenInstallation(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for spec, moves := range map[string]bool{
		"apt:bookworm/6.12": false, "tree:/src/linux@v6.5": false, "dir:/boot?config=/boot/config": false, "deb:/a.deb,/b.deb": false,
		"tree:/src/linux@HEAD?cc=gcc-12&revert=1ea7ca1b0901": false,
		"tree:linux@v6.5": true, "tree:../linux": true, "dir:.": true, "deb:/a.deb,b.deb": true,
		"tree:/src/linux?config=my": true, "tree:/src/linux?patch=a.patch": true, "tree:/src/linux?cc=./gcc": true,
	} {
		t.Chdir(t.TempDir())
		r := run("r1", cell("a/b", "old", "EIO"))
		r.Kernels[0].Spec = spec
		ours.Sign(&r)
		if !ours.Wrote(r) {
			t.Errorf("%s: not its own where it was written", spec)
		}
		t.Chdir(t.TempDir())
		if ours.Wrote(r) == moves {
			t.Errorf("%s: got %t as its own elsewhere, want %t", spec, moves, !moves)
		}
	}
}
