package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/git"
)

// repo is the repository with the kernels, as branches. It has no checkout, because builds
// need only its commits.
type repo struct{ dir string }

// git runs git in the repository, on an index, and returns its output. Author and date are
// fixed, so that the same edits give the same commit.
func (r repo) git(ctx context.Context, in, index string, args ...string) (string, error) {
	const who, when = "faultline", "2026-01-01T00:00:00Z"
	env := []string{
		"GIT_DIR=" + filepath.Join(r.dir, ".git"),
		"GIT_AUTHOR_NAME=" + who, "GIT_AUTHOR_EMAIL=" + who + "@localhost", "GIT_AUTHOR_DATE=" + when,
		"GIT_COMMITTER_NAME=" + who, "GIT_COMMITTER_EMAIL=" + who + "@localhost", "GIT_COMMITTER_DATE=" + when,
	}
	if index != "" {
		env = append(env, "GIT_INDEX_FILE="+index)
	}
	out, err := git.Run(ctx, r.dir, env, []byte(in), args...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", args[0], err)
	}
	return string(out), nil
}

// line is git for commands that print one line.
func (r repo) line(ctx context.Context, in, index string, args ...string) (string, error) {
	out, err := r.git(ctx, in, index, args...)
	return strings.TrimSpace(out), err
}

// branch returns the commit of a branch, or "".
func (r repo) branch(ctx context.Context, name string) string {
	c, err := r.line(ctx, "", "", "rev-parse", "--verify", "--quiet", "refs/heads/"+name)
	if err != nil {
		return ""
	}
	return c
}

func (r repo) setBranch(ctx context.Context, name, commit string) error {
	_, err := r.git(ctx, "", "", "update-ref", "refs/heads/"+name, commit)
	return err
}

// scratch calls do with the path of a temporary index.
func (r repo) scratch(do func(index string) error) error {
	dir, err := os.MkdirTemp(filepath.Join(r.dir, ".git"), "index-")
	if err != nil {
		return err
	}
	return errors.Join(do(filepath.Join(dir, "index")), os.RemoveAll(dir))
}

// source creates the branch of a version from Debian's linux-source package, unless it
// exists.
func (r repo) source(ctx context.Context, version string) (commit string, err error) {
	if c := r.branch(ctx, version); c != "" {
		return c, nil
	}
	unpacked, err := os.MkdirTemp(filepath.Join(r.dir, ".git"), "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unpacked)
	name := "linux-source-" + version
	archive := filepath.Join("/usr/src", name+".tar.xz")
	if _, err := os.Stat(archive); err != nil {
		if _, err := execx.Run(ctx, unpacked, nil, "apt-get", "download", name); err != nil {
			return "", err
		}
		packages, err := fs.Glob(os.DirFS(unpacked), "*.deb")
		if err != nil || len(packages) != 1 {
			return "", fmt.Errorf("apt-get download %s left %d packages", name, len(packages))
		}
		if _, err := execx.Run(ctx, unpacked, nil, "dpkg-deb", "-x", packages[0], "."); err != nil {
			return "", err
		}
		archive = filepath.Join(unpacked, archive)
	}
	if _, err := execx.Run(ctx, unpacked, nil, "tar", "-xf", archive); err != nil {
		return "", err
	}
	return r.takeIn(ctx, version, filepath.Join(unpacked, name))
}

// takeIn commits the content of a folder as the branch of a version.
func (r repo) takeIn(ctx context.Context, version, folder string) (commit string, err error) {
	err = r.scratch(func(index string) error {
		// Debian's .gitignore excludes nearly everything.
		if _, err := r.git(
			ctx,
			"",
			index,
			"-c",
			"core.bare=false",
			"--work-tree="+folder,
			"-C",
			folder,
			"add",
			"--all",
			"--force",
			".",
		); err != nil {
			return err
		}
		commit, err = r.commit(ctx, index, "Linux "+version+", as Debian's linux-source has it")
		return err
	})
	if err != nil {
		return "", err
	}
	return commit, r.setBranch(ctx, version, commit)
}

func (r repo) commit(ctx context.Context, index, message string, parents ...string) (string, error) {
	tree, err := r.line(ctx, "", index, "write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	return r.line(ctx, message+"\n", index, args...)
}

// edited commits edits on top of a parent; beside are its other parents.
func (r repo) edited(
	ctx context.Context,
	parent, message string,
	edits []edit,
	beside ...string,
) (commit string, err error) {
	err = r.scratch(func(index string) error {
		if _, err := r.git(ctx, "", index, "read-tree", parent); err != nil {
			return err
		}
		texts := map[string]string{}
		for _, e := range edits {
			if _, read := texts[e.file]; !read {
				if texts[e.file], err = r.git(ctx, "", index, "show", parent+":"+e.file); err != nil {
					return err
				}
			}
			if texts[e.file], err = e.apply(texts[e.file]); err != nil {
				return err
			}
		}
		for file, text := range texts {
			blob, err := r.line(ctx, text, index, "hash-object", "-w", "--stdin")
			if err != nil {
				return err
			}
			if _, err := r.git(ctx, "", index, "update-index", "--cacheinfo", "100644,"+blob+","+file); err != nil {
				return err
			}
		}
		commit, err = r.commit(ctx, index, message, append([]string{parent}, beside...)...)
		return err
	})
	return commit, err
}

// history commits a history on top of a commit.
func (r repo) history(ctx context.Context, on string, all []commit) (head string, err error) {
	heads := []string{on}
	for _, c := range all {
		head = heads[len(heads)-1]
		edits, beside := c.edits, []string(nil)
		if len(c.merge) > 0 {
			side := heads[max(0, len(heads)-3)]
			for _, s := range c.merge {
				if side, err = r.edited(ctx, side, s.subject, s.edits); err != nil {
					return "", err
				}
				edits = append(edits, s.edits...)
			}
			beside = []string{side}
		}
		if head, err = r.edited(ctx, head, c.subject, edits, beside...); err != nil {
			return "", fmt.Errorf("%q: %w", c.subject, err)
		}
		heads = append(heads, head)
	}
	return head, nil
}

// mails writes the patches between two commits as a mailbox of git format-patch.
func (r repo) mails(ctx context.Context, from, to, file string) error {
	out, err := r.git(ctx, "", "", "format-patch", "--stdout", "--no-signature", from+".."+to)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(out), 0o644)
}
