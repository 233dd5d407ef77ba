// Package url gets kernels from an image on a web server, as kernel CI systems publish them
// beside an archive of the modules and the configuration: url:URL. Package download fetches
// the files; package archive finds the kernel among them.
package url

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
	"github.com/faultline/faultline/kernels/download"
	"github.com/faultline/faultline/kernels/modules"
)

const form = "url:URL[?modules=URL][&config=URL]"

// The parameters: the modules, in a tar archive with lib/modules, and the configuration,
// which can also be in the image (CONFIG_IKCONFIG). Both can be files of this machine.
const (
	setModules = "modules"
	setConfig  = "config"
)

// roleImage is the role of the file of the spec's argument; those of the others are the names
// of their parameters.
const roleImage = "image"

// Source returns the source for url:URL.
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "url", OwnQuery: true, Usage: []string{form},
		About:  "an image, a tar archive with lib/modules, and a .config",
		Params: []string{setModules, setConfig},
		Check:  check, Resolve: resolve, Suggest: suggest,
	}
}

// suggest returns the spec for a URL, by its name.
func suggest(text string) string {
	if !download.IsURL(text) {
		return ""
	}
	name := path.Base(text)
	switch {
	case strings.HasSuffix(name, ".rpm"):
		return "for a package write rpm:" + text
	case strings.HasSuffix(name, ".deb"):
		return "for a package write deb:" + text
	case strings.Contains(name, ".tar"):
		return "for an archive write tar:" + text
	}
	return "for a kernel image write url:" + text
}

func check(r kernels.Request) error {
	if r.Arg == "" {
		return &kernels.SpecError{Problem: "no URL given", Hint: "write " + form}
	}
	if err := download.Check(r.Arg); err != nil {
		return err
	}
	for _, name := range []string{setModules, setConfig} {
		if value := r.Set[name]; download.IsURL(value) {
			if err := download.Check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	from, roles := []string{r.Arg}, []string{roleImage}
	for _, name := range []string{setModules, setConfig} {
		if r.Set[name] != "" {
			from, roles = append(from, r.Set[name]), append(roles, name)
		}
	}
	files, err := archive.Open(ctx, "url", "file", from, opts)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	k, err := kernels.Unpack(
		ctx,
		opts,
		append(files.Parts, roles...),
		func(ctx context.Context, dir string) ([]kernels.Package, error) {
			var reads []func(func(archive.Next) error) error
			for i, file := range files.Paths {
				reads = append(reads, func(write func(archive.Next) error) error { return read(roles[i], from[i], file, write) })
			}
			return nil, files.Check(archive.Unpack(ctx, dir, opts, reads...))
		},
	)
	if err != nil {
		return nil, explain(err, r)
	}
	if of := k.Config.KernelVersion(); r.Set[setConfig] != "" && !sameLine(of, k.Release) {
		k.Close()
		return nil, &kernels.SpecError{
			Problem: fmt.Sprintf("the image is %s, but the configuration is of %s", k.Release, of),
			Hint:    "give the .config that the kernel was built with",
		}
	}
	k.Name = fmt.Sprintf("%s (url:%s)", k.Release, label(r.Arg))
	return k, nil
}

// explain says which parameter a kernel lacks.
func explain(err error, r kernels.Request) error {
	var e *kernels.SpecError
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	switch {
	case strings.Contains(c.Problem, "no kernel configuration"):
		c.Hint = "add ?config=URL, the .config that it was built with"
	case strings.Contains(c.Problem, "is built with modules") && r.Set[setModules] == "":
		c.Hint = "add ?modules=URL, a tar archive with lib/modules"
	case c.Problem == kernels.FileVmlinuz:
		c.Problem = r.Arg
	}
	return &c
}

// sameLine reports whether a configuration's heading (6.1.192) and a release (6.1.0-57-amd64)
// can be of the same kernel: Debian's releases do not have the patch level.
func sameLine(heading, release string) bool {
	a, b := strings.SplitN(heading, ".", 3), strings.SplitN(release, ".", 3)
	return len(a) < 2 || len(b) < 2 || a[0] == b[0] && a[1] == b[1]
}

// label returns the end of a URL: images of many builds have the same name.
func label(url string) string {
	url, _, _ = strings.Cut(url, "#")
	dir, name := path.Split(url)
	return path.Join(path.Base(dir), name)
}

// read passes on a file under the name that its role has in a kernel's directory.
func read(role, from, file string, write func(archive.Next) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if role == setModules {
		only := func(next archive.Next) error { return write(modulesOnly(next)) }
		return archive.Damaged(from, archive.Tar(f, only), "give a tar archive with lib/modules, which may be compressed")
	}
	name := kernels.FileConfig
	if role == roleImage {
		name = kernels.FileVmlinuz
		if err := otherKind(f, from); err != nil {
			return err
		}
	}
	plain, done, err := archive.Decompress(f)
	if err != nil {
		return archive.Damaged(from, err, "check the URL")
	}
	defer done()
	most := kernels.MaxBytes(name)
	data, err := io.ReadAll(io.LimitReader(plain, most+1))
	if err != nil {
		return archive.Damaged(from, err, "check the URL")
	}
	switch {
	case int64(len(data)) > most:
		return kernels.TooLarge(&limitread.Error{Path: from, Most: most})
	case role == roleImage && len(data) > ustarAt && bytes.HasPrefix(data[ustarAt:], []byte(ustar)):
		return &kernels.SpecError{Problem: from + " is a tar archive", Hint: "write tar:" + from}
	}
	return write(func() (archive.Item, io.Reader, error) {
		if name == "" {
			return archive.Item{}, nil, io.EOF
		}
		item := archive.Item{Name: name, Mode: 0o644, Size: int64(len(data))}
		name = ""
		return item, bytes.NewReader(data), nil
	})
}

// modulesOnly marks what is not of the modules: another image or configuration in the
// archive would replace those that the user gives.
func modulesOnly(next archive.Next) archive.Next {
	return func() (archive.Item, io.Reader, error) {
		item, content, err := next()
		base := path.Base(item.Name)
		file := item.Mode.IsRegular() || item.Hard
		item.Other = !strings.Contains("/"+item.Name, "/lib/modules") ||
			file && !modules.IsModule(base) && !strings.HasPrefix(base, "modules.")
		return item, content, err
	}
}

// A tar archive has its magic there (ustar(5)).
const (
	ustarAt = 257
	ustar   = "ustar"
)

// otherKind returns an error for a file that is for another source, by its first bytes.
func otherKind(f *os.File, from string) error {
	head := make([]byte, ustarAt+len(ustar))
	n, _ := f.ReadAt(head, 0) // a file can be shorter
	head = head[:n]
	for _, k := range []struct {
		at           int
		begins       string
		what, scheme string
	}{
		{0, "!<arch>\n", "a Debian package", "deb"},
		{0, "\xed\xab\xee\xdb", "an rpm package", "rpm"},
		{ustarAt, ustar, "a tar archive", "tar"},
	} {
		if len(head) > k.at && bytes.HasPrefix(head[k.at:], []byte(k.begins)) {
			return &kernels.SpecError{
				Problem: fmt.Sprintf("%s is %s", from, k.what),
				Hint:    fmt.Sprintf("write %s:%s", k.scheme, from),
			}
		}
	}
	return nil
}
