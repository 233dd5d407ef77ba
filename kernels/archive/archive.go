// Package archive makes kernels from the contents of archives and packages that other
// systems use (tar, deb, rpm). A source reads the archive; this package writes the files of a
// kernel among its contents to a directory, and finds the kernel there. An archive is not
// trusted: nothing is written or read outside that directory, and sizes are bounded.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/layout"
)

// Bounds of the files that are written: their number, with directories, the length of their
// names together, in bytes, and the directories above one. A kernel has some 7,000 files,
// 1 MiB of names, and 12 directories above a module.
const (
	mostFiles = 100_000
	mostNames = 64 << 20
	mostDepth = 64
)

// MostBytes bounds the decompressed contents of an archive, in bytes. A kernel with its
// modules has up to 2 GiB, with debug information 10 GiB.
const MostBytes = 16 << 30

// Item is an item of an archive.
type Item struct {
	Name string // its path; how it begins (/, ./) does not matter
	Mode fs.FileMode
	Size int64  // of a regular file, in bytes
	Link string // the target of a symbolic link, or the path of a hard link's file
	Hard bool   // it is a hard link
	// Other means that the item is no kernel's, whatever its name: only a hard link to it is.
	Other bool
}

// Next returns the next item and a reader of its content, which is valid until the next
// call. The error at the end is io.EOF.
type Next func() (Item, io.Reader, error)

// Unpack makes a kernel in dir, an entry of the cache, from the contents of archives. Each
// of archives reads one archive and passes its items to write; it is called again if a
// kernel's file is a hard link to a file that was skipped. The error is a
// *kernels.SpecError if the contents are no kernel, have a path that leads outside, or are
// too large.
func Unpack(
	ctx context.Context,
	dir string,
	opts kernels.Options,
	archives ...func(write func(Next) error) error,
) error {
	all, err := os.MkdirTemp(dir, ".contents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(all)
	root, err := os.OpenRoot(all)
	if err != nil {
		return err
	}
	defer root.Close()
	w := &writer{ctx: ctx, root: root, left: MostBytes, dirs: map[string]bool{}, pending: map[string][]string{}}
	for _, read := range archives {
		if err := read(w.write); err != nil {
			return err
		}
		if err := w.hardLinks(read, opts); err != nil {
			return err
		}
	}
	if err := w.links(all); err != nil {
		return err
	}
	l, err := layout.Find(ctx, all, opts)
	if err != nil {
		return inside(err, all)
	}
	files, err := l.Files()
	if err != nil {
		return inside(err, all)
	}
	return place(dir, all, files)
}

// place links the kernel's files to their places in the entry: the contents are removed, so
// that nothing else has them.
func place(dir, contents string, files []layout.File) error {
	contents, err := filepath.EvalSymlinks(contents)
	if err != nil {
		return err
	}
	for _, f := range files {
		from, err := filepath.EvalSymlinks(f.From)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(from, contents+"/") {
			return &kernels.SpecError{Problem: f.To + " is outside of the archive", Hint: "give an intact archive of a kernel"}
		}
		info, err := os.Lstat(from)
		if err != nil {
			return err
		}
		if most := kernels.MaxBytes(f.To); info.Size() > most {
			return kernels.TooLarge(&limitread.Error{Path: f.To, Most: most})
		}
		to := filepath.Join(dir, f.To)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Link(from, to); err != nil {
			return err
		}
	}
	return nil
}

// inside leaves the directory out of an error, because it is gone when a user reads that.
func inside(err error, dir string) error {
	if e := (*kernels.SpecError)(nil); errors.As(err, &e) {
		c := *e
		c.Problem = strings.ReplaceAll(strings.ReplaceAll(c.Problem, dir+"/", ""), " in "+dir, " in it")
		if strings.Contains(c.Problem, "no kernel image") {
			c.Hint = "give the package or archive that contains vmlinuz"
		}
		if strings.Contains(c.Problem, "more than one kernel") {
			c.Hint = "give the packages or the archive of one kernel"
		}
		return &c
	}
	return err
}

type writer struct {
	ctx   context.Context
	root  *os.Root
	left  int64 // bytes
	files int   // with their directories
	names int   // bytes
	dirs  map[string]bool
	made  []string // symbolic links
	// pending are the names of hard links by the file that they lead to, which is not
	// written.
	pending map[string][]string
}

func (w *writer) write(next Next) error {
	for {
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
		name := clean(item.Name)
		if item.Other || !wanted(name) {
			continue
		}
		if n, depth := max(len(name), len(item.Link)), strings.Count(name, "/"); n > unix.PathMax || depth > mostDepth {
			return &kernels.SpecError{
				Problem: fmt.Sprintf("it has a path of %d bytes, below %d folders", n, depth),
				Hint:    "give an intact archive of a kernel",
			}
		}
		if err := w.count(1, len(name)+len(item.Link)); err != nil {
			return err
		}
		if err := w.item(name, item, content); err != nil {
			return err
		}
	}
}

// count adds files and the bytes of their names, within bounds.
func (w *writer) count(files, names int) error {
	w.files, w.names = w.files+files, w.names+names
	if w.files <= mostFiles && w.names <= mostNames {
		return nil
	}
	return &kernels.SpecError{
		Problem: fmt.Sprintf("it has more than %d files of kernels, or names of more than %s",
			mostFiles, humanize.IBytes(mostNames)),
		Hint: "give the archive of one kernel",
	}
}

// clean returns a path below the root, without parts that climb, and without a folder around
// everything (tar-install/ of make dir-pkg). Images of little-vm-helper have their kernels
// below data/kernels/VERSION.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if rest, ok := strings.CutPrefix(name, "data/kernels/"); ok {
		_, name, _ = strings.Cut(rest, "/")
	}
	if first, rest, ok := strings.Cut(name, "/"); ok && first != "usr" && around.MatchString(rest) {
		return rest
	}
	return name
}

// around matches the paths of a kernel below a folder around them.
var around = regexp.MustCompile(`^(?:boot|lib/modules|usr/lib/modules)(?:/|$)`)

// Wanted reports whether the file of a path is written: it can be a kernel's.
func Wanted(name string) bool { return wanted(clean(name)) }

// wanted reports whether a path can be that of a kernel's file: the boot directory, the
// modules, and files at the top, where make tarzst-pkg and people put images and
// configurations.
func wanted(name string) bool {
	first, rest, nested := strings.Cut(name, "/")
	switch {
	case name == "":
		return false
	case !nested, first == "boot":
		return true
	case first == "usr":
		return wanted(rest) && strings.HasPrefix(rest, "lib/")
	case first == "lib":
		return rest == "modules" || strings.HasPrefix(rest, "modules/")
	}
	return false
}

func (w *writer) item(name string, item Item, content io.Reader) error {
	if item.Mode.IsDir() {
		return w.mkdir(name)
	}
	if err := w.mkdir(path.Dir(name)); err != nil {
		return err
	}
	switch {
	case item.Hard:
		return w.hardLink(name, clean(item.Link))
	case item.Mode&fs.ModeSymlink != 0:
		target := item.Link
		if path.IsAbs(target) { // below the root
			up := strings.Repeat("../", strings.Count(name, "/"))
			target = path.Join(up, path.Clean(target))
		}
		w.made = append(w.made, name)
		return w.problem(replaced(w.root.Symlink(target, name)))
	case !item.Mode.IsRegular():
		return nil // a device, a socket
	}
	return w.file(name, item, content)
}

// mkdir makes a directory, and those above it.
func (w *writer) mkdir(dir string) error {
	missing := 0
	for d := dir; d != "." && !w.dirs[d]; d = path.Dir(d) {
		w.dirs[d] = true
		missing++
	}
	if missing == 0 {
		return nil
	}
	if err := w.count(missing, 0); err != nil {
		return err
	}
	return w.problem(w.root.MkdirAll(dir, 0o755))
}

// file writes the content of an item.
func (w *writer) file(name string, item Item, content io.Reader) error {
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return w.problem(err)
	}
	if item.Size > w.left {
		return errors.Join(f.Close(), TooLarge())
	}
	n, err := io.Copy(f, io.LimitReader(&canceled{w.ctx, content}, w.left+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if w.left -= n; w.left < 0 {
		return TooLarge()
	}
	if n != item.Size {
		return fmt.Errorf("%s: %w", name, io.ErrUnexpectedEOF)
	}
	return nil
}

// canceled is a reader that ends with its context.
type canceled struct {
	ctx context.Context
	r   io.Reader
}

func (c *canceled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// TooLarge returns the error for an archive with too much in it.
func TooLarge() error {
	return &kernels.SpecError{
		Problem: "it unpacks to more than " + humanize.IBytes(MostBytes),
		Hint:    "give the archive of one kernel, without debug information",
	}
}

// problem turns the error of an item that cannot be written as the archive has it (a path
// through a link that leads out, a file where a directory is) into one of the request. A
// full disk stays an error of this machine.
func (w *writer) problem(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case err == nil:
		return nil
	case isHost(err):
		return err
	case errors.As(err, &p):
		return &kernels.SpecError{Problem: "cannot unpack " + p.Path, Err: p.Err, Hint: "give an intact archive of a kernel"}
	case errors.As(err, &l):
		return &kernels.SpecError{Problem: "cannot unpack " + l.New, Err: l.Err, Hint: "give an intact archive of a kernel"}
	}
	return err
}
