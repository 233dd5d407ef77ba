package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPickLikeCherryPick applies commits that change more than lines, and applies to trees
// that have the files elsewhere: the result must be that of git's own commands.
func TestPickLikeCherryPick(t *testing.T) {
	const ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n\n"
	five := strings.Replace(ten, "5", "five", 1)
	remove := func(h *history, name string) {
		if err := os.Remove(filepath.Join(h.root, name)); err != nil {
			h.t.Fatal(err)
		}
	}
	link := func(h *history, to, name string) {
		if err := os.Symlink(to, filepath.Join(h.root, name)); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name           string
		change, before func(h *history) // before prepares the tree that it is applied to
	}{
		{"a file that is renamed and changed", func(h *history) { remove(h, "f"); h.write("dir/g", five) }, nil},
		{"a mode", func(h *history) {
			h.git("update-index", "--chmod=+x", "f")
			_ = os.Chmod(filepath.Join(h.root, "f"), 0o755)
		}, nil},
		{"a deleted file", func(h *history) { remove(h, "f") }, nil},
		{"an empty file", func(h *history) { h.write("new", "") }, nil},
		{"a symbolic link to a name that ends in blanks", func(h *history) { link(h, "f  ", "l") }, nil},
		{"a file that becomes a link", func(h *history) { remove(h, "f"); link(h, "g\n", "f") }, nil},
		{"a file that becomes a folder", func(h *history) { remove(h, "f"); h.write("f/g", ten) }, nil},
		{"a name of two lines", func(h *history) { h.write("a\nb", "\n\n") }, nil},
		{"only blank lines", func(h *history) { h.write("f", ten+"\n\n\n") }, nil},
		{"lines that look like a diff", func(h *history) { h.write("f", ten+"-- \n--- a/x\n+++ b/x\n@@ -1 +1 @@\n\n") }, nil},
		{"a binary file that grows", func(h *history) { h.write("b", "\x00"+strings.Repeat("ab\n", 999)+"\n\n") }, nil},
		{"text of another character set", func(h *history) { h.write("f", five+"\xfc\xff\n \n") }, nil},
		{"a file that the tree has under another name", func(h *history) { h.write("f", five) }, func(h *history) { h.git("mv", "f", "older") }},
		{"a file that the tree has in another folder, changed", func(h *history) { h.write("f", five) }, func(h *history) {
			h.write("f", strings.Replace(ten, "9\n", "nine\n", 1))
			h.git("add", "f")
			if err := os.Mkdir(filepath.Join(h.root, "old"), 0o755); err != nil {
				h.t.Fatal(err)
			}
			h.git("mv", "f", "old/f")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(t)
			base := h.commit("base", "f", ten, "other", strings.Repeat("x\n", 30))
			c.change(h)
			change := h.commit("change")
			later := h.commit("later", "other", strings.Repeat("x\n", 29)+"y\n")
			on := base
			if c.before != nil {
				h.git("checkout", "-q", "-f", base)
				c.before(h)
				on = h.commit("before")
			}
			r := h.repo()
			for _, e := range []struct {
				on, how string
				edit    Edit
			}{{on, "cherry-pick", Edit{Commit: change}}, {later, "revert", Edit{Commit: change, Revert: true}}} {
				h.git("checkout", "-q", "-f", e.on)
				h.git("clean", "-qfdx")
				h.git(e.how, "-n", change)
				want := h.git("write-tree")
				got, err := r.Apply(t.Context(), e.on+"^{tree}", []Edit{e.edit})
				if err != nil || got.Tree != want {
					t.Errorf("%s: got the tree %s, error %v; want git's own, %s", e.how, got.Tree, err, want)
				}
			}
		})
	}
}
