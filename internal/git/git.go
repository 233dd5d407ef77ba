// Package git reads a user's repository and changes nothing in it: no checkout, index,
// ref or worktree list. Writes go to private repositories that share the user's
// objects (alternates in gitrepository-layout(5)). A tool that creates a repository from scratch uses Run.
package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// Tree is the user's repository, given by the top folder of a checkout.
type Tree struct {
	// Root is the folder, absolute.
	Root string

	objects string // the object folder
	format  string // the hash function of object names, "sha1"
	shallow string // the file with the border of a shallow clone
}

// NoTreeError reports that a folder is not the top of a git checkout.
type NoTreeError struct{ Root string }

func (e *NoTreeError) Error() string {
	return e.Root + " is not the top folder of a git tree; give one"
}

// ErrKind implements errkind.Kinder.
func (e *NoTreeError) ErrKind() errkind.Kind { return errkind.Request }

// RevisionError reports that a repository does not have a revision.
type RevisionError struct {
	Root, Rev string
	// Shallow reports that the clone is shallow, which may be the cause.
	Shallow bool
}

func (e *RevisionError) Error() string {
	if e.Shallow {
		return fmt.Sprintf(
			"%s has no revision %q, or its clone is too shallow; fetch the rest: git fetch --unshallow",
			e.Root,
			e.Rev,
		)
	}
	return fmt.Sprintf("%s has no revision %q; list the revisions with git log and git tag", e.Root, e.Rev)
}

// ErrKind implements errkind.Kinder.
func (e *RevisionError) ErrKind() errkind.Kind { return errkind.Request }

// Open opens the repository of a checkout. If root is not one, the error is a
// *NoTreeError.
func Open(ctx context.Context, root string) (*Tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(root); err != nil {
		return nil, errkind.Requestf("open the tree: %w; give a readable folder", err)
	}
	t := &Tree{Root: root}
	top, err := t.Run(ctx, "rev-parse", "--show-toplevel")
	var failed *execx.RunError
	if err != nil && !errors.As(err, &failed) {
		return nil, err
	}
	if err != nil && strings.Contains(failed.Stderr, "dubious ownership") {
		return nil, notTrusted(root)
	}
	if err != nil || !sameFolder(top, root) {
		return nil, &NoTreeError{root}
	}
	if t.objects, err = t.path(ctx, "objects"); err != nil {
		return nil, err
	}
	if t.format, err = t.Run(ctx, "rev-parse", "--show-object-format"); err != nil {
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

// Run runs git on the repository and returns the one line that it prints.
func (t *Tree) Run(ctx context.Context, args ...string) (string, error) {
	out, err := t.Output(ctx, args...)
	return line(out, err, args)
}

// Output runs git on the repository and returns its output unchanged.
func (t *Tree) Output(ctx context.Context, args ...string) ([]byte, error) {
	// Without it, even git status writes to the index (git(1)).
	return call(ctx, t.Root, environ(nil, "GIT_OPTIONAL_LOCKS=0"), nil, args...)
}

// Commit returns the hash of the commit that a revision names, or a *RevisionError.
func (t *Tree) Commit(ctx context.Context, rev string) (string, error) {
	commit, err := t.Run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	var failed *execx.RunError
	if errors.As(err, &failed) {
		return "", &RevisionError{Root: t.Root, Rev: rev, Shallow: t.Shallow()}
	}
	return commit, err
}

// Shallow reports whether the clone is shallow.
func (t *Tree) Shallow() bool {
	_, err := os.Stat(t.shallow)
	return err == nil
}

// Stitched reports whether the repository has replacement objects or grafts
// (git-replace(1)), which this package ignores.
func (t *Tree) Stitched(ctx context.Context) bool {
	refs, err := t.Output(ctx, "for-each-ref", "--count=1", "refs/replace/")
	if err == nil && len(refs) > 0 {
		return true
	}
	info, err := t.path(ctx, "info") // git's default place for grafts, which environ disables
	if err != nil {
		return false
	}
	grafts, err := os.Stat(filepath.Join(info, "grafts"))
	return err == nil && grafts.Size() > 0
}

// Partial reports whether the clone may miss files of its own revisions (git clone
// --filter), which only git in that repository can fetch.
func (t *Tree) Partial(ctx context.Context) bool {
	filter, err := t.Output(ctx, "config", "--get-regexp", `^(extensions\.partialclone|remote\..*\.promisor)$`)
	return err == nil && len(filter) > 0
}

// Changed returns the files that git status reports as changed.
func (t *Tree) Changed(ctx context.Context) ([]string, error) {
	out, err := t.Output(ctx, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal")
	var files []string
	for entry := range strings.SplitSeq(string(out), "\x00") { // two letters, a space, the path
		if len(entry) > len("XY ") {
			files = append(files, entry[len("XY "):])
		}
	}
	return files, err
}

func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
