package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/build"
)

// snapshot is the source to build.
type snapshot struct {
	root  string
	label string // for people
	// content is what identifies it: a tree's hash, or what its files look like.
	// content identifies it: a tree's hash, or the metadata of its files.
	content string
	// tree is the hash of the tree to check out; "" means to build root as it stands.
	tree string
	repo *git.Repo // contains tree
	user *git.Tree // the user's tree
	// deciding is the key of the files that determine a configuration, if the tree is
	// built as it stands; see decides.
	deciding string
}

// look determines what to build of the tree in root. For a git tree it creates the
// repository that borrows the user's objects, and applies edits there.
func (w *work) look(ctx context.Context, root, rev string, dirty bool, edits []edit) (*snapshot, error) {
	s := &snapshot{root: root, label: filepath.Base(root)}
	user, err := git.Open(ctx, root)
	var none *git.NoTreeError
	if errors.As(err, &none) {
		if rev != "" || len(edits) > 0 {
			return nil, &kernels.SpecError{
				Problem: root + " is not a git tree, so it has no revisions to build or to edit",
				Hint:    "give the top folder of a git tree, or tree:PATH alone",
			}
		}
		return s, s.asItStands(ctx)
	}
	if err != nil {
		return nil, err
	}
	if rev == "" {
		changed, err := user.Changed(ctx)
		if err != nil {
			return nil, err
		}
		if dirty && len(changed) > 0 {
			s.label += "+changes"
			return s, s.asItStands(ctx)
		}
		if len(changed) > 0 {
			return nil, &kernels.SpecError{
				Problem: english.PluralWord(len(changed), changed[0]+" has uncommitted changes",
					fmt.Sprintf("%d files have uncommitted changes, such as %s", len(changed), changed[0])),
				Hint: "commit them, write tree:PATH@HEAD to build without them, " +
					"or tree:PATH?dirty=yes to build the tree as it stands",
			}
		}
		rev = "HEAD"
	}
	commit, err := user.Commit(ctx, rev)
	if err != nil {
		return nil, err
	}
	s.label += "@" + rev
	if strings.HasPrefix(commit, rev) {
		s.label = filepath.Base(root) + "@" + commit[:12]
	} else {
		s.label += " " + commit[:12]
	}
	s.user = user
	for _, f := range top {
		if _, err := user.Output(ctx, "cat-file", "-e", commit+":"+f); err != nil {
			return nil, s.noLinux(f)
		}
	}
	if s.repo, err = w.borrow(ctx, user); err != nil {
		return nil, err
	}
	var todo []git.Edit
	for _, e := range edits {
		s.label += e.label
		if e.Commit != "" {
			if e.Commit, err = user.Commit(ctx, e.Commit); err != nil {
				return nil, err
			}
		}
		todo = append(todo, e.Edit)
	}
	if s.tree, err = s.repo.Run(ctx, nil, "rev-parse", commit+"^{tree}"); err != nil {
		return nil, err
	}
	applied, err := s.repo.Apply(ctx, s.tree, todo)
	for _, n := range applied.Notes {
		w.opts.Logf("%s", n)
	}
	for _, p := range applied.Patches {
		if p.Present {
			w.opts.Logf("%s: %s is already present: it changes nothing", s.label, p)
		}
	}
	s.tree, s.content = applied.Tree, applied.Tree
	return s, err
}

// asItStands uses file metadata (as in ls -lR) as the content: reading more than a
// gigabyte would take seconds at each use.
func (s *snapshot) asItStands(ctx context.Context) error {
	for _, f := range top {
		if _, err := os.Stat(filepath.Join(s.root, f)); err != nil {
			return s.noLinux(f)
		}
	}
	parts := []string{"as it stands", s.root}
	var deciding []string
	err := filepath.WalkDir(s.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			if d.Name() == "__pycache__" { // left by scripts that a build calls
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		is := fmt.Sprint(info.Size(), info.ModTime().UnixNano(), info.Mode())
		parts = append(parts, p, is)
		if in, err := filepath.Rel(s.root, p); err == nil && build.Decides(in) {
			deciding = append(deciding, in, is)
		}
		return nil
	})
	s.content, s.deciding = cache.Key(parts...), cache.Key(deciding...)
	return err
}

// still returns an error if a tree that was built as it stands has changed meanwhile: the
// result would be a mixture of both states.
func (s *snapshot) still(ctx context.Context) error {
	if s.tree != "" {
		return nil
	}
	now := &snapshot{root: s.root, label: s.label}
	if err := now.asItStands(ctx); err != nil {
		return err
	}
	if now.content != s.content {
		return kernels.Changed(s.root)
	}
	return nil
}

// decides returns the key of all files that determine a configuration.
func (s *snapshot) decides(ctx context.Context) (string, error) {
	if s.tree == "" {
		return s.deciding, nil
	}
	list, err := s.repo.Output(ctx, nil, nil, "ls-tree", "-r", "-z", s.tree)
	var parts []string
	for line := range strings.SplitSeq(string(list), "\x00") { // MODE TYPE HASH, a tab, the path
		if _, path, _ := strings.Cut(line, "\t"); build.Decides(path) {
			parts = append(parts, line)
		}
	}
	return cache.Key(parts...), err
}

// top are some files in every kernel's source.
var top = []string{"Makefile", "Kconfig", "arch/x86/Kconfig"}

func (s *snapshot) noLinux(lacks string) error {
	return &kernels.SpecError{
		Problem: s.label + " is not a Linux source tree: no " + lacks,
		Hint:    "give the top folder of a Linux tree",
	}
}
