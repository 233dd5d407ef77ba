// Package dir gets kernels from a directory, as left by a build or make install:
// dir:PATH; or from an image, such as one of several in /boot. It copies files, and builds
// nothing.
package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
	"github.com/faultline/faultline/kernels/layout"
)

// Source returns the source for dir:PATH.
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "dir",
		Usage:   []string{"dir:PATH", "dir:PATH?config=FILE"},
		About:   "a folder with an image, config and lib/modules; or an image's path",
		Params:  []string{setConfig},
		Check:   check,
		Resolve: resolve,
		List:    list,
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

// list lists the folders and images that a pattern matches, by their names as versions.
func list(_ context.Context, r kernels.Request, _ kernels.Options) ([]kernels.Offer, error) {
	pattern := r.Arg
	if pattern == "" {
		return nil, nil // none belongs to this machine
	}
	if !strings.Contains(pattern, "*") {
		return nil, &kernels.SpecError{Problem: "not a pattern", Hint: "for the kernels in a folder write dir:FOLDER/*"}
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, &kernels.SpecError{Problem: "pattern " + pattern, Err: err, Hint: "close the bracket"}
	}
	slices.SortStableFunc(paths, debian.CompareVersions)
	var offers []kernels.Offer
	for _, path := range paths {
		info, err := os.Stat(path)
		// A link that leads nowhere is listed, so that its kernel is reported.
		if err == nil &&
			!info.IsDir() && !strings.Contains(filepath.Base(path), "Image") &&
			!strings.Contains(filepath.Base(path), "vmlinu") {
			continue
		}
		offers = append(offers, kernels.Offer{Spec: "dir:" + path, Package: path, Version: filepath.Base(path)})
	}
	return offers, nil
}

// resolve makes a kernel from a directory. The files are copied: they must not
// change during a run, and modules.dep may have to be generated.
func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	root, err := filepath.Abs(r.Arg)
	if err != nil {
		return nil, err
	}
	var l *layout.Layout
	if info, err := os.Stat(root); err == nil && info.Mode().IsRegular() {
		l, err = layout.At(ctx, root)
		if err != nil {
			return nil, err
		}
	} else if l, err = layout.Find(ctx, root, opts); err != nil {
		return nil, err
	}
	if file := r.Set[setConfig]; file != "" {
		if l.Config, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		if info, err := os.Stat(l.Config); err != nil || !info.Mode().IsRegular() {
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
	files, err := l.Files()
	if err != nil {
		return nil, err
	}
	bytes := int64(0)
	for _, f := range files {
		info, err := os.Stat(f.From)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's folder: %w", err)
		}
		if most := kernels.MaxBytes(f.To); info.Size() > most {
			return nil, kernels.TooLarge(&limitread.Error{Path: f.From, Most: most})
		}
		if bytes += info.Size(); bytes > mostBytes {
			return nil, &kernels.SpecError{
				Problem: fmt.Sprintf("the files of the kernel in %s exceed %s in total", root, humanize.IBytes(mostBytes)),
				Hint:    "install the modules without debug information (make INSTALL_MOD_STRIP=1 modules_install)",
			}
		}
		stamp, err := kernels.Stamp(f.From)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's folder: %w", err)
		}
		stamps = append(stamps, stamp)
		parts = append(parts, f.From, f.To, stamp)
	}
	k, err := kernels.Unpack(ctx, opts, parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		opts.Logf("copy kernel %s from %s", l.Release, root)
		if err := layout.Copy(ctx, dir, files); err != nil {
			return nil, err
		}
		for i, f := range files {
			if stamp, err := kernels.Stamp(f.From); err != nil || stamp != stamps[i] {
				return nil, kernels.Changed(f.From)
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
