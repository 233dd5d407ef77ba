// Package dir gets kernels from a directory, as left by a build or make install:
// dir:PATH. It copies files, and builds nothing.
package dir

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
)

// Source returns the source for dir:PATH.
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "dir",
		Usage:   []string{"dir:PATH", "dir:PATH?config=FILE"},
		Params:  []string{setConfig},
		Check:   check,
		Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(text); err == nil && info.IsDir() {
				return "for a folder write dir:" + text
			}
			return ""
		},
	}
}

// mostBytes bounds the bytes copied from a directory, where a few links to one
// sparse file can have any size. It leaves room for modules with debug information.
const mostBytes = 16 << 30

// setConfig is the parameter for the configuration that the kernel was built with, for
// directories with none, or more than one.
const setConfig = "config"

func check(r kernels.Request) error {
	if r.Arg == "" {
		return &kernels.SpecError{Problem: "no folder given", Hint: "write dir:PATH"}
	}
	return nil
}

// resolve makes a kernel from a directory. The files are copied: they must not
// change during a run, and modules.dep may have to be generated.
func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	root, err := filepath.Abs(r.Arg)
	if err != nil {
		return nil, err
	}
	l, err := findLayout(ctx, root, opts)
	if err != nil {
		return nil, err
	}
	if file := r.Set[setConfig]; file != "" {
		if l.config, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		if info, err := os.Stat(l.config); err != nil || !info.Mode().IsRegular() {
			return nil, &kernels.SpecError{
				Problem: "no file " + file,
				Err:     err,
				Hint:    "set config= to the .config that the kernel was built with",
			}
		}
	}
	// File metadata (as in ls -lR) represents the content: hashing some hundred
	// megabytes would take a second at each use.
	parts, stamps := []string{"dir"}, []string(nil)
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	bytes := int64(0)
	for _, f := range files {
		info, err := os.Stat(f.from)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's folder: %w", err)
		}
		if most := kernels.MaxBytes(f.to); info.Size() > most {
			return nil, kernels.TooLarge(&limitread.Error{Path: f.from, Most: most})
		}
		if bytes += info.Size(); bytes > mostBytes {
			return nil, &kernels.SpecError{
				Problem: fmt.Sprintf("the files of the kernel in %s exceed %s in total", root, humanize.IBytes(mostBytes)),
				Hint:    "install the modules without debug information (make INSTALL_MOD_STRIP=1 modules_install)",
			}
		}
		stamp, err := kernels.Stamp(f.from)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's folder: %w", err)
		}
		stamps = append(stamps, stamp)
		parts = append(parts, f.from, f.to, stamp)
	}
	k, err := kernels.Unpack(ctx, opts, parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		opts.Logf("copy kernel %s from %s", l.release, root)
		for _, f := range files {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err := copyFile(dir, f); err != nil {
				return nil, fmt.Errorf("copy the kernel: %w", err)
			}
		}
		for i, f := range files {
			if stamp, err := kernels.Stamp(f.from); err != nil || stamp != stamps[i] {
				return nil, kernels.Moved(f.from)
			}
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (dir:%s)", k.Release, filepath.Base(root))
	return k, nil
}

// copied is a file and its destination in the cache entry.
type copied struct{ from, to string }

func (l *layout) files() ([]copied, error) {
	files := []copied{{l.image, kernels.FileVmlinuz}}
	if l.elf {
		files[0].to = kernels.FileVmlinux
	}
	if l.config != "" {
		files = append(files, copied{l.config, kernels.FileConfig})
	}
	if l.modules == "" {
		return files, nil
	}
	err := kernels.Walk(l.modules, func(rel string, info fs.FileInfo) error {
		top := !strings.Contains(rel, string(filepath.Separator))
		if !modules.IsModule(rel) && (!top || !strings.HasPrefix(rel, "modules.") || isDepmods(rel)) {
			return nil
		}
		from := filepath.Join(l.modules, rel)
		if !info.Mode().IsRegular() {
			return &kernels.SpecError{
				Problem: from + " is a dangling link",
				Hint:    "give the folder with all targets of its links",
			}
		}
		files = append(files, copied{from, filepath.Join(kernels.DirModules, l.release, rel)})
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

func copyFile(dir string, c copied) error {
	f, err := os.Open(c.from)
	if err != nil {
		return err
	}
	defer f.Close()
	return kernels.WriteFile(dir, c.to, io.Reader(f))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
