// Package git asks a user's repository and changes nothing in it: no checkout,
// index, ref or list of worktrees. What has to be written goes into repositories of
// our own that borrow the user's objects.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/tool"
)

// Tree is the user's repository, by the top folder of a checkout of it.
type Tree struct {
	// Root is the folder, absolute.
	Root string

	objects string // the folder of its objects
	shallow string // the file that says where a shallow clone ends
}

// NoTreeError says that a folder is not the top of a git checkout.
type NoTreeError struct{ Root string }

func (e *NoTreeError) Error() string {
	return e.Root + " is no git tree; give the top folder of one"
}

// Fault implements fault.Kinder.
func (e *NoTreeError) Fault() fault.Kind { return fault.Request }

// RevisionError says that a repository does not have what a revision names.
type RevisionError struct {
	Root, Rev string
	// Shallow says that its clone ends somewhere, so that this may be why.
	Shallow bool
}

func (e *RevisionError) Error() string {
	if e.Shallow {
		return fmt.Sprintf("%s has no revision %q, or its clone is too shallow; fetch the rest: git fetch --unshallow", e.Root, e.Rev)
	}
	return fmt.Sprintf("%s has no revision %q; git log and git tag show those that it has", e.Root, e.Rev)
}

// Fault implements fault.Kinder.
func (e *RevisionError) Fault() fault.Kind { return fault.Request }

// Open finds the repository of a checkout. Its error is a *NoTreeError where there is none.
func Open(ctx context.Context, root string) (*Tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(root); err != nil {
		return nil, fault.Requestf("look into the tree: %w; give a folder that can be read", err)
	}
	t := &Tree{Root: root}
	top, err := t.Run(ctx, "rev-parse", "--show-toplevel")
	var failed *tool.RunError
	if err != nil && !errors.As(err, &failed) {
		return nil, err
	}
	if err != nil && strings.Contains(failed.Stderr, "dubious ownership") {
		return nil, fault.Requestf("git does not trust %s, which another user owns; run: git config --global --add safe.directory %s", root, root)
	}
	if err != nil || !sameFolder(top, root) {
		return nil, &NoTreeError{root}
	}
	if t.objects, err = t.path(ctx, "objects"); err != nil {
		return nil, err
	}
	t.shallow, err = t.path(ctx, "shallow")
	return t, err
}

func (t *Tree) path(ctx context.Context, name string) (string, error) {
	p, err := t.Run(ctx, "rev-parse", "--git-path", name)
	if err == nil && !filepath.IsAbs(p) {
		p = filepath.Join(t.Root, p)
	}
	return p, err
}

// Run asks something of the repository, under the user's own configuration, and
// returns what git prints, trimmed.
func (t *Tree) Run(ctx context.Context, args ...string) (string, error) {
	bin, err := tool.Find("git", "git")
	if err != nil {
		return "", err
	}
	// Even git status would write into the index otherwise (git(1)).
	out, err := tool.Run(ctx, t.Root, []string{"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0"}, bin, args...)
	return strings.TrimSpace(string(out)), err
}

// Commit is the hash of the commit that a revision names, or a *RevisionError.
func (t *Tree) Commit(ctx context.Context, rev string) (string, error) {
	commit, err := t.Run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	var failed *tool.RunError
	if errors.As(err, &failed) {
		return "", &RevisionError{Root: t.Root, Rev: rev, Shallow: t.Shallow()}
	}
	return commit, err
}

// Shallow says that the clone ends somewhere.
func (t *Tree) Shallow() bool {
	_, err := os.Stat(t.shallow)
	return err == nil
}

// Partial says whether the clone may lack files of its own revisions (git clone
// --filter), which nobody but git in that very repository fetches.
func (t *Tree) Partial(ctx context.Context) bool {
	filter, err := t.Run(ctx, "config", "--get-regexp", `^(extensions\.partialclone|remote\..*\.promisor)$`)
	return err == nil && filter != ""
}

// Changed are the files that are not as committed, as git status names them.
func (t *Tree) Changed(ctx context.Context) ([]string, error) {
	out, err := t.Run(ctx, "status", "--porcelain", "--untracked-files=normal")
	if err != nil || out == "" {
		return nil, err
	}
	var files []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if _, file, ok := strings.Cut(line, " "); ok {
			files = append(files, strings.TrimSpace(file))
		}
	}
	return files, nil
}

// Repo is a repository of ours. It has every object of a Tree's, and none of its refs.
type Repo struct {
	dir, bin string
	env      []string
}

// Borrow makes a repository in a folder, or takes the one that is there.
func (t *Tree) Borrow(ctx context.Context, dir string) (*Repo, error) {
	bin, err := tool.Find("git", "git")
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: dir, bin: bin}
	// Whoever's configuration is there, what is checked out is what is committed.
	r.env = []string{"GIT_DIR=" + dir, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quoteAlternate(t.objects),
		"GIT_COMMITTER_NAME=faultline", "GIT_COMMITTER_EMAIL=faultline@localhost", "GIT_AUTHOR_NAME=faultline", "GIT_AUTHOR_EMAIL=faultline@localhost"}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		if _, err := r.Run(ctx, nil, "init", "--quiet", "--bare", dir); err != nil {
			return nil, err
		}
	}
	if data, err := os.ReadFile(t.shallow); err == nil {
		if err := os.WriteFile(filepath.Join(dir, "shallow"), data, 0o644); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run runs git on the repository and returns what it prints, trimmed. more is
// added to its environment. A failure is a *tool.RunError.
func (r *Repo) Run(ctx context.Context, more []string, args ...string) (string, error) {
	return r.Feed(ctx, nil, more, args...)
}

// Feed is Run for who reads its standard input.
func (r *Repo) Feed(ctx context.Context, in []byte, more []string, args ...string) (string, error) {
	cmd := tool.Command(ctx, "", append(r.env[:len(r.env):len(r.env)], more...), r.bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return out.String(), &tool.RunError{Name: "git", Stderr: errs.String(), Err: err}
	}
	return strings.TrimSpace(out.String()), nil
}

// Differ are the files that are not the same in two trees.
func (r *Repo) Differ(ctx context.Context, a, b string) ([]string, error) {
	out, err := r.Run(ctx, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", a, b)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
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

func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
