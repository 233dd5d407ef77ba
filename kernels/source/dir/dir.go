// Package dir takes kernels from a folder, as a build or make install leaves
// them: dir:PATH. It copies, and builds nothing.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/bounded"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// Source is dir:PATH.
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "dir", Forms: []string{"dir:PATH", "dir:PATH?config=FILE"}, Settings: []string{setConfig}, Check: check, Resolve: resolve,
		Mistaken: func(text string) string {
			if info, err := os.Stat(text); err == nil && info.IsDir() {
				return "for a folder write dir:" + text
			}
			return ""
		},
	}
}

// setConfig names the configuration that the kernel was built with, where the
// folder has none, or more than one.
const setConfig = "config"

func check(r kernels.Request) error {
	if r.Arg == "" {
		return &kernels.SpecError{Problem: "no folder named", WayOut: "write dir:PATH"}
	}
	return nil
}

// layout is what was found in a folder; the paths are the folder's own.
type layout struct {
	image   string
	release string
	elf     bool
	config  string // "" if there is none
	modules string // the folder with the modules, "" if there is none
}

// resolve makes a kernel out of a folder. The files are copied: a run must
// not see them change, and modules.dep may have to be made.
func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	root, err := filepath.Abs(r.Arg)
	if err != nil {
		return nil, err
	}
	l, err := findLayout(root)
	if err != nil {
		return nil, err
	}
	if file := r.Set[setConfig]; file != "" {
		if l.config, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		if info, err := os.Stat(l.config); err != nil || !info.Mode().IsRegular() {
			return nil, &kernels.SpecError{Problem: "no file " + file, Err: err, WayOut: "give config the .config that the kernel was built with"}
		}
	}
	// What ls -lR would show stands for the content: hashing some hundred
	// megabytes would cost a second at each use.
	parts := []string{"dir"}
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		info, err := os.Stat(f.from)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's folder: %w", err)
		}
		if most := kernels.MaxBytes(f.to); info.Size() > most {
			return nil, tooLarge(&bounded.Error{Path: f.from, Most: most})
		}
		parts = append(parts, f.from, f.to, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
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
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (dir:%s)", k.Release, filepath.Base(root))
	return k, nil
}

// findLayout looks for the parts of a kernel in the places where packages,
// "make install" and people put them.
func findLayout(root string) (*layout, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, &kernels.SpecError{Problem: "look into the folder", Err: err, WayOut: "give a folder that can be read"}
	}
	if !info.IsDir() {
		return nil, &kernels.SpecError{Problem: root + " is not a folder",
			WayOut: "give the folder that holds vmlinuz, config and lib/modules/RELEASE"}
	}
	l := &layout{}
	if err := l.findImage(root); err != nil {
		return nil, err
	}
	for _, p := range []string{"config-" + l.release, "boot/config-" + l.release, "lib/modules/" + l.release + "/config",
		"usr/lib/modules/" + l.release + "/config", "config", ".config", "config*", "boot/config*"} {
		if m := regular(root, p); l.config == "" && len(m) > 0 {
			l.config = m[0]
		}
	}
	return l, l.findModules(root)
}

func (l *layout) findImage(root string) error {
	images := find(root, "vmlinuz*", "bzImage*", "boot/vmlinuz*", "lib/modules/*/vmlinuz*", "usr/lib/modules/*/vmlinuz*", "arch/x86/boot/bzImage")
	if len(images) == 0 {
		images = find(root, "vmlinux*", "boot/vmlinux*", "lib/modules/*/vmlinux*")
	}
	if len(images) == 0 {
		return &kernels.SpecError{Problem: "no kernel image in " + root, WayOut: "put vmlinuz* (a bzImage) or vmlinux* (ELF) there, or in its boot folder"}
	}
	for _, name := range images {
		data, err := bounded.ReadFile(name, kernels.MaxBytes(kernels.FileVmlinux))
		if large := (*bounded.Error)(nil); errors.As(err, &large) {
			return tooLarge(large)
		}
		if err != nil {
			return fmt.Errorf("read the kernel image: %w", err)
		}
		image, err := vmlinuz.Parse(data)
		if err != nil {
			return &kernels.SpecError{Problem: name, Err: err, WayOut: "give an x86-64 bzImage or vmlinux, whole"}
		}
		if l.image == "" {
			l.image, l.release, l.elf = name, image.Release, image.ELF
		} else if l.release != image.Release {
			return &kernels.SpecError{Problem: fmt.Sprintf("more than one kernel: %s is %s, %s is %s", l.image, l.release, name, image.Release),
				WayOut: "leave one of them in the folder"}
		}
	}
	return nil
}

// find returns the files that match, without what a build leaves beside a kernel
// (vmlinux.o, vmlinux.map).
func find(root string, patterns ...string) []string {
	var files []string
	for _, p := range patterns {
		files = append(files, regular(root, p)...)
	}
	return slices.DeleteFunc(files, func(f string) bool {
		return slices.Contains([]string{".o", ".a", ".map", ".symvers", ".lds", ".sig", ".hmac", ".unstripped"}, filepath.Ext(f))
	})
}

func (l *layout) findModules(root string) error {
	for _, parent := range []string{"lib/modules", "usr/lib/modules", "modules/lib/modules"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return fmt.Errorf("read the modules folder: %w", err)
		}
		other := ""
		for _, e := range entries {
			dir := filepath.Join(root, parent, e.Name())
			switch {
			case e.Name() == l.release:
				l.modules = dir
				return nil
			case kernels.BuiltFor(dir) != "":
				other = e.Name()
			}
		}
		if other != "" {
			return kernels.OtherRelease(l.release, other)
		}
	}
	// A folder that holds the modules directly: lib/modules/REL under another
	// name, as RELEASE/ or modules/, or the folder itself.
	for _, dir := range []string{l.release, "modules", "."} {
		dir := filepath.Join(root, dir)
		if !exists(filepath.Join(dir, "modules.order")) && !exists(filepath.Join(dir, "modules.dep")) && len(regular(dir, "*.ko*")) == 0 {
			continue
		}
		built := kernels.BuiltFor(dir)
		if built == "" || exists(filepath.Join(dir, "vmlinux.o")) {
			continue // a build tree has modules.order and modules all over
		}
		if built != l.release {
			return kernels.OtherRelease(l.release, built)
		}
		l.modules = dir
		return nil
	}
	return nil
}

// copied is a file and where it goes in the cache entry.
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
	err := filepath.WalkDir(l.modules, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(l.modules, p)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() { // build and source are links out of the folder
			return nil
		}
		top := !strings.Contains(rel, string(filepath.Separator))
		if modules.IsModule(p) || top && strings.HasPrefix(rel, "modules.") && !isDepmods(rel) {
			files = append(files, copied{p, filepath.Join(kernels.DirModules, l.release, rel)})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the modules folder: %w", err)
	}
	return files, nil
}

// isDepmods tells what depmod generates from what the build installs. It is
// made anew: a folder's may be older than its modules.
func isDepmods(name string) bool {
	return !slices.Contains([]string{"modules.builtin", "modules.builtin.modinfo", "modules.order", "modules.builtin.ranges"}, name)
}

// regular returns the regular files that match a pattern below root, sorted.
func regular(root, pattern string) []string {
	var files []string
	names, _ := fs.Glob(os.DirFS(root), pattern)
	for _, n := range names {
		p := filepath.Join(root, n)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			files = append(files, p)
		}
	}
	return files
}

func tooLarge(err *bounded.Error) error {
	return &kernels.SpecError{Problem: err.Error(), WayOut: "give the file as the build wrote it, or strip it"}
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
