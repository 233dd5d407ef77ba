package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// Repo is a repository of ours. It has every object of a Tree's, and none of its
// refs and settings: whoever uses it, the same is read and checked out.
type Repo struct {
	dir string // absolute
	env []string
}

// Borrow makes a repository in a folder, or takes the one that is there.
func (t *Tree) Borrow(ctx context.Context, dir string) (*Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: dir}
	r.env = ours(
		"GIT_DIR="+dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+quoteAlternate(t.objects),
		"GIT_COMMITTER_NAME=faultline", "GIT_COMMITTER_EMAIL=faultline@localhost",
		"GIT_AUTHOR_NAME=faultline", "GIT_AUTHOR_EMAIL=faultline@localhost")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		_, err := r.Output(ctx, nil, nil, "init", "--quiet", "--bare", "--template=", "--object-format="+t.format, dir)
		if err != nil {
			return nil, err
		}
	}
	return r, t.copyBorder(filepath.Join(dir, "shallow"))
}

// copyBorder has a repository of ours end where the user's ends now, which git fetch
// may have moved or taken away.
func (t *Tree) copyBorder(to string) error {
	border, err := os.ReadFile(t.shallow)
	switch {
	case err == nil:
		return renameio.WriteFile(to, border, 0o644)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Run runs git on the repository and returns the one line that it answers. more is
// added to its environment. A failure is a *tool.RunError.
func (r *Repo) Run(ctx context.Context, more []string, args ...string) (string, error) {
	out, err := r.Output(ctx, more, nil, args...)
	return line(out, err, args)
}

// Output runs git on the repository with in as its standard input, and returns what
// it prints, byte for byte.
func (r *Repo) Output(ctx context.Context, more []string, in []byte, args ...string) ([]byte, error) {
	return call(ctx, r.dir, append(r.env[:len(r.env):len(r.env)], more...), in, args...)
}

// said is Output, of what git says beside what it prints.
func (r *Repo) said(ctx context.Context, more []string, in []byte, args ...string) (string, error) {
	_, said, err := heard(ctx, r.dir, append(r.env[:len(r.env):len(r.env)], more...), in, args...)
	return said, err
}

// Differ are the files that are not the same in two trees.
func (r *Repo) Differ(ctx context.Context, a, b string) ([]string, error) {
	out, err := r.Output(ctx, nil, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// Checkout makes a folder hold a tree's files and nothing else. Files that are as
// they were keep their times, so that make compiles only what differs; the index
// that tells lies beside the folder, with ".index" behind its name. It can be
// killed at any moment; two at a time in one folder can't be.
func (r *Repo) Checkout(ctx context.Context, tree, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	index := filepath.Clean(dir) + ".index"
	if err := os.RemoveAll(index + ".lock"); err != nil { // of one that was killed
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	env := []string{"GIT_WORK_TREE=" + dir, "GIT_INDEX_FILE=" + index}
	for _, args := range [][]string{
		{"read-tree", "--reset", tree},
		{"-C", dir, "checkout-index", "--all", "--force", "--index", "--quiet"},
		{"-C", dir, "clean", "-ffdxq"},
	} {
		if _, err := r.Run(ctx, env, args...); err != nil {
			return err
		}
	}
	return nil
}

// quoteAlternate keeps a colon in a path from parting it (git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES).
func quoteAlternate(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
