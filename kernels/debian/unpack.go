package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
)

// Damaged returns the error for a package file that dpkg-deb found damaged, else err.
func Damaged(file string, err error) error {
	var r *execx.RunError
	if errors.As(err, &r) {
		return &kernels.SpecError{Problem: "cannot unpack " + file, Err: err, Hint: "download the package again"}
	}
	return err
}

// Unpack unpacks the kernel in package files into dir and completes it.
func Unpack(ctx context.Context, dir string, files []string, packages []kernels.Package, opts kernels.Options) error {
	if err := checkSplit(packages); err != nil {
		return err
	}
	var images []string
	for i, file := range files {
		opts.Logf("unpack %s %s", packages[i].Name, packages[i].Version)
		found, err := unpackDeb(ctx, dir, file)
		if err != nil {
			return err
		}
		images = append(images, found...)
	}
	if len(images) == 0 {
		var names []string
		for _, p := range packages {
			names = append(names, p.Name)
		}
		e := &kernels.SpecError{
			Problem: "no kernel image (boot/vmlinuz-* or lib/modules/*/vmlinuz) in " + strings.Join(names, ", "),
			Hint:    "give a package such as linux-image-6.1.0-56-amd64",
		}
		if m := reSplit.FindStringSubmatch(names[0]); m != nil {
			e.Hint = splitAdvice(m[2])
		}
		return e
	}
	if len(images) > 1 {
		return &kernels.SpecError{
			Problem: "more than one kernel image: " + strings.Join(images, ", "),
			Hint:    "give the packages of one kernel",
		}
	}
	return nil
}

var reSplit = regexp.MustCompile(`^linux-(image|binary|modules|base)-(?:unsigned-)?(\d.*)$`)

func splitAdvice(v string) string {
	return fmt.Sprintf(
		"since 6.19, Debian splits the kernel: give linux-binary-%s, linux-modules-%s and linux-base-%s together",
		v,
		v,
		v,
	)
}

// checkSplit checks, before anything is unpacked, that all parts of a split kernel are
// given. Only Debian's split kernels have a linux-binary package.
func checkSplit(packages []kernels.Package) error {
	parts := map[string]string{}
	for _, p := range packages {
		if m := reSplit.FindStringSubmatch(p.Name); m != nil {
			parts[m[1]] = m[2]
		}
	}
	v, split := parts["binary"]
	for _, part := range []string{"modules", "base"} {
		if split && parts[part] != v {
			return &kernels.SpecError{
				Problem: fmt.Sprintf("linux-binary-%s given without linux-%s-%s", v, part, v),
				Hint:    splitAdvice(v),
			}
		}
	}
	return nil
}

// unpackDeb extracts a kernel's files from a package into dir, and returns the paths of
// the kernel images in it.
func unpackDeb(ctx context.Context, dir, file string) (images []string, err error) {
	dpkg, err := execx.Find("dpkg-deb", "dpkg")
	if err != nil {
		return nil, err
	}
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := execx.Command(child, "", nil, dpkg, "--fsys-tarfile", file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	images, err = unpackTar(
		out,
		func(to string, r io.Reader) error { return kernels.WriteFile(dir, filepath.FromSlash(to), r) },
	)
	if err == nil {
		_, err = io.Copy(io.Discard, out) // the archive's padding
	} else {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil && waitErr == nil:
		return images, nil
	case err != nil && !isTarError(err):
		return nil, err // from writing, not reading
	}
	// If both report an error, dpkg-deb's has the cause.
	return nil, Damaged(file, &execx.RunError{Name: "dpkg-deb", Stderr: errs.String(), Err: errors.Join(err, waitErr)})
}

func isTarError(err error) bool {
	return errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)
}

// A package's kernel has some 4,500 files of 700 MB; the compressed size does not limit
// the uncompressed size.
const (
	mostFiles = 100_000
	mostBytes = 4 << 30
)

// unpackTar calls write for the kernel's files of a package's file system, with
// their paths in a cache entry, and returns the paths of the kernel images. More
// files or bytes than a kernel can have are an error.
func unpackTar(r io.Reader, write func(to string, r io.Reader) error) (images []string, err error) {
	t := tar.NewReader(r)
	files, bytes := 0, int64(0)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return images, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the package's files: %w", err)
		}
		to := wanted(h.Name)
		if to == "" || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
			continue
		}
		files++
		bytes += h.Size
		switch {
		case isSparse(h): // dpkg-deb makes no sparse files, and they can claim any size
			return nil, fmt.Errorf("read the package's files: %w: %s is sparse", tar.ErrHeader, h.Name)
		case h.Size > kernels.MaxBytes(to):
			return nil, fmt.Errorf("read the package's files: %w: %s has %d bytes", tar.ErrHeader, h.Name, h.Size)
		case files > mostFiles, bytes > mostBytes:
			return nil, fmt.Errorf(
				"read the package's files: %w: %d files with %d bytes up to %s, more than a kernel has",
				tar.ErrHeader,
				files,
				bytes,
				h.Name,
			)
		}
		if to == kernels.FileVmlinuz {
			images = append(images, path.Clean(h.Name))
		}
		if err := write(to, t); err != nil {
			return nil, err
		}
	}
}

// isSparse reports whether a file is sparse, in any of the forms that tar writes.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// wanted returns the path in a cache entry for a package's file; "" to skip it.
func wanted(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "/"), "./")
	if !fs.ValidPath(name) { // would leave the directory: "..", "//"
		return ""
	}
	name = strings.TrimPrefix(name, "usr/")
	switch {
	case strings.HasPrefix(name, "boot/vmlinuz-"):
		return kernels.FileVmlinuz
	case strings.HasPrefix(name, "boot/config-"):
		return kernels.FileConfig
	}
	rest, ok := strings.CutPrefix(name, kernels.DirModules+"/")
	if !ok {
		return ""
	}
	_, rest, ok = strings.Cut(rest, "/")
	switch {
	case !ok:
		return ""
	case rest == "vmlinuz":
		return kernels.FileVmlinuz
	case rest == "config":
		return kernels.FileConfig
	case strings.HasPrefix(rest, "build/"), strings.HasPrefix(rest, "source/"):
		return ""
	case modules.IsModule(rest), strings.HasPrefix(rest, "modules.") && !strings.Contains(rest, "/"):
		return name
	}
	return ""
}
