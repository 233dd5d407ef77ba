// Package deb gets kernels from files of Debian packages: deb:FILE|URL[,...].
// Package debian handles their contents.
package deb

import (
	"context"
	"os"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
	"github.com/faultline/faultline/kernels/debian"
)

const form = "deb:FILE|URL[,...]"

// Source returns the source for deb:FILE|URL[,...].
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "deb",
		Usage:   []string{form},
		About:   "the Debian packages of one kernel",
		Check:   func(r kernels.Request) error { return archive.CheckFiles(r.Arg, form) },
		Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(text); err == nil && !info.IsDir() && strings.HasSuffix(text, ".deb") {
				return "for a package file write deb:" + text
			}
			return ""
		},
	}
}

// resolve makes a kernel from package files.
func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	files, err := archive.Open(ctx, "deb", "Debian package", strings.Split(r.Arg, ","), opts)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	k, err := kernels.Unpack(ctx, opts, files.Parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		var packages []kernels.Package
		for _, file := range files.Paths {
			p, err := debian.Describe(file)
			if err != nil {
				return nil, files.Check(err)
			}
			packages = append(packages, p)
		}
		return packages, files.Check(debian.Unpack(ctx, dir, files.Paths, packages, opts))
	})
	if err != nil {
		return nil, err
	}
	k.Name = files.Label(k.Version)
	return k, nil
}
