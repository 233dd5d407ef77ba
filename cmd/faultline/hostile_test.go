package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// withHostile builds built/hostile, a command with only the scenarios whose guests
// misbehave.
func withHostile(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(built, "hostile")
	if err := os.MkdirAll(filepath.Join(dir, "guest"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"guest/init", "guest/agent", "guest/victim32"} {
		if err := os.Link(filepath.Join(built, f), filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags=hostile", "-o", dir+"/", ".").CombinedOutput(); err != nil {
		t.Fatalf("build a command with these scenarios: %v: %s", err, out)
	}
	return dir
}

// oneModule returns the path of a module that no guest loads. A kernel that is built with
// modules and has none is refused.
func oneModule(modulesDir string) (path string) {
	_ = kernels.Walk(modulesDir, func(rel string, _ fs.FileInfo) error {
		if strings.Contains(rel, "/dm-mod.ko") {
			path = filepath.Join(modulesDir, rel)
			return fs.SkipAll
		}
		return nil
	})
	return path
}

// panickingKernel creates a folder with a kernel that panics during boot: its image has
// another name for PID 1 than the initramfs.
func panickingKernel(t *testing.T, spec string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "kernel")
	store, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	k, err := source.Resolve(t.Context(), spec, kernels.Options{Cache: store})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	modules := filepath.Join(dir, "lib", "modules", k.Release)
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		k.Image: filepath.Join(dir, "vmlinux"),
		filepath.Join(filepath.Dir(k.Image), "config"): filepath.Join(dir, "config"),
		filepath.Join(k.ModulesDir, "modules.builtin"): filepath.Join(modules, "modules.builtin"),
		filepath.Join(k.ModulesDir, "modules.order"):   filepath.Join(modules, "modules.order"),
		oneModule(k.ModulesDir):                        filepath.Join(modules, "dm-mod.ko"),
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if from == k.Image {
			data = bytes.ReplaceAll(data, []byte("/init\x00"), []byte("/none\x00"))
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A run with kernels that boot and one that does not, with scenarios in which the guest
// misbehaves: each failure affects only its own cell, is reported with its cause, and
// leaves the data to debug it.
func TestHostileGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("boots real guests; not with -short")
	}
	bin := withHostile(t)
	tmp, err := os.MkdirTemp("", "flt")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	matrix := filepath.Join(t.TempDir(), "matrix.yaml")
	text := fmt.Sprintf("kernels:\n  - {name: good, spec: \"apt:bookworm/6.12\"}\n  - {name: bad, spec: \"dir:%s\"}\n", panickingKernel(t, "apt:bookworm/6.12"))
	if err := os.WriteFile(matrix, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(bin, "faultline"), "run", "--accel=tcg", "--matrix", matrix, "--out", "out")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != errkind.ExitUnexpected { // the panic of poison is a behaviour
		t.Errorf("ended with %v, want exit status %d:\n%s", err, errkind.ExitUnexpected, output)
	}
	steers := func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
	if at := bytes.IndexFunc(output, steers); at >= 0 || bytes.Contains(output, []byte("::error::")) {
		t.Errorf("output of a guest controls a terminal or a CI system:\n%q", output)
	}
	f, err := results.Open(filepath.Join(cmd.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := f.LoadRun(judge.Run) // validates
	if err != nil {
		t.Fatal(err)
	}
	const registers = "RIP="
	want := map[string]struct {
		verdict              observe.Verdict
		says, tail, standing string
	}{
		"hostile/control":         {observe.Expected, "", "", ""},
		"hostile/flood":           {observe.Expected, "", "", ""},
		"hostile/out-of-memory":   {observe.Expected, "", "", ""},
		"hostile/panic":           {observe.Infra, "the kernel of good panicked: Kernel panic - not syncing: sysrq triggered crash", "Call Trace:", registers},
		"hostile/panic-of-poison": {observe.Unexpected, "the kernel panicked", "Call Trace:", registers},
		"hostile/reset":           {observe.Infra, "good reset its machine", "", registers},
		"hostile/agent-killed":    {observe.Infra, "/run/agent ended: killed", "faultline-init: failed", ""},
		"hostile/corrupt":         {observe.Infra, "the agent's port is lost", "", ""},
		"hostile/hang":            {observe.Infra, "good did not answer: no answer within a second", "", registers},
	}
	for _, c := range run.Cells {
		w := want[c.Scenario]
		if c.Kernel == "bad" {
			w.verdict, w.says, w.tail, w.standing = observe.Infra, "the kernel of bad panicked: Kernel panic - not syncing: VFS: Unable to mount root fs", "Call Trace:", registers
		}
		if c.Verdict != w.verdict || !strings.Contains(c.Message, w.says) || !strings.Contains(c.ConsoleTail, w.tail) ||
			!strings.Contains(c.Registers, w.standing) || (w.standing != "" && c.Kernel == "good") != (c.Template != "") {
			t.Errorf("%s on %s: got %s, %q\n%s\nregisters %q, template %q\nwant %s, %q, a tail with %q, registers with %q",
				c.Scenario, c.Kernel, c.Verdict, c.Message, c.ConsoleTail, c.Registers, c.Template, w.verdict, w.says, w.tail, w.standing)
		}
		if again := c.Kernel == "good" && strings.HasPrefix(c.Scenario, "hostile/panic"); again != (c.Earlier != nil && c.Earlier.Panicked && strings.Contains(c.Earlier.Registers, registers)) {
			t.Errorf("%s on %s: got the earlier attempt %+v, want one that panicked, with registers: %t",
				c.Scenario, c.Kernel, c.Earlier, again)
		}
	}
	if len(run.Cells) != 2*len(want) || !run.Kernels[1].DoesNotBoot {
		t.Errorf("got %d cells, bad does not boot: %t; want %d cells, true", len(run.Cells), run.Kernels[1].DoesNotBoot, 2*len(want))
	}
	if err := nothingLeft(tmp); err != nil {
		t.Error(err)
	}
}
