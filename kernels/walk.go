package kernels

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// mostFiles bounds the files of a modules directory: Debian's have some 4,500.
const mostFiles = 100_000

// Walk calls each for the regular files below a modules directory, ordered by name, with
// their paths below it. Links are followed, since package managers such as nix and stow
// make a directory of links; each directory is entered once, so that link cycles end.
// build and source, which point to what a kernel was built from, are skipped. each may
// return fs.SkipAll.
func Walk(root string, each func(rel string, info fs.FileInfo) error) error {
	w := walker{root: root, each: each}
	if err := w.folder("."); !errors.Is(err, fs.SkipAll) {
		return err
	}
	return nil
}

type walker struct {
	root    string
	each    func(rel string, info fs.FileInfo) error
	entered []fs.FileInfo
	files   int
}

func (w *walker) folder(rel string) error {
	dir := filepath.Join(w.root, rel)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(w.entered, func(e fs.FileInfo) bool { return os.SameFile(e, info) }) {
		return nil
	}
	w.entered = append(w.entered, info)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if rel == "." && (e.Name() == "build" || e.Name() == "source") {
			continue
		}
		if w.files++; w.files > mostFiles {
			return &SpecError{
				Problem: fmt.Sprintf("%s has more than %d files", w.root, mostFiles),
				Hint:    "give the modules folder of one kernel",
			}
		}
		at := filepath.Join(rel, e.Name())
		info, err := os.Stat(filepath.Join(w.root, at))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
			// A dangling link is a file that can't be read, which the caller may need.
			info, err = os.Lstat(filepath.Join(w.root, at))
			if err == nil {
				err = w.each(at, info)
			}
		case err == nil && info.IsDir():
			err = w.folder(at)
		case err == nil && info.Mode().IsRegular():
			err = w.each(at, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Stamp returns a file's size, times, device and inode as text. Files with equal stamps have
// equal contents, unless a program set the time of a change back. Package managers set the
// same modification time for all files, so that the time alone is not sufficient.
func Stamp(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	s := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s += fmt.Sprint(" ", st.Dev, st.Ino, st.Ctim.Nano())
	}
	return s, nil
}

// Changed returns the error for a file that changed while the kernel was read.
func Changed(path string) error {
	return &SpecError{
		Problem: path + " changed while the kernel was read",
		Hint:    "try again when no other program writes to it",
	}
}
