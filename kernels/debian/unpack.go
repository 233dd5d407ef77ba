package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	deb822 "pault.ag/go/debian/control"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

// Unpack makes the kernel in package files in dir, an entry of the cache.
func Unpack(ctx context.Context, dir string, files []string, packages []kernels.Package, opts kernels.Options) error {
	if err := checkSplit(packages); err != nil {
		return err
	}
	var reads []func(func(archive.Next) error) error
	for i, file := range files {
		reads = append(reads, func(write func(archive.Next) error) error {
			opts.Logf("unpack %s %s", packages[i].Name, packages[i].Version)
			return unpack(file, write)
		})
	}
	err := archive.Unpack(ctx, dir, opts, reads...)
	if request := (*kernels.SpecError)(
		nil,
	); errors.As(err, &request) &&
		strings.HasPrefix(request.Problem, "no kernel image") {
		var names []string
		for _, p := range packages {
			names = append(names, p.Name)
		}
		request.Problem = "no kernel image (boot/vmlinuz-* or lib/modules/*/vmlinuz) in " + strings.Join(names, ", ")
		request.Hint = "give a package such as linux-image-6.1.0-56-amd64"
		if m := reSplit.FindStringSubmatch(names[0]); m != nil {
			request.Hint = splitAdvice(m[2])
		}
		if ubuntu(names[0]) {
			request.Hint = "give the package with the image, too: linux-image-RELEASE or linux-image-unsigned-RELEASE"
		}
	}
	return err
}

// unpack passes on the files of a package.
func unpack(file string, write func(archive.Next) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	found, err := members(file, f)
	if err != nil {
		return err
	}
	return archive.Damaged(file, archive.Tar(found[data], write), again)
}

// ubuntu reports whether a package's name is one of Ubuntu's, whose releases end with a
// flavour other than Debian's architectures.
func ubuntu(name string) bool {
	return strings.HasPrefix(name, "linux-modules-") && !strings.HasSuffix(name, "-amd64")
}

const again = "download the package again"

// mostControl bounds a package's description, in bytes.
const mostControl = 1 << 20

// Describe returns a package's name and version. A package for another architecture is an
// error of the request.
func Describe(file string) (kernels.Package, error) {
	f, err := os.Open(file)
	if err != nil {
		return kernels.Package{}, err
	}
	defer f.Close()
	found, err := members(file, f)
	if err != nil {
		return kernels.Package{}, err
	}
	var text []byte
	err = archive.Tar(found[control], func(next archive.Next) error {
		for {
			item, content, err := next()
			if err != nil {
				return err
			}
			if path.Clean(item.Name) == "control" && item.Mode.IsRegular() {
				text, err = io.ReadAll(io.LimitReader(content, mostControl))
				return err
			}
		}
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return kernels.Package{}, archive.Damaged(file, err, again)
	}
	fields := map[string]string{}
	if r, err := deb822.NewParagraphReader(bytes.NewReader(text), nil); err == nil {
		if p, err := r.Next(); err == nil {
			fields = p.Values
		}
	}
	switch p := (kernels.Package{Name: fields["Package"], Version: fields["Version"]}); {
	case p.Name == "" || p.Version == "" || fields["Architecture"] == "":
		return p, &kernels.SpecError{
			Problem: fmt.Sprintf("%s has no name, version or architecture", file),
			Hint:    "give a Debian package",
		}
	case fields["Architecture"] != arch.AMD64.Debian && fields["Architecture"] != "all":
		return p, &kernels.SpecError{
			Problem: fmt.Sprintf("%s is for %s", file, fields["Architecture"]),
			Hint:    "give a package for " + arch.AMD64.Debian,
		}
	default:
		return p, nil
	}
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
