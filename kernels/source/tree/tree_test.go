package tree_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/source"
)

// user is a user's checkout, of which some state must not change.
type user struct {
	t    *testing.T
	root string
	opts kernels.Options
	log  []string
}

func newUser(t *testing.T) *user {
	t.Helper()
	u := &user{t: t, root: filepath.Join(t.TempDir(), "linux")}
	if err := build.Tools(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	u.opts = kernels.Options{Cache: c, Log: func(f string, a ...any) { u.log = append(u.log, fmt.Sprintf(f, a...)) }}
	for name, text := range fake.Tree(u.image("6.1.5")) {
		u.write(name, text)
	}
	return u
}

// image makes a kernel of that release.
func (u *user) image(release string) string {
	u.t.Helper()
	file := filepath.Join(u.t.TempDir(), "vmlinux")
	if err := os.WriteFile(file, fake.Vmlinux(release, "#1 SMP", true), 0o644); err != nil {
		u.t.Fatal(err)
	}
	return file
}

func (u *user) write(name, text string) {
	u.t.Helper()
	p := filepath.Join(u.root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) git(args ...string) string {
	u.t.Helper()
	out, err := gitIn(u.root, args...)
	if err != nil {
		u.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func gitIn(dir string, args ...string) ([]byte, error) {
	return exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main", "-c", "maintenance.auto=false"}, args...)...).CombinedOutput()
}

func (u *user) commit(subject string) string {
	u.t.Helper()
	u.git("add", "-A")
	u.git("commit", "-qm", subject)
	return u.git("rev-parse", "HEAD")
}

func (u *user) resolve(spec string) (*kernels.Kernel, error) {
	u.t.Helper()
	u.log = nil
	k, err := source.Resolve(u.t.Context(), spec, u.opts)
	if err == nil {
		u.t.Cleanup(func() { k.Close() })
	}
	return k, err
}

// refuse checks that a spec gives a *kernels.SpecError that contains words.
func (u *user) refuse(spec string, words ...string) error {
	u.t.Helper()
	_, err := u.resolve(spec)
	var e *kernels.SpecError
	if !errors.As(err, &e) {
		u.t.Fatalf("%s: got %v, want a *kernels.SpecError", spec, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			u.t.Errorf("%s: %q is not in the error: %v", spec, w, err)
		}
	}
	return err
}

// state returns the state of the user's repository that must not change.
func (u *user) state() string {
	u.t.Helper()
	index, err := os.ReadFile(filepath.Join(u.root, ".git/index"))
	if err != nil {
		u.t.Fatal(err)
	}
	return u.git("for-each-ref") + u.git("worktree", "list") + u.git("--no-optional-locks", "status", "--porcelain", "--ignored") + u.git("reflog") + cache.Key(string(index))
}

func TestTreeWithoutGit(t *testing.T) {
	u := newUser(t)
	k, err := u.resolve("tree:" + u.root)
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != "6.1.5" || !k.Fresh() || k.Name != "6.1.5 (tree:linux)" || !k.PVH {
		t.Errorf("got %+v, want a new kernel 6.1.5 (tree:linux), with PVH", k)
	}
	if k, err = u.resolve("tree:" + u.root); err != nil || k.Fresh() {
		t.Errorf("again: got error %v, or a new build", err)
	}
	u.write("image", u.image("6.2.0"))
	if k, err = u.resolve("tree:" + u.root); err != nil || k.Release != "6.2.0" {
		t.Errorf("changed tree: got error %v, %+v; want release 6.2.0", err, k)
	}
	u.refuse("tree:"+u.root+"@v6.1", "is not a git tree")
	u.refuse("tree:"+filepath.Join(u.root, "arch"), "not a Linux source tree")
	u.refuse("tree:"+u.root+"/nowhere", "no such file")
}

func TestTreeRevisions(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	first := u.commit("First")
	u.git("tag", "v6.1.5")
	u.write("image", u.image("6.1.6"))
	u.write("ignored.txt", "kept")
	u.commit("Second")
	u.write("image", u.image("6.1.7"))
	before := u.state()
	for spec, want := range map[string]string{"@v6.1.5": "6.1.5", "@" + first: "6.1.5", "@HEAD": "6.1.6", "@main~1": "6.1.5", "?dirty=yes": "6.1.7"} {
		k, err := u.resolve("tree:" + u.root + spec)
		if err != nil || k.Release != want {
			t.Errorf("%s: got %v, %+v; want %s", spec, err, k, want)
		}
	}
	u.refuse("tree:"+u.root, "image has uncommitted changes", "dirty=yes")
	u.refuse("tree:"+u.root+"@nope", `no revision "nope"`)
	u.refuse("tree:"+u.root+"@--help", `no revision "--help"`)
	u.refuse("tree:"+u.root+"@", "no revision after the @")
	if after := u.state(); after != before {
		t.Errorf("the user's repository changed from\n%s\nto\n%s", before, after)
	}
	// The same files in another commit give the same kernel.
	u.git("checkout", "-q", "-f", "v6.1.5")
	u.git("commit", "-q", "--allow-empty", "-m", "Nothing")
	if k, err := u.resolve("tree:" + u.root); err != nil || k.Fresh() {
		t.Errorf("got error %v, or a new build", err)
	}
}

func TestTreeConfiguration(t *testing.T) {
	u := newUser(t)
	u.write("drops", "CONFIG_FS_DAX\n")
	u.write("../config", "CONFIG_MINE=y\n# CONFIG_XFS_FS is not set\n")
	k, err := u.resolve("tree:" + u.root + "?config=" + filepath.Join(u.root, "../config"))
	if err != nil {
		t.Fatal(err)
	}
	if !k.Config.Enabled("MINE") || !k.Config.Enabled("XFS_FS") || k.Config.Enabled("TINY") || k.Config.Enabled("FS_DAX") {
		t.Error("the configuration is not that of the user plus the fragment")
	}
	if got := fmt.Sprint(k.Unmet); got != "[CONFIG_FS_DAX=y (got n)]" {
		t.Errorf("got unmet %s, want CONFIG_FS_DAX=y (got n)", got)
	}
	u.write("../config", "CONFIG_MODULES=n\nCONFIG_XFS_FS=m\n")
	if k, err = u.resolve("tree:" + u.root + "?config=" + filepath.Join(u.root, "../config")); err != nil || k.Config.Get("XFS_FS") != "m" {
		t.Errorf("got error %v, or a module that was built in", err)
	}
	u.refuse("tree:"+u.root+"?config=/nowhere", "no such file")
	u.refuse("tree:"+u.root+"?conf=x", `"config"`)
	if _, err := u.resolve("tree:" + u.root + "?cc=gcc-none"); err == nil || !strings.Contains(err.Error(), "the compiler gcc-none is not in PATH; install it") {
		t.Errorf("missing compiler: got %v, want that gcc-none is not in PATH", err)
	}
	if _, err := u.resolve("tree:" + u.root + "?cc=gcc-99"); err == nil || !errors.As(err, new(*execx.MissingError)) {
		t.Errorf("missing compiler of a package: got %v, want a *execx.MissingError", err)
	}
}

func TestTreeWithModules(t *testing.T) {
	u := newUser(t)
	image := u.image("6.1.5")
	u.write("image", image)
	for name, text := range map[string]string{
		"config": "CONFIG_MODULES=y\nCONFIG_EXT4_FS=m\n", "lib/modules/6.1.5/kernel/ext4.ko": string(fake.Module("ext4", "6.1.5")),
		"lib/modules/6.1.5/modules.order": "kernel/ext4.ko\n", "lib/modules/6.1.5/modules.builtin": "",
	} {
		p := filepath.Join(filepath.Dir(image), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := u.resolve("tree:" + u.root)
	if err != nil {
		t.Fatal(err)
	}
	if mods, err := k.Modules("ext4"); err != nil || len(mods) != 1 || k.Config.Get("EXT4_FS") != "m" {
		t.Errorf("got modules %v, error %v, EXT4_FS %q; want one, m", mods, err, k.Config.Get("EXT4_FS"))
	}
}

// A kernel with KASAN does not boot through its PVH entry.
func TestTreeWithKASAN(t *testing.T) {
	u := newUser(t)
	image := u.image("6.1.5")
	u.write("image", image)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(fake.Vmlinux("6.1.5", "#1 SMP", true))
	w.Close()
	if err := os.WriteFile(filepath.Join(filepath.Dir(image), "bzImage"), fake.BzImage("6.1.5", packed.Bytes()), 0o644); err != nil {
		t.Fatal(err)
	}
	u.write("../config", "CONFIG_KASAN=y\n")
	k, err := u.resolve("tree:" + u.root + "?config=" + filepath.Join(u.root, "../config"))
	if err != nil {
		t.Fatal(err)
	}
	if k.PVH || filepath.Base(k.Image) != kernels.FileVmlinuz || !k.Config.Enabled("KERNEL_GZIP") {
		t.Errorf("got PVH %t, image %s, KERNEL_GZIP %q; want no PVH, vmlinuz, y", k.PVH, k.Image, k.Config.Get("KERNEL_GZIP"))
	}
}

func TestTreeThatDoesNotBuild(t *testing.T) {
	u := newUser(t)
	u.git("init", "-q")
	u.write("error", "In file included from x.c:\ndrivers/x.c:7:2: error: no such thing\ndrivers/x.c:9: error: more\n")
	u.commit("Broken")
	err := u.refuse("tree:"+u.root, "does not build", "drivers/x.c:7:2: error: no such thing", "fix the tree")
	var e *build.Error
	if !errors.As(err, &e) || e.First != "drivers/x.c:7:2: error: no such thing" {
		t.Fatalf("got %+v, want the first error drivers/x.c:7:2: error: no such thing", e)
	}
	if log, err := os.ReadFile(e.Log); err != nil || !strings.Contains(string(log), "more") {
		t.Errorf("the log: got error %v, want it with more:\n%s", err, log)
	}
	u.write("Makefile", strings.Replace(fake.Tree("")["Makefile"], "VERSION = 6", "VERSION = 4", 1))
	u.commit("Old")
	u.refuse("tree:"+u.root, "older than the compiler", "KCFLAGS")
	u.write("error", "FAILED: load BTF from vmlinux: Invalid argument\n")
	u.commit("BTF")
	if err := u.refuse("tree:"+u.root, "FAILED: load BTF from vmlinux: Invalid argument", "unset CONFIG_DEBUG_INFO_BTF"); strings.Contains(err.Error(), "KCFLAGS") {
		t.Errorf("got %v, want no advice about the compiler", err)
	}
	u.write("error", "Killed\n")
	u.commit("Killed")
	if _, err := u.resolve("tree:" + u.root); err == nil || errkind.Of(err) != errkind.Infra || !strings.Contains(err.Error(), "memory ran out") {
		t.Errorf("out of memory: got %v, want an infrastructure error with memory ran out", err)
	}
	u.write("error", "x.c:1:10: fatal error: openssl/bio.h: No such file or directory\n")
	u.commit("Header")
	if _, err := u.resolve("tree:" + u.root); err == nil || errkind.Of(err) != errkind.Tool || !strings.Contains(err.Error(), "libssl-dev") {
		t.Errorf("missing header: got %v, want a tool error with libssl-dev", err)
	}
	u.write("error", "ld: final link failed: No space left on device\n")
	u.commit("Full")
	if _, err := u.resolve("tree:" + u.root); err == nil || errors.As(err, new(*kernels.SpecError)) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("full disk: got %v, want no space left, and no SpecError", err)
	}
	if left, err := filepath.Glob(filepath.Join(u.opts.Cache.Dir(), "tree/*/objects-*/builds")); err != nil || len(left) > 0 {
		t.Errorf("got %v left in the cache, error %v; want none", left, err)
	}
}

// TestTreeKilled kills make while a process that it started continues: that is not the
// error for a tree that does not build, and the next build waits for the process.
func TestTreeKilled(t *testing.T) {
	u := newUser(t)
	made := filepath.Join(t.TempDir(), "made")
	deadly := strings.Replace(fake.Tree("")["Makefile"], "\t@touch $@\n", "\t@echo > "+made+"; (sleep 1; rm "+made+") > /dev/null 2>&1 & kill -9 $$PPID\n", 1)
	u.write("Makefile", deadly)
	if _, err := u.resolve("tree:" + u.root); err == nil || errors.As(err, new(*kernels.SpecError)) || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("got %v, want make killed", err)
	}
	u.write("Makefile", strings.Replace(fake.Tree("")["Makefile"], "tinyconfig:\n", "tinyconfig:\n\t@test ! -e "+made+"\n", 1))
	if _, err := u.resolve("tree:" + u.root); err != nil {
		t.Errorf("built while the old process was running: %v", err)
	}
}

const patchDoc = `From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001
From: A Developer <dev@localhost>
Date: Mon, 1 Jan 2024 00:00:00 +0000
Subject: [PATCH 1/2] doc: Say more

Because.
---
 doc | 1 +
 1 file changed, 1 insertion(+)

diff --git a/doc b/doc
--- a/doc
+++ b/doc
@@ -1,2 +1,3 @@
 one
 two
+three
-- 
2.39.5

`

func TestTreePatches(t *testing.T) {
	u := newUser(t)
	if err := os.Rename(u.root, u.root+":2"); err != nil { // a colon separates paths for git
		t.Fatal(err)
	}
	u.root += ":2"
	u.git("init", "-q")
	u.write("doc", "one\ntwo\n")
	base := u.commit("First")
	u.write("image", u.image("6.1.6"))
	second := u.commit("Second")
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	cover := "From 2222222222222222222222222222222222222222 Mon Sep 17 00:00:00 2001\nFrom: A <a@localhost>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nSubject: [PATCH 0/2] Cover\n\nWords only.\n\n"
	more := strings.NewReplacer("1/2] doc: Say more", "2/2] doc: And more", "-1,2 +1,3", "-1,3 +1,4", "+three", " three\n+four").Replace(patchDoc)
	mbox := file("series.mbox", cover+patchDoc+more)
	mail := file("mail.eml", patchDoc[strings.Index(patchDoc, "From: "):])
	diff := file("plain.diff", patchDoc[strings.Index(patchDoc, "diff --git"):strings.Index(patchDoc, "-- \n")])
	bad := file("bad.patch", strings.Replace(patchDoc, " one\n", " uno\n", 1))
	before := u.state()

	user, err := git.Open(t.Context(), u.root)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := user.Borrow(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	doc := func(edits ...git.Edit) string {
		t.Helper()
		applied, err := repo.Apply(t.Context(), base+"^{tree}", edits)
		if err != nil {
			t.Fatal(err)
		}
		text, err := repo.Output(t.Context(), nil, nil, "show", applied.Tree+":doc")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
	for f, want := range map[string]string{mbox: "one two three four", mail: "one two three", diff: "one two three"} {
		if got := doc(git.Edit{File: f}); got != want {
			t.Errorf("%s: got %q, want %q", filepath.Base(f), got, want)
		}
	}
	applied, err := repo.Apply(t.Context(), base+"^{tree}", []git.Edit{{File: diff}, {File: mbox}, {Commit: second}, {Commit: second, Revert: true}})
	var names []string
	for _, p := range applied.Patches {
		name := p.String()
		if p.Present {
			name += ", present"
		}
		names = append(names, name)
	}
	if want := []string{"plain.diff", "series.mbox (doc: Say more), present", "series.mbox (doc: And more)", second[:12] + " (Second)", "the revert of " + second[:12] + " (Second)"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v; want %q", names, err, want)
	}
	for spec, want := range map[string]string{"@" + base + "?pick=" + second: "6.1.6", "@HEAD?revert=HEAD": "6.1.5", "@HEAD~1?patch=" + mbox: "6.1.5"} {
		k, err := u.resolve("tree:" + u.root + spec)
		if err != nil || k.Release != want {
			t.Errorf("%s: got %v, %+v; want %s", spec, err, k, want)
		}
	}
	err = u.refuse("tree:"+u.root+"@HEAD?patch="+bad, "does not apply", "doc @@ -1,2 +1,3 @@", "Say more")
	if !errors.As(err, new(*git.ApplyError)) {
		t.Errorf("got %v, want a *git.ApplyError", err)
	}
	u.refuse("tree:"+u.root+"@HEAD?pick="+base, "0 parents")
	u.refuse("tree:"+u.root+"@HEAD?pick="+second, second[:12]+" (Second) is already present: it changes nothing")
	// Skipped patches of a file, and those that are already present, are reported.
	reply := strings.NewReplacer("Subject: [PATCH 1/2]", "Subject: Re: [PATCH 1/2]").Replace(patchDoc)
	if _, err := u.resolve("tree:" + u.root + "@" + base + "?patch=" + diff + "," + file("thread.mbox", patchDoc+reply+more)); err != nil {
		t.Fatal(err)
	}
	log := strings.Join(u.log, "\n")
	for _, want := range []string{`"Re: [PATCH 1/2] doc: Say more" is a reply; its diff is not applied`, "thread.mbox (doc: Say more) is already present: it changes nothing"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	u.refuse("tree:"+u.root+"@HEAD?revert="+base+"&dirty=yes", "dirty=yes applies to the working tree")
	u.refuse("tree:"+u.root+"@HEAD?patch="+file("empty.mbox", cover), "contains no patch")
	u.refuse("tree:"+u.root+"@HEAD?patch="+filepath.Join(dir, "none"), "no such file")
	if after := u.state(); after != before {
		t.Errorf("the user's repository changed from\n%s\nto\n%s", before, after)
	}
}
