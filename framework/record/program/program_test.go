package program_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
)

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, args ...string) Program {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("a program"), 0o755); err != nil {
			t.Fatal(err)
		}
		p, err := New(path, args...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for id, p := range map[string]Program{
		"program/memory-failure":          make("memory-failure"),
		"program/cow-test-v":              make("COW_test", "-v"),
		"program/uffd-unit-tests-poison-": make("uffd.unit.tests", "poison", "-"),
	} {
		if len(id) > 0 && id[len(id)-1] == '-' {
			id = id[:len(id)-1]
		}
		if p.ID() != id {
			t.Errorf("%s: got %s, want %s", p.Command(), p.ID(), id)
		}
	}
	odd := make("___")
	if err := scenario.CheckID(odd.ID()); err != nil || len(odd.SHA256) != 64 {
		t.Errorf("got %+v, error %v; want a valid ID and a SHA-256 of 64 digits", odd, err)
	}

	if err := Check([]Program{make("a"), make("a", "-v")}); err != nil {
		t.Error(err)
	}
	if err := Check([]Program{make("a", "-v"), make("a-v")}); err == nil {
		t.Error("two programs have the same scenario")
	}
	if _, err := New(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing file was accepted")
	}
}
