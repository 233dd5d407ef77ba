package apt

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// plainImage reports whether a package is a kernel of the plain flavour: not cloud, not rt,
// no debug symbols; Ubuntu's is "generic". abi is the variable part of the name.
func plainImage(name string) (abi string, signed, ok bool) {
	abi, ok = strings.CutPrefix(name, "linux-image-")
	if !ok {
		return "", false, false
	}
	a, unsignedFront := strings.CutPrefix(abi, "unsigned-")
	a, unsignedBack := strings.CutSuffix(a, "-unsigned")
	a, ok = strings.CutSuffix(a, "-amd64")
	if !ok {
		a, ok = strings.CutSuffix(a, generic)
	}
	if !ok || a == "" || a[0] < '0' || a[0] > '9' || strings.HasSuffix(a, "-rt") || strings.HasSuffix(a, "-cloud") ||
		strings.HasSuffix(a, "-dbg") {
		return "", false, false
	}
	return a, !unsignedFront && !unsignedBack, true
}

// generic ends the names of Ubuntu's plain kernels.
const generic = "-generic"

// meta returns the package that depends on the suite's default kernel.
func (x *aptIndex) meta() string { return metaPackages[x.Origin] }

// series returns the first two numbers of a version.
func series(version string) string {
	f := strings.SplitN(version, ".", 3)
	if len(f) < 2 {
		return version
	}
	n := strings.IndexFunc(f[1], func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		n = len(f[1])
	}
	return f[0] + "." + f[1][:n]
}

// pick returns the newest package that matches.
func (x *aptIndex) pick(want string) (best aptPackage, ok bool) {
	all := x.matching(want)
	if len(all) == 0 {
		return best, false
	}
	return all[0], true
}

// matching returns the packages that match, the best first.
func (x *aptIndex) matching(want string) (all []aptPackage) {
	want = cmp.Or(want, x.meta())
	matches := func(p aptPackage) bool { return p.Name == want }
	switch {
	case reSeries.MatchString(want):
		matches = func(p aptPackage) bool {
			v := kernels.UpstreamVersion(p.Version)
			_, _, plain := plainImage(p.Name)
			return plain && (v == want || strings.HasPrefix(v, want+".") || strings.HasPrefix(v, want+"-"))
		}
	case strings.ContainsAny(want, "*?["):
		matches = func(p aptPackage) bool {
			m, err := path.Match(want, p.Name)
			return err == nil && m
		}
	}
	for _, p := range x.Packages {
		if matches(p) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b aptPackage) int {
		switch {
		case better(a, b):
			return -1
		case better(b, a):
			return 1
		}
		return 0
	})
	return all
}

// better reports whether a is preferred to b: the newer version, else the plain flavour,
// else the signed package, else the newer ABI.
func better(a, b aptPackage) bool {
	if c := debian.CompareVersions(a.Version, b.Version); c != 0 {
		return c > 0
	}
	_, signedA, plainA := plainImage(a.Name)
	_, signedB, plainB := plainImage(b.Name)
	if plainA != plainB {
		return plainA
	}
	if signedA != signedB {
		return signedA
	}
	return debian.CompareVersions(a.Name, b.Name) > 0
}

// aptChoice is the chosen package, and the packages that make up its kernel.
type aptChoice struct {
	state    *aptState
	main     aptPackage
	packages []aptPackage
}

// incompleteError is the error for a kernel of which the lists have only some parts.
type incompleteError struct{ text string }

func (e *incompleteError) Error() string { return e.text }

// follow collects the packages with the kernel's files: from a meta-package to the
// kernel, and, where Debian splits it (since 6.19), to its parts. A kernel that is not
// split has all its files in one package, independent of its dependencies.
func (c *aptChoice) follow() error {
	queue := []aptPackage{c.main}
	seen := map[string]bool{c.main.Name: true}
	var lost []string
	split := false
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if reContent.MatchString(p.Name) {
			c.packages = append(c.packages, p)
			split = split || strings.HasPrefix(p.Name, "linux-binary-")
		}
		for dep := range strings.SplitSeq(p.Depends, ",") {
			d, names := c.state.index.alternative(dep)
			if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return seen[n] }) {
				continue
			}
			if d == nil {
				seen[names[0]] = true
				lost = append(lost, strings.Join(names, " or "))
				continue
			}
			seen[d.Name] = true
			queue = append(queue, *d)
		}
	}
	for _, p := range slices.Clone(c.packages) { // Ubuntu's, which depends on a part of its modules only
		abi, ok := strings.CutPrefix(p.Name, "linux-modules-")
		if extra := "linux-modules-extra-" + abi; ok && strings.HasSuffix(abi, generic) && !seen[extra] {
			if d, ok := c.state.index.find(extra, p.Version); ok {
				c.packages = append(c.packages, d)
			}
		}
	}
	// For a split kernel, linux-base has the configuration; otherwise it has nothing
	// that a guest reads.
	if !split {
		lost = slices.DeleteFunc(lost, func(name string) bool { return strings.HasPrefix(name, "linux-base-") })
	}
	if len(lost) > 0 {
		return &incompleteError{
			fmt.Sprintf(
				"%s %s is incomplete: no package list of %s has %s, which it needs; give another version, or wait if the mirror is being updated",
				c.main.Name,
				c.main.Version,
				c.state.suite,
				strings.Join(lost, " and "),
			),
		}
	}
	if len(c.packages) == 0 {
		return &kernels.SpecError{
			Problem: fmt.Sprintf("package %s %s neither is a kernel nor depends on one", c.main.Name, c.main.Version),
			Hint:    "give " + c.state.index.meta() + " or a package such as linux-image-6.1.0-56-amd64",
		}
	}
	return nil
}

// alternative returns the first package of a dependency's alternatives that is in the
// lists, nil if none is, and the names of those that have a kernel's files.
func (x *aptIndex) alternative(dep string) (found *aptPackage, names []string) {
	for one := range strings.SplitSeq(dep, "|") {
		name, version := parseDependency(one)
		if !reContent.MatchString(name) {
			continue
		}
		if d, ok := x.find(name, version); ok {
			return &d, []string{name}
		}
		names = append(names, strings.TrimSpace(name+" "+version))
	}
	return nil, names
}

// parseDependency parses one relation: "linux-modules-7.3.4 (= 7.3.4-1)". exactly is the
// version if the relation is "=", else "".
func parseDependency(text string) (name, exactly string) {
	text, constraint, _ := strings.Cut(strings.TrimSpace(text), "(")
	name, _, _ = strings.Cut(strings.TrimSpace(text), ":")
	constraint, _, _ = strings.Cut(constraint, ")")
	if v, ok := strings.CutPrefix(strings.TrimSpace(constraint), "="); ok {
		exactly = strings.TrimSpace(v)
	}
	return name, exactly
}

func (x *aptIndex) find(name, version string) (best aptPackage, ok bool) {
	for _, p := range x.Packages {
		if p.Name == name && (version == "" || p.Version == version) && (!ok || better(p, best)) {
			best, ok = p, true
		}
	}
	return best, ok
}

// parts returns everything that determines the result of unpacking the packages.
func (c *aptChoice) parts() []string {
	parts := []string{"apt"}
	for _, p := range c.packages {
		parts = append(parts, p.Name, p.Version, p.SHA256)
	}
	return parts
}

// downloadError is the error for a failed download. fresh means that the lists are new.
type downloadError struct {
	err   error
	fresh bool
}

func (e *downloadError) Error() string { return e.err.Error() }
func (e *downloadError) Unwrap() error { return e.err }

// unpacked downloads and unpacks the packages, unless they are in the cache.
func (c *aptChoice) unpacked(ctx context.Context, opts kernels.Options) (*kernels.Kernel, error) {
	return kernels.Unpack(ctx, opts, c.parts(), func(ctx context.Context, dir string) ([]kernels.Package, error) {
		var packages []kernels.Package
		for _, p := range c.packages {
			packages = append(packages, kernels.Package{Name: p.Name, Version: p.Version, Suite: p.Suite})
		}
		debs := filepath.Join(dir, "debs")
		files, err := c.download(ctx, debs, opts)
		if err != nil {
			return nil, err
		}
		if err := debian.Unpack(ctx, dir, files, packages, opts); err != nil {
			return nil, err
		}
		return packages, os.RemoveAll(debs)
	})
}

// download fetches and verifies the packages, by apt if there is one.
func (c *aptChoice) download(ctx context.Context, dir string, opts kernels.Options) ([]string, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	fetch := c.aptDownload
	if !Installed() {
		fetch = c.httpDownload
	}
	files, err := fetch(ctx, dir, opts)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		// The archive's fault, or the network's, and not the request's.
		return nil, &downloadError{
			fmt.Errorf("download %s: %v; check the network and the mirror", c.main.Name, err), //nolint:errorlint // see above
			c.state.refreshed,
		}
	}
	return files, nil
}
