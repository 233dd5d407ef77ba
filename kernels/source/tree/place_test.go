package tree_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
)

// files returns, by place, the lines of a file in the object directories of a tree.
func (u *user) files(name string) map[string][]string {
	u.t.Helper()
	all, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), "tree/*/objects-*", name))
	if err != nil {
		u.t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range all {
		data, err := os.ReadFile(f)
		if err != nil {
			u.t.Fatal(err)
		}
		place := filepath.Base(filepath.Dir(filepath.Dir(f)))
		place = place[strings.LastIndexByte(place, '-')+1:]
		got[place] = append(got[place], strings.Fields(string(data))...)
	}
	return got
}

// compiled returns what the function compiled, by place.
func (u *user) compiled(do func()) string {
	u.t.Helper()
	before := u.files("compiled")
	do()
	var out []string
	for place, names := range u.files("compiled") {
		if n := len(names) - len(before[place]); n > 0 {
			out = append(out, fmt.Sprintf("%d in %s", n, place))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestTreePlaces builds revisions of a tree of ten files, near and far from each other,
// one after another.
func TestTreePlaces(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	change := func(text string, names ...string) string {
		for _, n := range names {
			u.write("src/"+n+".c", text)
		}
		return u.commit(text)
	}
	ten := strings.Split("abcdefghij", "")
	u.write("src/all.h", "used by all")
	first := change("first", ten...)
	near := change("near", "a")
	far := change("far", ten[:6]...)
	farther := change("farther", ten...)
	u.write("src/all.h", "changed")
	header := u.commit("header")
	words := change("words", "none")
	u.git("rm", "-q", "src/none.c")
	u.write("doc", "documentation only")
	docs := u.commit("docs")
	for _, step := range []struct {
		name, rev, want string
	}{
		{"the first", first, "10 in 1"},
		{"one file differs", near, "1 in 1"},
		{"six files of ten differ", far, "10 in 2"},
		{"back to the first", first, "1 in 1"},
		{"back to the far one", far, ""},
		{"all differ", farther, "10 in 3"},
		{"back to the second", far, ""},
		{"far from all, and the first is the least recently used", header, "10 in 1"},
		{"near that", words, "1 in 1"},
		{"nothing that is compiled differs", docs, ""},
	} {
		got := u.compiled(func() {
			os.RemoveAll(filepath.Join(u.opts.Cache.Dir(), "kernel")) // forces a build
			if _, err := u.resolve("tree:" + u.root + "@" + step.rev); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		})
		if got != step.want {
			t.Errorf("%s: got compiled %q, want %q", step.name, got, step.want)
		}
	}
	// The cache lists the places, and refuses to remove one that is in use.
	items, err := u.opts.Cache.List()
	if err != nil {
		t.Fatal(err)
	}
	var trees []cache.Item
	for _, i := range items {
		if i.Kind == "tree" {
			trees = append(trees, i)
		}
	}
	if len(trees) != 4 { // three places, and the repository that borrows the user's objects
		t.Fatalf("got cache entries %+v, want 4 trees", items)
	}
	u.write("src/a.c", "one more")
	last := u.commit("one more")
	refused, log := 0, u.opts.Log
	u.opts.Log = func(f string, a ...any) {
		log(f, a...)
		for _, i := range trees {
			if err := u.opts.Cache.Remove(i); errors.Is(err, cache.ErrInUse) && strings.HasPrefix(f, "build ") {
				refused++
			}
		}
	}
	if _, err := u.resolve("tree:" + u.root + "@" + last); err != nil || refused != 2 {
		t.Errorf("got %v; %d directories in use, want the place and the repository", err, refused)
	}
	u.opts.Log = log
	for _, i := range trees {
		if _, err := os.Stat(i.Path); err == nil {
			if err := u.opts.Cache.Remove(i); err != nil {
				t.Error(err)
			}
		}
	}
	if left, err := os.ReadDir(filepath.Join(u.opts.Cache.Dir(), "tree")); err != nil || len(left) > 0 {
		t.Errorf("got error %v, left in the cache: %v; want none", err, left)
	}
}

func TestTreeConfigurationsOfAPlace(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	u.write("src/a.c", "first")
	u.write("src/b.c", "first")
	u.commit("first")
	for _, c := range []string{"A", "B", "C", "D"} {
		u.write("../"+c, "CONFIG_"+c+"=y\n")
		if _, err := u.resolve("tree:" + u.root + "@HEAD?config=" + filepath.Join(u.root, "..", c)); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.files("compiled"); len(got) != 1 || len(got["1"]) != 3*2 {
		t.Errorf("got compiled %v, want two files in each of three configurations", got)
	}
	objects, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), "tree/*/objects-*/.config"))
	if err != nil || len(objects) != 3 {
		t.Errorf("got error %v, objects of %d configurations; want 3", err, len(objects))
	}
	// The most recently used one still exists.
	u.write("src/a.c", "second")
	u.commit("second")
	if got := u.compiled(func() {
		if _, err := u.resolve("tree:" + u.root + "@HEAD?config=" + filepath.Join(u.root, "../D")); err != nil {
			t.Fatal(err)
		}
	}); got != "1 in 1" {
		t.Errorf("got compiled %s, want 1 in 1", got)
	}
}

// TestTreeConfiguresOnce checks that Kconfig runs only if a file that may change its
// result has changed.
func TestTreeConfiguresOnce(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	u.write("src/b.c", "")
	for i, step := range []struct {
		name, file, text, set string
		asked                 int
	}{
		{"the first", "src/a.c", "1", "", 1},
		{"a source", "src/a.c", "2", "", 1},
		{"a header", "include/a.h", "3", "", 1},
		{"a Kconfig", "mm/Kconfig", "4", "", 2},
		{"a script's source", "scripts/kconfig/conf.c", "5", "", 3},
		{"nothing", "doc", "6", "", 4},
	} {
		u.write(step.file, step.text)
		u.commit(step.name)
		if _, err := u.resolve("tree:" + u.root + step.set); err != nil {
			t.Fatal(err)
		}
		if got := u.files("configured")["1"]; len(got) != step.asked {
			t.Errorf("%d, %s: got %d runs of Kconfig, want %d", i, step.name, len(got), step.asked)
		}
	}
	// An edited result does not persist.
	configs, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), "tree/*/objects-*/.config"))
	if err != nil || len(configs) != 1 {
		t.Fatalf("got the configurations %v, error %v; want 1", configs, err)
	}
	if err := os.WriteFile(configs[0], []byte("CONFIG_EDITED=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.write("src/a.c", "7")
	u.commit("a source again")
	if k, err := u.resolve("tree:" + u.root); err != nil || k.Config.Enabled("EDITED") {
		t.Errorf("got error %v, or a kernel with the edit", err)
	}
	// For a tree as it stands, its own files count.
	u.write("src/a.c", "8")
	for i, file := range []string{"src/a.c", "src/a.c", "mm/Kconfig"} {
		u.write(file, fmt.Sprint("dirty", i))
		if _, err := u.resolve("tree:" + u.root + "?dirty=yes"); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.files("configured")["standing"]; len(got) != 2 {
		t.Errorf("as it stands: got %d runs of Kconfig, want 2", len(got))
	}
}
