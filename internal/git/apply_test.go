package git

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestApplyLikeCherryPick applies commits whose diff ends in whitespace, and others that
// the diff alone would put in the wrong place.
func TestApplyLikeCherryPick(t *testing.T) {
	for _, c := range []struct{ name, file, before, after string }{
		{"a blank line of context ends it", "f.c", "a\nb\nc\n\nd\ne\n", "a\nB\nc\n\nd\ne\n"},
		{"blank lines of context end it", "f.c", "a\nb\n\n\n\nc\n", "a\nB\n\n\n\nc\n"},
		{"a line of spaces is added last", "f.c", "a\n", "a\n   \n"},
		{"a tab is added last, without a newline", "f.c", "a\n", "a\n\t"},
		{"a form feed", "f.c", "a\n", "a\n\f\n"},
		{"carriage returns", "f.c", "a\r\nb\r\n\r\n", "a\r\nB\r\n\r\n"},
		{"a binary file", "f.bin", "a\x00b\n", "a\x00c\n\n"},
		{"no newline at the end", "f.c", "a\nb", "a\nB"},
		{"a name with spaces and quotes", " f\t\"ü .c", "a\n\n", "b\n\n"},
		{"another of many similar blocks", "f.c", strings.Repeat("{\n\tx,\n},\n", 9), strings.Repeat("{\n\tx,\n},\n", 4) + "{\n\tx,\n},\n" + strings.Repeat("{\n\tx,\n},\n", 5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t)
			base := h.commit("base", c.file, c.before)
			change := h.commit("change", c.file, c.after)
			later := h.commit("later", "other", "1\n")
			r := h.repo()
			for _, e := range []struct {
				on   string
				edit Edit
			}{{base, Edit{Commit: change}}, {later, Edit{Commit: change, Revert: true}}} {
				h.git("checkout", "-q", "-f", e.on)
				how := "cherry-pick"
				if e.edit.Revert {
					how = "revert"
				}
				h.git(how, "-n", change)
				want := h.git("write-tree")
				got, err := r.Apply(t.Context(), e.on+"^{tree}", []Edit{e.edit})
				if err != nil || got.Tree != want {
					t.Errorf("%s: got the tree %s, error %v; want git's own, %s", how, got.Tree, err, want)
				}
				p, err := r.commit(t.Context(), e.edit) // a merge would hide a truncated diff
				if diff := h.git("diff-tree", "-p", "--full-index", "--binary", p.from, p.to) + "\n"; err != nil || string(p.diff) != diff {
					t.Errorf("%s: got the diff %q, error %v; want git's own, %q", how, p.diff, err, diff)
				}
			}
		})
	}
}

// TestApplyAmongLookalikes applies a change whose line numbers in the diff are wrong.
func TestApplyAmongLookalikes(t *testing.T) {
	h := newHistory(t)
	blocks := func(n int) string { return strings.Repeat("{\n\tx,\n},\n", n) }
	base := h.commit("base", "f", "head\n"+blocks(9))
	change := h.commit("change", "f", "head\n"+blocks(4)+"{\n\ty,\n},\n"+blocks(5))
	h.git("checkout", "-q", base)
	moved := h.commit("moved", "f", blocks(3)+"head\n"+blocks(9))
	h.git("cherry-pick", "-n", change)
	want := h.git("write-tree")
	mail := h.file("c.mbox", h.git("format-patch", "--stdout", "-1", change)+"\n")
	for _, e := range []Edit{{Commit: change}, {File: mail}} {
		if got, err := h.repo().Apply(t.Context(), moved+"^{tree}", []Edit{e}); err != nil || got.Tree != want {
			t.Errorf("%+v: got the tree %s, error %v; want git's own, %s", e, got.Tree, err, want)
		}
	}
}

// TestRunIsOneLine checks that Run, which returns one line, fails for more output.
func TestRunIsOneLine(t *testing.T) {
	h := newHistory(t)
	h.commit("first", "f", "\n a\n\n")
	r := h.repo()
	for _, args := range [][]string{{"cat-file", "blob", "HEAD:f"}, {"ls-tree", "-z", "HEAD"}} {
		if out, err := h.open().Run(t.Context(), args...); err == nil {
			t.Errorf("%q: got %q, want it to be Output's", args, out)
		}
	}
	if out, err := r.Output(t.Context(), nil, nil, "cat-file", "blob", h.git("rev-parse", "HEAD:f")); err != nil || string(out) != "\n a\n\n" {
		t.Errorf("got %q, error %v; want \"\\n a\\n\\n\"", out, err)
	}
	h.git("mv", "f", " f ")
	a, b := h.git("rev-parse", "HEAD^{tree}"), h.git("write-tree")
	if files, err := r.Differ(t.Context(), a, b); err != nil || !slices.Equal(files, []string{" f ", "f"}) {
		t.Errorf("got %q, error %v; want \" f \" and \"f\"", files, err)
	}
	h.write("\tnew \n", "")
	if files, err := h.open().Changed(t.Context()); err != nil || !slices.Equal(files, []string{" f ", "f", "\tnew \n"}) {
		t.Errorf("got %q, error %v; want \" f \", \"f\" and \"\\tnew \\n\"", files, err)
	}
}

// TestPresent applies patches, commits and reverts that change nothing.
func TestPresent(t *testing.T) {
	h := newHistory(t)
	nine := "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	base := h.commit("base", "f", nine, "g", nine, "gone", "x\n")
	first := h.commit("first", "f", strings.Replace(nine, "5", "five", 1))
	second := h.commit("second", "g", strings.Replace(nine, "5", "five", 1))
	h.commit("new", "new", "1\n")
	h.git("rm", "-q", "gone")
	last := h.commit("removal")
	series := h.file("s.mbox", h.git("format-patch", "--stdout", base)+"\n")
	unknown := h.file("unknown.diff", strings.NewReplacer("index ", "x ").Replace(h.git("diff", base, first)+"\n")) // without blobs to merge
	empty := h.commit("empty")
	r := h.repo()
	all := []string{"first", "second", "new", "removal"}
	for _, c := range []struct {
		name, on string
		edits    []Edit
		present  []string // of those that it applies
		refused  string
	}{
		{"a series, none of it", base, []Edit{{File: series}}, nil, ""},
		{"a series, the first of it", first, []Edit{{File: series}}, all[:1], ""},
		{"a series, three of it", last + "^", []Edit{{File: series}}, all[:3], ""},
		{"a series, all of it", last, []Edit{{File: series}}, nil, "s.mbox (removal) is already present: it changes nothing"},
		{"a diff with unknown blobs", first, []Edit{{File: unknown}}, nil, "unknown.diff is already present"},
		{"a commit", last, []Edit{{Commit: first}}, nil, "(first) is already present"},
		{"a commit twice", base, []Edit{{Commit: first}, {Commit: first}}, all[:1], ""},
		{"a revert", base, []Edit{{Commit: first, Revert: true}}, nil, "the revert of " + first[:12] + " (first) is already present"},
		{"one of two commits", first, []Edit{{Commit: first}, {Commit: second}}, all[:1], ""},
		{"a commit and its revert", base, []Edit{{Commit: first}, {Commit: first, Revert: true}}, nil, "with it, the patches cancel each other out"},
		{"a commit that changes no file", base, []Edit{{Commit: empty}}, nil, "the commit changes no file"},
	} {
		got, err := r.Apply(t.Context(), c.on+"^{tree}", c.edits)
		if c.refused != "" {
			var e *ApplyError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.refused) || e.Present != strings.Contains(c.refused, "present") {
				t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
			}
			continue
		}
		var present []string
		for _, p := range got.Patches {
			if p.Present {
				present = append(present, p.Subject)
			}
		}
		if err != nil || !slices.Equal(present, c.present) {
			t.Errorf("%s: got %v, present %q; want %q", c.name, err, present, c.present)
		}
	}
}

// TestConflict checks that a merge conflict is reported with its file.
func TestConflict(t *testing.T) {
	h := newHistory(t)
	base := h.commit("base", "dir/f", "1\n2\n3\n")
	change := h.commit("change", "dir/f", "1\ntwo\n3\n")
	h.git("checkout", "-q", base)
	other := h.commit("other", "dir/f", "1\nzwei\n3\n")
	r := h.repo()
	_, err := r.Apply(t.Context(), other+"^{tree}", []Edit{{Commit: change}})
	var e *ApplyError
	if !errors.As(err, &e) || e.Present || len(e.Hunks) != 1 || !strings.Contains(e.Hunks[0], "dir/f @@ -1") {
		t.Errorf("got %v, %+v; want an *ApplyError with the hunk dir/f @@ -1", err, e)
	}
	if left, err := os.ReadDir(r.dir); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "apply-") }) {
		t.Errorf("got error %v, left behind: %v; want none", err, left)
	}
}

// TestFolderWithBrackets puts our repository into a folder whose name is a pattern.
func TestFolderWithBrackets(t *testing.T) {
	h := newHistory(t)
	base := h.commit("base", "f", "1\n")
	h.commit("change", "f", "2\n")
	series := h.file("p[1].mbox", h.git("format-patch", "--stdout", base)+"\n")
	r := h.borrow(filepath.Join(t.TempDir(), "a[b]*?", "git"))
	if got, err := r.Apply(t.Context(), base+"^{tree}", []Edit{{File: series}}); err != nil || got.Tree != h.git("rev-parse", "HEAD^{tree}") {
		t.Errorf("got error %v, %+v; want the tree of HEAD", err, got)
	}
}
