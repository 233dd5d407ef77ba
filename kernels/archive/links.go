package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
)

// hardLink gives a file of the archive another name. If there is no such file, it may have
// been skipped, or come later, as in an image whose upper layers are read first: hardLinks
// looks for it.
func (w *writer) hardLink(name, to string) error {
	info, err := w.root.Lstat(to)
	switch {
	case to == "", errors.Is(err, fs.ErrNotExist):
		w.pending[to] = append(w.pending[to], name)
		return nil
	case err != nil:
		return w.problem(err)
	case !info.Mode().IsRegular(): // a hard link to a symbolic link is one, too, and could lead outside
		return badLink(name, to, "which is not a file")
	}
	return w.problem(replaced(w.root.Link(to, name)))
}

func badLink(name, to, problem string) error {
	return &kernels.SpecError{
		Problem: fmt.Sprintf("cannot unpack %s: it is a hard link to %s, %s", name, to, problem),
		Hint:    "give an intact archive of a kernel",
	}
}

// hardLinks makes the pending hard links of an archive. Files that were skipped are not known
// any more, so that the archive is read again for those that a link leads to.
func (w *writer) hardLinks(read func(func(Next) error) error, opts kernels.Options) error {
	for to, names := range w.pending {
		if _, err := w.root.Lstat(to); err != nil {
			continue
		}
		delete(w.pending, to)
		for _, name := range names {
			if err := w.hardLink(name, to); err != nil {
				return err
			}
		}
	}
	if len(w.pending) == 0 {
		return nil
	}
	opts.Logf("read the archive again for %d files that its hard links lead to", len(w.pending))
	if err := read(w.skipped); err != nil {
		return err
	}
	for to, names := range w.pending {
		return badLink(names[0], to, "which the archive does not have")
	}
	return nil
}

// skipped writes the files that pending hard links lead to, under the names of the links.
func (w *writer) skipped(next Next) error {
	for len(w.pending) > 0 {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		item, content, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to := clean(item.Name)
		names := w.pending[to]
		if names == nil {
			continue
		}
		if item.Hard || !item.Mode.IsRegular() {
			return badLink(names[0], to, "which is not a file")
		}
		delete(w.pending, to)
		names = slices.DeleteFunc(names, func(name string) bool { // the first one of a name counts
			_, err := w.root.Lstat(name)
			return err == nil
		})
		for i, name := range names {
			if i > 0 {
				err = w.hardLink(name, names[0])
			} else {
				err = w.file(name, item, content)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// replaced ignores that a link exists already: the first one of a name counts.
func replaced(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// links removes the symbolic links that do not lead to something below the directory.
func (w *writer) links(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, name := range w.made {
		to, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil && (to == dir || strings.HasPrefix(to, dir+"/")) {
			continue
		}
		if err := w.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
