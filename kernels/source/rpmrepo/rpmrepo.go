// Package rpmrepo gets kernels from a repository of rpm packages, by its repodata:
// rpmrepo:URL/PACKAGE. It chooses the packages of one kernel; package rpm unpacks them.
package rpmrepo

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/download"
	"github.com/faultline/faultline/kernels/source/rpm"
)

const (
	scheme = "rpmrepo"
	form   = "rpmrepo:URL/PACKAGE[-VERSION]"
	// setKey is the file of the public keys that verify the repository.
	setKey  = "key"
	machine = "x86_64"
)

// Source returns the source for rpmrepo:URL/PACKAGE. The package is the one with the image,
// such as kernel-core or kernel-default, optionally with its version; it can be a pattern
// (path.Match), of which the newest match is taken. With ?key=FILE the signature of the
// repository's metadata is verified, and with it the digests of all packages.
func Source() kernels.Source {
	return kernels.Source{
		Scheme: scheme, Usage: []string{form + "[?key=FILE]"}, Params: []string{setKey},
		About: "the newest PACKAGE in a repository, with its modules",
		Check: check, Resolve: resolve, List: list,
	}
}

// split returns the URL of a repository, and the pattern for a package.
func split(arg string) (base, pattern string) {
	base, pattern = path.Split(arg)
	return strings.TrimRight(base, "/"), pattern
}

func check(r kernels.Request) error {
	base, pattern := split(r.Arg)
	if !download.IsURL(r.Arg) || strings.HasSuffix(base, ":") || pattern == "" {
		return &kernels.SpecError{Problem: "no URL of a repository and package", Hint: "write " + form}
	}
	if err := download.Check(base); err != nil {
		return err
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return &kernels.SpecError{Problem: fmt.Sprintf("the pattern %q is malformed", pattern), Hint: "write " + form}
	}
	return nil
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	base, pattern := split(r.Arg)
	all, err := repository(ctx, base, r.Set[setKey], opts)
	if err != nil {
		return nil, err
	}
	main, err := choose(all, pattern)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, p := range parts(all, main) {
		u, err := join(base, p.Location, p.Checksum)
		if err != nil {
			return nil, err
		}
		opts.Logf("use %s (%s)", p.full(), humanize.Bytes(uint64(max(p.Size.Package, 0))))
		urls = append(urls, u)
	}
	k, err := rpm.Source().Resolve(ctx, kernels.Request{Arg: strings.Join(urls, ",")}, opts)
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (%s:%s)", k.Release, scheme, main.Name)
	return k, nil
}

// matches reports whether a pattern is for a package: its name, with version or not.
func matches(pattern string, p pkg) bool {
	for _, name := range []string{p.Name, p.Name + "-" + p.Version.Version, p.Name + "-" + p.evr(), p.full()} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// choose returns the package with the image: the newest match.
func choose(all []pkg, pattern string) (main pkg, err error) {
	var found []pkg
	var names []string
	for _, p := range all {
		if !matches(pattern, p) || isPart(p.Name) {
			continue
		}
		found = append(found, p)
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	// Red Hat's "kernel" has no files; its image is in kernel-core.
	for _, n := range slices.Clone(names) {
		if slices.Contains(names, n+core) {
			names = slices.DeleteFunc(names, func(name string) bool { return name == n })
		}
	}
	switch {
	case len(found) == 0:
		return main, &kernels.SpecError{
			Problem: fmt.Sprintf("no package %s for %s in the repository", pattern, machine),
			Hint:    hint(all, pattern),
		}
	case len(names) > 1:
		return main, &kernels.SpecError{
			Problem: fmt.Sprintf(
				"%s matches more than one package: %s",
				pattern,
				strings.Join(names[:min(len(names), 8)], ", "),
			),
			Hint: "give one of them",
		}
	}
	main = slices.MaxFunc(slices.DeleteFunc(found, func(p pkg) bool { return p.Name != names[0] }), better)
	if i := slices.IndexFunc(all, func(p pkg) bool { return p.Name == main.Name+core && sameBuild(p, main) }); i >= 0 {
		main = all[i]
	}
	return main, nil
}

// hint suggests a package's name or a version.
func hint(all []pkg, pattern string) string {
	var names, images []string
	for _, p := range all {
		if p.Name == pattern || strings.HasPrefix(pattern, p.Name+"-") && !isPart(p.Name) {
			images = append(images, p.Name+"-"+p.evr())
		}
		names = append(names, p.Name)
	}
	slices.Sort(images)
	images = slices.Compact(images)
	if n := suggest.Names(pattern, images); len(n) > 0 {
		return "did you mean " + suggest.Quoted(n, "or") + "?"
	}
	names = slices.DeleteFunc(names, isPart)
	slices.Sort(names)
	if n := suggest.Names(pattern, slices.Compact(names)); len(n) > 0 {
		return "did you mean " + suggest.Quoted(n, "or") + "?"
	}
	return "list the kernels of the repository with faultline list kernels rpmrepo:URL"
}

// core ends the name of the package with the image where the modules have other packages.
const core = "-core"

// partEndings are the endings of the names of packages with more files of a kernel. Those of
// debug builds, headers and tools are not needed.
var partEndings = []string{"-modules-core", "-modules", "-modules-extra", "-modules-internal", "-extra", "-optional"}

func isPart(name string) bool {
	return slices.ContainsFunc(partEndings, func(end string) bool { return strings.HasSuffix(name, end) })
}

// parts returns a kernel's packages: the one with the image, and those with its modules.
func parts(all []pkg, main pkg) []pkg {
	list := []pkg{main}
	stem := strings.TrimSuffix(main.Name, core)
	for _, end := range partEndings {
		i := slices.IndexFunc(all, func(p pkg) bool { return p.Name == stem+end && sameBuild(p, main) })
		if i >= 0 {
			list = append(list, all[i])
		}
	}
	return list
}

// list lists the kernels of a repository, the oldest first. After its URL there can be a
// pattern with an asterisk (URL/kernel-core-5.14*) for the packages with the image.
func list(ctx context.Context, r kernels.Request, opts kernels.Options) ([]kernels.Offer, error) {
	if r.Arg == "" {
		return nil, nil // none is known to this machine
	}
	base, pattern := strings.TrimRight(r.Arg, "/"), ""
	if b, p := split(base); strings.Contains(p, "*") {
		base, pattern = b, p
	}
	if !download.IsURL(base) {
		return nil, &kernels.SpecError{Problem: "no URL of a repository", Hint: "write rpmrepo:URL"}
	}
	all, err := repository(ctx, base, r.Set[setKey], opts)
	if err != nil {
		return nil, err
	}
	return offersOf(all, base, pattern), nil
}

// offersOf returns the kernels of a list of packages. Of builds that differ only in the
// architecture, choose takes the one for all processors.
func offersOf(all []pkg, base, pattern string) (offers []kernels.Offer) {
	var images []pkg
	for _, p := range all {
		if isImage(all, p) && (pattern == "" || matches(pattern, p)) {
			images = append(images, p)
		}
	}
	slices.SortStableFunc(images, func(a, b pkg) int {
		return cmp.Or(newer(a, b), strings.Compare(a.Name, b.Name))
	})
	for _, p := range images {
		offers = append(offers, kernels.Offer{
			Spec: fmt.Sprintf("%s:%s/%s-%s", scheme, base, p.Name, p.evr()), Package: p.Name, Version: p.evr(),
		})
	}
	return slices.Compact(offers)
}

// image matches the names of packages with the image of a kernel: those of Fedora, Red Hat,
// Oracle, SUSE, Amazon and ELRepo. Debug builds are left out.
var image = regexp.MustCompile(`^kernel(?:[\d.]+)?(?:-(?:uek|default|azure|longterm|rt|ml|lt|vanilla))?(?:-core)?$`)

// isImage reports whether a package has, by its name, the image of a kernel, and is not
// split.
func isImage(all []pkg, p pkg) bool {
	return image.MatchString(p.Name) &&
		!slices.ContainsFunc(all, func(o pkg) bool { return o.Name == p.Name+core && sameBuild(o, p) })
}
