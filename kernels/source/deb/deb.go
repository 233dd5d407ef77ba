// Package deb gets kernels from files of Debian packages: deb:FILE[,FILE...].
// It checks the files; package debian handles their contents.
package deb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// Source returns the source for deb:FILE[,FILE...].
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "deb", Usage: []string{"deb:FILE[,FILE...]"}, Check: check, Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(text); err == nil && !info.IsDir() && strings.HasSuffix(text, ".deb") {
				return "for a package file write deb:" + text
			}
			return ""
		},
	}
}

func check(r kernels.Request) error {
	for file := range strings.SplitSeq(r.Arg, ",") {
		if file == "" {
			return &kernels.SpecError{Problem: "empty file name", Hint: "write deb:FILE[,FILE...]"}
		}
	}
	return nil
}

// resolve makes a kernel from package files.
func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	files := strings.Split(r.Arg, ",")
	parts, stamps := []string{"deb"}, []string(nil)
	for _, file := range files {
		if err := checkFile(file); err != nil {
			return nil, err
		}
		stamp, err := kernels.Stamp(file)
		if err != nil {
			return nil, err
		}
		stamps = append(stamps, stamp)
		sum, err := cache.FileSum(file)
		if err != nil {
			return nil, err
		}
		parts = append(parts, sum)
	}
	k, err := kernels.Unpack(ctx, opts, parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		var packages []kernels.Package
		for _, file := range files {
			p, err := describe(ctx, file)
			if err != nil {
				return nil, err
			}
			packages = append(packages, p)
		}
		err := debian.Unpack(ctx, dir, files, packages, opts)
		for i, file := range files { // a file may have changed since it was checked
			if stamp, gone := kernels.Stamp(file); gone != nil || stamp != stamps[i] {
				return nil, kernels.Moved(file)
			}
		}
		return packages, err
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	k.Name = fmt.Sprintf("%s (deb:%s)", k.Version, names[0])
	if len(names) > 1 {
		k.Name = fmt.Sprintf("%s (deb:%s+%d)", k.Version, names[0], len(names)-1)
	}
	return k, nil
}

// describe returns a package's name and version.
func describe(ctx context.Context, file string) (kernels.Package, error) {
	dpkg, err := execx.Find("dpkg-deb", "dpkg")
	if err != nil {
		return kernels.Package{}, err
	}
	out, err := execx.Run(ctx, "", nil, dpkg, "--show", "--showformat=${Package} ${Version} ${Architecture}", file)
	if err != nil {
		return kernels.Package{}, debian.Damaged(file, err)
	}
	f := strings.Fields(string(out))
	if len(f) != 3 {
		return kernels.Package{}, &kernels.SpecError{
			Problem: fmt.Sprintf("%s has no name, version or architecture", file),
			Hint:    "give a Debian package",
		}
	}
	if f[2] != arch.AMD64.Debian && f[2] != "all" {
		return kernels.Package{}, &kernels.SpecError{
			Problem: fmt.Sprintf("%s is for %s", file, f[2]),
			Hint:    "give a package for " + arch.AMD64.Debian,
		}
	}
	return kernels.Package{Name: f[0], Version: f[1]}, nil
}
