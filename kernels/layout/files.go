package layout

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
)

// File is a file of a kernel, and its path in a cache entry.
type File struct{ From, To string }

// Files lists the files that a kernel in the cache has.
func (l *Layout) Files() ([]File, error) {
	files := []File{{l.Image, kernels.FileVmlinuz}}
	if l.ELF {
		files[0].To = kernels.FileVmlinux
	}
	if l.Config != "" {
		files = append(files, File{l.Config, kernels.FileConfig})
	}
	if l.Modules == "" {
		return files, nil
	}
	err := kernels.Walk(l.Modules, func(rel string, info fs.FileInfo) error {
		top := !strings.Contains(rel, string(filepath.Separator))
		if !modules.IsModule(rel) && (!top || !strings.HasPrefix(rel, "modules.") || isDepmods(rel)) {
			return nil
		}
		from := filepath.Join(l.Modules, rel)
		if !info.Mode().IsRegular() {
			return &kernels.SpecError{
				Problem: from + " is a dangling link",
				Hint:    "give the folder with all targets of its links",
			}
		}
		files = append(files, File{from, filepath.Join(kernels.DirModules, l.Release, rel)})
		return nil
	})
	if _, request := err.(*kernels.SpecError); request {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read the modules folder: %w", err)
	}
	return files, nil
}

// isDepmods reports whether depmod generates the file, not the build. Such files are
// generated again: existing ones may be older than the modules.
func isDepmods(name string) bool {
	return !slices.Contains(
		[]string{"modules.builtin", "modules.builtin.modinfo", "modules.order", "modules.builtin.ranges"},
		name,
	)
}

// Copy copies files into a cache entry.
func Copy(ctx context.Context, dir string, files []File) error {
	for _, f := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := copyFile(dir, f); err != nil {
			return fmt.Errorf("copy the kernel: %w", err)
		}
	}
	return nil
}

func copyFile(dir string, c File) error {
	f, err := os.Open(c.From)
	if err != nil {
		return err
	}
	defer f.Close()
	return kernels.WriteFile(dir, c.To, io.Reader(f))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
