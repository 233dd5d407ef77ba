package kernels

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/cache"
)

func checkDeb(arg string) error {
	for file := range strings.SplitSeq(arg, ",") {
		if file == "" {
			return &SpecError{Problem: "a file's name is empty", WayOut: "write deb:FILE[,FILE...]"}
		}
	}
	return nil
}

// resolveDeb makes a kernel out of package files.
func resolveDeb(ctx context.Context, arg string, opts Options) (*Kernel, error) {
	files := strings.Split(arg, ",")
	parts := []string{entryFormat, "deb"}
	for _, file := range files {
		if err := checkDebFile(file); err != nil {
			return nil, err
		}
		sum, err := fileSum(file)
		if err != nil {
			return nil, err
		}
		parts = append(parts, sum)
	}
	entry, err := opts.Cache.Get(ctx, entryKind, cache.Key(parts...), func(ctx context.Context, dir string) error {
		var packages []Package
		for _, file := range files {
			p, err := debPackage(ctx, file)
			if err != nil {
				return err
			}
			packages = append(packages, p)
		}
		return unpackDebs(ctx, dir, files, packages, opts)
	})
	if err != nil {
		return nil, err
	}
	k, err := load(entry)
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

// checkDebFile finds out, before dpkg-deb does in its own words, that a file is
// missing, is no package or was cut short.
func checkDebFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return &SpecError{Problem: "open the package", Err: err, WayOut: "give the path of a .deb file that can be read"}
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return &SpecError{Problem: file + " is a folder", WayOut: "write dir:" + file + ", or give .deb files"}
	}
	members, err := listAr(f, info.Size())
	if errors.Is(err, errTruncated) {
		return &SpecError{Problem: file, Err: err, WayOut: "download the package again"}
	}
	if err == nil && (len(members) == 0 || members[0].name != "debian-binary") {
		err = errNotDeb
	}
	if err != nil {
		return &SpecError{Problem: file, Err: err, WayOut: "give a Debian package"}
	}
	for _, prefix := range []string{"control.tar", "data.tar"} {
		if !hasMember(members, prefix) {
			return &SpecError{Problem: file, Err: fmt.Errorf("%w: it has no %s", errTruncated, prefix), WayOut: "download the package again"}
		}
	}
	return nil
}

func hasMember(members []arMember, prefix string) bool {
	for _, m := range members {
		if m.name == prefix || strings.HasPrefix(m.name, prefix+".") {
			return true
		}
	}
	return false
}

var (
	errNotDeb    = errors.New("not a Debian package")
	errTruncated = errors.New("the package is truncated")
)

type arMember struct {
	name string
	size int64 // bytes
}

// listAr reads the headers of an ar archive (deb(5)): after the magic, for each
// member 60 bytes of text (name 16, times and ids 32, size 10, end 2), then the
// content, padded to two bytes.
func listAr(r io.ReaderAt, size int64) ([]arMember, error) {
	const magic, headerSize = "!<arch>\n", 60
	head := make([]byte, len(magic))
	if n, _ := r.ReadAt(head, 0); n < len(magic) || string(head) != magic {
		if n > 0 && n < len(magic) && strings.HasPrefix(magic, string(head[:n])) {
			return nil, fmt.Errorf("%w: it has %d bytes", errTruncated, size)
		}
		return nil, errNotDeb
	}
	var members []arMember
	for off := int64(len(magic)); off < size; {
		h := make([]byte, headerSize)
		if n, err := r.ReadAt(h, off); n < headerSize {
			if err != nil && err != io.EOF {
				return nil, err
			}
			return members, fmt.Errorf("%w: it ends within a header at byte %d", errTruncated, off)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
		n, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		if string(h[58:]) != "`\n" || err != nil || n < 0 {
			return members, fmt.Errorf("%w: bad header at byte %d", errNotDeb, off)
		}
		members = append(members, arMember{name, n})
		off += headerSize
		if n > size-off {
			return members, fmt.Errorf("%w: %s has %d of %d bytes", errTruncated, name, size-off, n)
		}
		off += n + n&1
	}
	return members, nil
}

// debPackage reads a package's name and version.
func debPackage(ctx context.Context, file string) (Package, error) {
	dpkg, err := tool("dpkg-deb")
	if err != nil {
		return Package{}, err
	}
	out, err := run(ctx, "", nil, dpkg, "--show", "--showformat=${Package} ${Version} ${Architecture}", file)
	if err != nil {
		return Package{}, damaged(file, err)
	}
	f := strings.Fields(string(out))
	if len(f) != 3 {
		return Package{}, &SpecError{Problem: fmt.Sprintf("%s does not say what it is", file), WayOut: "give a Debian package"}
	}
	if f[2] != "amd64" && f[2] != "all" {
		return Package{}, &SpecError{Problem: fmt.Sprintf("%s is for %s", file, f[2]), WayOut: "give a package for amd64"}
	}
	return Package{Name: f[0], Version: f[1]}, nil
}

func damaged(file string, err error) error {
	var r *runError
	if errors.As(err, &r) {
		return &SpecError{Problem: fmt.Sprintf("unpack %s", file), Err: err, WayOut: "download the package again"}
	}
	return err
}

// unpackDebs lays the kernel in package files into dir and finishes it.
func unpackDebs(ctx context.Context, dir string, files []string, packages []Package, opts Options) error {
	if err := checkSplit(packages); err != nil {
		return err
	}
	var images []string
	for i, file := range files {
		opts.log("unpack %s %s", packages[i].Name, packages[i].Version)
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
		e := &SpecError{Problem: "no kernel image (boot/vmlinuz-* or lib/modules/*/vmlinuz) in " + strings.Join(names, ", "),
			WayOut: "give a package such as linux-image-6.1.0-56-amd64"}
		if m := reSplit.FindStringSubmatch(names[0]); m != nil {
			e.WayOut = splitAdvice(m[2])
		}
		return e
	}
	if len(images) > 1 {
		return &SpecError{Problem: "more than one kernel image: " + strings.Join(images, ", "), WayOut: "give the packages of one kernel"}
	}
	return finish(ctx, dir, packages, opts)
}

var reSplit = regexp.MustCompile(`^linux-(image|binary|modules|base)-(?:unsigned-)?(\d.*)$`)

func splitAdvice(v string) string {
	return fmt.Sprintf("from 6.17 on Debian splits the kernel: give linux-binary-%s, linux-modules-%s and linux-base-%s together", v, v, v)
}

// checkSplit finds out, before anything is unpacked, that parts of a split
// kernel are missing. Only Debian's split kernels have a linux-binary package.
func checkSplit(packages []Package) error {
	parts := map[string]string{}
	for _, p := range packages {
		if m := reSplit.FindStringSubmatch(p.Name); m != nil {
			parts[m[1]] = m[2]
		}
	}
	v, split := parts["binary"]
	for _, part := range []string{"modules", "base"} {
		if split && parts[part] != v {
			return &SpecError{Problem: fmt.Sprintf("linux-binary-%s comes without linux-%s-%s", v, part, v), WayOut: splitAdvice(v)}
		}
	}
	return nil
}

// unpackDeb writes what a kernel needs of a package into dir, and returns the
// paths of the kernel images in it.
func unpackDeb(ctx context.Context, dir, file string) (images []string, err error) {
	dpkg, err := tool("dpkg-deb")
	if err != nil {
		return nil, err
	}
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := command(child, "", nil, dpkg, "--fsys-tarfile", file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	images, err = unpackTar(out, dir)
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
		return nil, err // writing, not reading
	}
	// Where both complain, dpkg-deb knows why.
	return nil, damaged(file, &runError{name: "dpkg-deb", stderr: errs.String(), err: errors.Join(err, waitErr)})
}

func isTarError(err error) bool {
	return errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)
}

// maxFile bounds what one file of a package may unpack to, in bytes: a sparse one
// can claim anything.
const maxFile = 2 << 30

// unpackTar writes the kernel's files of a package's file system into dir.
func unpackTar(r io.Reader, dir string) (images []string, err error) {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return images, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the package's files: %w", err)
		}
		to := wanted(h.Name)
		if h.Typeflag != tar.TypeReg || to == "" {
			continue
		}
		if h.Size > maxFile {
			return nil, fmt.Errorf("read the package's files: %w: %s has %d bytes", tar.ErrHeader, h.Name, h.Size)
		}
		if to == fileVmlinuz {
			images = append(images, path.Clean(h.Name))
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(to)), t); err != nil {
			return nil, err
		}
	}
}

// wanted says where a package's file goes in a cache entry; "" for nowhere.
func wanted(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "/"), "./")
	if !fs.ValidPath(name) { // no way out of the folder: "..", "//"
		return ""
	}
	name = strings.TrimPrefix(name, "usr/")
	switch {
	case strings.HasPrefix(name, "boot/vmlinuz-"):
		return fileVmlinuz
	case strings.HasPrefix(name, "boot/config-"):
		return fileConfig
	}
	rest, ok := strings.CutPrefix(name, dirModules+"/")
	if !ok {
		return ""
	}
	_, rest, ok = strings.Cut(rest, "/")
	switch {
	case !ok:
		return ""
	case rest == "vmlinuz":
		return fileVmlinuz
	case rest == "config":
		return fileConfig
	case rest == "System.map", strings.HasPrefix(rest, "build/"), strings.HasPrefix(rest, "source/"):
		return ""
	}
	return name
}

func writeFile(name string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	return f.Close()
}
