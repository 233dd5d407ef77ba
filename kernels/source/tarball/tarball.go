// Package tarball gets kernels from tar archives, as make tarzst-pkg and similar targets
// write them: tar:FILE. Package archive finds the kernel among the contents.
package tarball

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

const (
	form   = "tar:FILE|URL"
	intact = "give an intact tar archive (plain, gzip, xz, zstd or bzip2)"
)

// Source returns the source for tar:FILE.
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "tar",
		Usage:   []string{form},
		About:   "an archive with boot/ and lib/modules/, as make tarzst-pkg writes it",
		Check:   func(r kernels.Request) error { return archive.CheckFile(r.Arg, form) },
		Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(
				text,
			); err == nil && info.Mode().IsRegular() &&
				strings.Contains(filepath.Base(text), ".tar") {
				return "for an archive write tar:" + text
			}
			return ""
		},
	}
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	files, err := archive.Open(ctx, "tar", "tar archive", []string{r.Arg}, opts)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	k, err := kernels.Unpack(ctx, opts, files.Parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		opts.Logf("unpack %s", filepath.Base(files.Paths[0]))
		err := archive.Unpack(
			ctx,
			dir,
			opts,
			func(write func(archive.Next) error) error { return read(files.Paths[0], write) },
		)
		return nil, files.Check(err)
	})
	if err != nil {
		return nil, err
	}
	k.Name = files.Label(k.Release)
	return k, nil
}

// read passes on the items of a tar archive.
func read(file string, write func(archive.Next) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return archive.Damaged(file, archive.Tar(f, write), intact)
}
