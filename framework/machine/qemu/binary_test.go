package qemu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/arch"
)

// script makes a replacement for QEMU.
func script(t *testing.T, name, text string) Binary {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return Binary{Path: path, Version: "7.2"}
}

// QEMU's environment does not depend on the caller's.
func TestEnvironmentOfQEMU(t *testing.T) {
	for name, value := range map[string]string{"QEMU_AUDIO_DRV": "none", "QEMU_MODULE_DIR": "/tmp", "G_SLICE": "always-malloc",
		"LD_BIND_NOW": "1", "GLIBC_TUNABLES": "x", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"} {
		t.Setenv(name, value)
	}
	into := filepath.Join(t.TempDir(), "environment")
	b := script(t, arch.AMD64.QEMU.Binary, "/bin/cat /proc/$$/environ >"+into+"\nexit 1\n")
	check := func(of string) {
		t.Helper()
		data, err := os.ReadFile(into)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(into)
		got := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
		if !slices.Equal(got, environment) {
			t.Errorf("%s: got %d variables in its environment, want the %d of %q", of, len(got), len(environment), environment)
		}
	}
	if _, err := Start(t.Context(), b, standard(), Options{Dir: t.TempDir()}); err == nil {
		t.Error("what ends at once is a QEMU")
	}
	check("a guest's QEMU")
	t.Setenv("PATH", filepath.Dir(b.Path))
	if _, err := Find(t.Context(), arch.AMD64.Name); err == nil {
		t.Error("what has no version is a QEMU")
	}
	check("a QEMU that is asked for its version")
}

// TestSupports reads the list of accelerators that QEMU prints.
func TestSupports(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		lacks  bool
	}{
		"both":      {"echo Accelerators supported in QEMU binary:; echo tcg; echo kvm", false},
		"one":       {"echo Accelerators supported in QEMU binary:; echo kvm", true},
		"no answer": {"echo tcg is unknown >&2; exit 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := script(t, "qemu", c.script).Supports(t.Context(), TCG)
			if (err != nil) != c.lacks || err != nil && err.Error() != "QEMU 7.2 has no accelerator tcg" {
				t.Errorf("got %v, want QEMU 7.2 has no accelerator tcg: %t", err, c.lacks)
			}
		})
	}
}
