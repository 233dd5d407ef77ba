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

// Repo is a repository of ours. It has every object of a Tree, and none of its refs and
// settings, so that reads and checkouts do not depend on the user.
type Repo struct {
	dir string // absolute
	env []string
}

// Borrow creates a repository in a folder, or uses an existing one.
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

// copyBorder copies the present shallow border of the user's repository, which git fetch
// may have moved or removed.
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

// Run runs git on the repository and returns the one line that it prints. more is added
// to its environment. If git fails, the error is an *execx.RunError.
func (r *Repo) Run(ctx context.Context, more []string, args ...string) (string, error) {
	out, err := r.Output(ctx, more, nil, args...)
	return line(out, err, args)
}

// Output runs git on the repository with in as its standard input, and returns its
// output unchanged.
func (r *Repo) Output(ctx context.Context, more []string, in []byte, args ...string) ([]byte, error) {
	return call(ctx, r.dir, append(r.env[:len(r.env):len(r.env)], more...), in, args...)
}

// stderr is Output, but returns standard error.
func (r *Repo) stderr(ctx context.Context, more []string, in []byte, args ...string) (string, error) {
	_, stderr, err := callBoth(ctx, r.dir, append(r.env[:len(r.env):len(r.env)], more...), in, args...)
	return stderr, err
}

// Differ returns the files that differ between two trees.
func (r *Repo) Differ(ctx context.Context, a, b string) ([]string, error) {
	out, err := r.Output(ctx, nil, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// Checkout makes a folder contain exactly the files of a tree. Unchanged files keep their
// times, so that make compiles only what differs; it finds them by an index beside the
// folder, named with the suffix ".index". It may be killed at any moment, but must not
// run twice at a time in one folder.
func (r *Repo) Checkout(ctx context.Context, tree, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	index := filepath.Clean(dir) + ".index"
	if err := os.RemoveAll(index + ".lock"); err != nil { // left by a killed process
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

// quoteAlternate quotes a path, so that git does not split it at a colon (git(1),
// GIT_ALTERNATE_OBJECT_DIRECTORIES).
func quoteAlternate(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
