package tree_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/fake"
)

// TestTreeClones uses clones that do not have all the requested objects.
func TestTreeClones(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	first := u.commit("First")
	u.write("image", u.image("6.1.6"))
	u.commit("Second")
	u.git("config", "uploadpack.allowFilter", "true")
	dir := t.TempDir()
	shallow, partial := filepath.Join(dir, "shallow"), filepath.Join(dir, "partial")
	u.git("clone", "-q", "--depth=1", "file://"+u.root, shallow)
	u.git("clone", "-q", "--filter=blob:none", "file://"+u.root, partial)
	for _, clone := range []string{shallow, partial} {
		if k, err := u.resolve("tree:" + clone); err != nil || k.Release != "6.1.6" {
			t.Errorf("%s: got error %v, %+v; want release 6.1.6", clone, err, k)
		}
	}
	u.refuse("tree:"+shallow+"@"+first, "too shallow", "git fetch --unshallow")
	u.refuse("tree:"+partial+"@"+first, "partial", "git -C "+partial+" fetch --refetch --no-filter")
	if out, err := gitIn(partial, "fetch", "-q", "--refetch", "--no-filter"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if k, err := u.resolve("tree:" + partial + "@" + first); err != nil || k.Release != "6.1.5" {
		t.Errorf("after following the hint: got error %v, want release 6.1.5", err)
	}
}

func TestTreeOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change a file's owner")
	}
	u := newUser(t)
	u.git("init", "-q")
	u.commit("First")
	if err := os.Chown(u.root, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir()) // a git configuration without safe.directory
	u.refuse("tree:"+u.root, "git does not trust", "git config --global --add safe.directory "+u.root)
}

// TestTreeRefusedLeavesNothing checks that a refused request leaves no files.
func TestTreeRefusedLeavesNothing(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	u.commit("First")
	u.write("image", "changed")
	before := u.state()
	for _, spec := range []string{"", "@nope", "@HEAD?config=/nowhere"} {
		u.refuse("tree:" + u.root + spec)
	}
	u.refuse("tree:"+u.root+"@HEAD?patch=/nowhere", "no such file")
	if after := u.state(); after != before {
		t.Errorf("the user's repository changed from\n%s\nto\n%s", before, after)
	}
	entries, err := os.ReadDir(u.opts.Cache.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), e.Name(), "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range left { // the repository that borrows the objects is empty
			if name := filepath.Base(l); name != "git" && name != ".work" {
				t.Errorf("got %s left in the cache, want only git and .work", l)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), "tree/*/git/apply-*")); err != nil || len(left) > 0 {
		t.Errorf("got error %v, left in the cache: %v; want none", err, left)
	}
}

// TestTreeOfAForeignConfiguration checks that the build drops settings of another machine
// from a configuration, and logs them.
func TestTreeOfAForeignConfiguration(t *testing.T) {
	u := newUser(t)
	file := filepath.Join(t.TempDir(), "syzbot.config")
	text := "CONFIG_64BIT=y\nCONFIG_CMDLINE=\"panic_on_warn=1\"\nCONFIG_EXTRA_FIRMWARE=\"x.bin\"\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := u.resolve("tree:" + u.root + "?config=" + file)
	if err != nil || k.Config.Get("CMDLINE") != "" || k.Config.Get("EXTRA_FIRMWARE") != "" {
		t.Fatalf("got error %v, %+v; want it without CMDLINE and EXTRA_FIRMWARE", err, k)
	}
	log := strings.Join(u.log, "\n")
	for _, want := range []string{`without CONFIG_CMDLINE="panic_on_warn=1"`, `without CONFIG_EXTRA_FIRMWARE="x.bin"`} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
}

// TestTreeChangesWhileItIsBuilt changes a file during a build: the result matches no
// state of the tree, and is not stored.
func TestTreeChangesWhileItIsBuilt(t *testing.T) {
	u := newUser(t)
	saved := filepath.Join(u.root, "saved.c")
	makefile := fake.Tree("")["Makefile"]
	u.write("Makefile", strings.Replace(makefile, "prepare:\n", "prepare:\n\t@echo x >> "+saved+"\n", 1))
	u.refuse("tree:"+u.root, "changed while the kernel was read")
	u.write("Makefile", strings.Replace(makefile, "prepare:\n", "prepare:\n\t@mkdir -p "+u.root+"/scripts/__pycache__; date +%N > "+u.root+"/scripts/__pycache__/x.pyc\n", 1))
	if _, err := u.resolve("tree:" + u.root); err != nil {
		t.Errorf("bytecode of a script counts as a change: %v", err)
	}
}
