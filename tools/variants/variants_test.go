package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// write makes a source of one file and returns its folder.
func write(t *testing.T, text string) string {
	t.Helper()
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "dax.c"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return tree
}

// files returns names and texts of what is in a folder.
func files(t *testing.T, tree string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(tree)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(tree, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

func TestEditsAndRestore(t *testing.T) {
	tree := write(t, "one two three")
	edits := []edit{{"dax.c", "one", "1"}, {"dax.c", "1 two", "1 2"}} // the second stands on the first
	if err := applyEdits(tree, edits); err != nil {
		t.Fatal(err)
	}
	if got := files(t, tree)["dax.c"]; got != "1 2 three" {
		t.Errorf("edited: %q", got)
	}
	for range 2 { // what is restored is left alone
		if err := restore(tree, edits); err != nil {
			t.Fatal(err)
		}
		if got := files(t, tree); len(got) != 1 || got["dax.c"] != "one two three" {
			t.Errorf("restored: %q", got)
		}
	}
}

// A build that was killed may have left the kept file and no, or half a, new one.
func TestRestoreAfterKill(t *testing.T) {
	for name, half := range map[string]string{"no new file": "", "half a new file": "o"} {
		t.Run(name, func(t *testing.T) {
			tree := write(t, "one two")
			path := filepath.Join(tree, "dax.c")
			if err := os.Rename(path, path+unedited); err != nil {
				t.Fatal(err)
			}
			if half != "" {
				if err := os.WriteFile(path, []byte(half), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := restore(tree, []edit{{"dax.c", "one", "1"}}); err != nil {
				t.Fatal(err)
			}
			if got := files(t, tree); len(got) != 1 || got["dax.c"] != "one two" {
				t.Errorf("restored: %q", got)
			}
		})
	}
}

func TestEditsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		edits []edit
		want  string
	}{
		"absent":        {[]edit{{"dax.c", "four", "4"}}, `dax.c: "four" stands there 0 times`},
		"twice":         {[]edit{{"dax.c", "o", "0"}}, `dax.c: "o" stands there 2 times`},
		"gone by then":  {[]edit{{"dax.c", "one", "1"}, {"dax.c", "one", "I"}}, `"one" stands there 0 times`},
		"no such file":  {[]edit{{"mm.c", "one", "1"}}, "mm.c: no such file"},
		"second absent": {[]edit{{"dax.c", "one", "1"}, {"mm.c", "one", "1"}}, "mm.c: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := write(t, "one two")
			if err := applyEdits(tree, c.edits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if got := files(t, tree); len(got) != 1 || got["dax.c"] != "one two" {
				t.Errorf("the source changed: %q", got)
			}
		})
	}
}

// What a variant takes away must be asked for by the others, or it is like them.
func TestVariants(t *testing.T) {
	minimal, err := kconfig.ParseBytes([]byte(kernels.MinimalConfig()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range variants {
		if seen[v.name] {
			t.Errorf("two kernels are called %s", v.name)
		}
		seen[v.name] = true
		own, err := kconfig.ParseBytes([]byte(v.config))
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		for _, s := range own.Symbols() {
			if own.Get(s) == minimal.Get(s) || minimal.Get(s) == "" {
				t.Errorf("%s: %s=%s takes nothing away from kernels/minimal.config", v.name, s, own.Get(s))
			}
		}
	}
}

func TestChoose(t *testing.T) {
	got, err := choose([]string{"6.1-bare", "6.12"})
	if err != nil || len(got) != 2 || got[0].name != "6.12" || got[1].name != "6.1-bare" {
		t.Errorf("%v, %v; want the table's order", got, err)
	}
	if _, err := choose([]string{"6.12", "7.0"}); err == nil || !strings.Contains(err.Error(), `"7.0"`) {
		t.Errorf("an unknown name: %v", err)
	}
	if all, err := choose(nil); err != nil || len(all) != len(variants) {
		t.Errorf("no names: %d kernels, %v", len(all), err)
	}
}
