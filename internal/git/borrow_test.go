package git

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBorder deepens and unshallows the user's clone and makes it shallow again: our
// repository must have the same shallow border.
func TestBorder(t *testing.T) {
	up := newHistory(t)
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		up.commit(n, "f", n)
	}
	h := &history{t, filepath.Join(t.TempDir(), "clone")}
	up.git("clone", "-q", "--depth=2", "file://"+up.root, h.root)
	dir := filepath.Join(t.TempDir(), "git")
	for _, step := range []struct {
		fetch   string
		commits string
	}{{"", "2"}, {"--deepen=1", "3"}, {"--unshallow", "5"}, {"--depth=1", "1"}, {"--unshallow", "5"}} {
		if step.fetch != "" {
			h.git("fetch", "-q", step.fetch)
		}
		r := h.borrow(dir)
		if n, err := r.Run(t.Context(), nil, "rev-list", "--count", h.git("rev-parse", "HEAD")); err != nil || n != step.commits {
			t.Errorf("after fetch %s: got %s commits, error %v; want %s", step.fetch, n, err, step.commits)
		}
	}
}

// TestStitched checks that the user's replacement objects and grafts are ignored, so
// that both repositories have the same history.
func TestStitched(t *testing.T) {
	for _, how := range []string{"replace --graft", "replace", "info/grafts"} {
		t.Run(how, func(t *testing.T) {
			h := newHistory(t)
			oldEnd := h.commit("1", "f", "1")
			end := h.commit("2", "f", "2")
			h.git("checkout", "-q", "--orphan", "new")
			root := h.commit("3", "f", "3")
			newEnd := h.commit("4", "f", "4")
			tree := h.git("rev-parse", newEnd+"^{tree}")
			if h.open().Stitched(t.Context()) {
				t.Error("Stitched is true too early")
			}
			switch how {
			case "replace --graft":
				h.git("replace", "--graft", root, end)
			case "replace":
				h.git("replace", newEnd, end)
			default:
				h.write(".git/info/grafts", root+" "+end+"\n")
			}
			user := h.open()
			if !user.Stitched(t.Context()) {
				t.Error("Stitched is false")
			}
			if related, err := user.Related(t.Context(), oldEnd, newEnd); err != nil || related {
				t.Errorf("got related %t, error %v; want false", related, err)
			}
			r := h.repo()
			theirs, err1 := user.Run(t.Context(), "rev-parse", newEnd+"^{tree}")
			ours, err2 := r.Run(t.Context(), nil, "rev-parse", newEnd+"^{tree}")
			if err1 != nil || err2 != nil || theirs != tree || ours != tree {
				t.Errorf("got %s and %s, errors %v and %v; want %s", theirs, ours, err1, err2, tree)
			}
		})
	}
}

// TestObjectFormat uses a repository with SHA-256 hashes.
func TestObjectFormat(t *testing.T) {
	h := &history{t, filepath.Join(t.TempDir(), "linux")}
	if err := os.MkdirAll(h.root, 0o755); err != nil {
		t.Fatal(err)
	}
	h.git("init", "-q", "--object-format=sha256")
	base := h.commit("base", "f", "1\n")
	change := h.commit("change", "f", "2\n")
	got, err := h.repo().Apply(t.Context(), base+"^{tree}", []Edit{{Commit: change}})
	if err != nil || got.Tree != h.git("rev-parse", "HEAD^{tree}") {
		t.Errorf("got error %v, %+v; want the tree of HEAD", err, got)
	}
}
