package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/near"
)

// metaPackage is the one whose dependency is a suite's kernel.
const metaPackage = "linux-image-amd64"

var (
	reSuite   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	reWant    = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9+.~_*?\[\]-]*$`)
	reSeries  = regexp.MustCompile(`^\d+(\.\d+)*$`)
	reContent = regexp.MustCompile(`^linux-(image|binary|modules|base)-(unsigned-)?\d`)
)

// aptSpec is a parsed apt: argument.
type aptSpec struct {
	suite string // "": those the machine has
	want  string // a package, a pattern, a version prefix
}

// parseApt tells apt:SUITE from apt:PACKAGE by the look of it: packages begin
// with "linux-" or are patterns or versions.
func parseApt(arg string) (aptSpec, error) {
	if arg == "" {
		return aptSpec{}, &SpecError{Problem: "no suite and no package named", WayOut: "write apt:SUITE, such as apt:bookworm"}
	}
	suite, want, both := strings.Cut(arg, "/")
	if !both {
		if strings.HasPrefix(arg, "linux-") || strings.ContainsAny(arg, "*?[") || reSeries.MatchString(arg) {
			suite, want = "", arg
		} else {
			want = metaPackage
		}
	}
	if (suite != "" || both) && !reSuite.MatchString(suite) {
		return aptSpec{}, &SpecError{Problem: fmt.Sprintf("%q is no name of a suite", suite), WayOut: "give one such as bookworm or trixie-backports"}
	}
	if !reWant.MatchString(want) {
		return aptSpec{}, &SpecError{Problem: fmt.Sprintf("%q is no name of a package", want),
			WayOut: "give a package, a pattern such as linux-image-6.12.*-amd64, or a version such as 6.12"}
	}
	if _, err := path.Match(want, ""); err != nil {
		return aptSpec{}, &SpecError{Problem: fmt.Sprintf("pattern %q", want), Err: err, WayOut: "close the bracket"}
	}
	return aptSpec{suite, want}, nil
}

func checkApt(arg string) error {
	_, err := parseApt(arg)
	return err
}

func resolveApt(ctx context.Context, arg string, opts Options) (*Kernel, error) {
	spec, err := parseApt(arg)
	if err != nil {
		return nil, err
	}
	k, err := spec.resolve(ctx, opts, false)
	var gone *downloadError
	if errors.As(err, &gone) && !gone.fresh && ctx.Err() == nil {
		// A point release removes the old package: the lists are too old.
		opts.log("%v; look for a newer version", err)
		k, err = spec.resolve(ctx, opts, true)
	}
	return k, err
}

func (s aptSpec) resolve(ctx context.Context, opts Options, refresh bool) (*Kernel, error) {
	suites := []string{s.suite}
	if s.suite == "" {
		machine, err := machineSources(ctx, opts)
		if err != nil {
			return nil, err
		}
		suites = machineSuites(machine)
	}
	var best *aptChoice
	var names []string
	for _, suite := range suites {
		state, err := openApt(ctx, suite, opts, refresh)
		if err != nil {
			return nil, err
		}
		for _, p := range state.index.Packages {
			names = append(names, p.Name)
		}
		if p, ok := state.index.pick(s.want); ok && (best == nil || compareVersions(p.Version, best.main.Version) > 0) {
			best = &aptChoice{state: state, main: p}
		}
	}
	if best == nil {
		return nil, noPackage(s.want, suites, names)
	}
	if err := best.follow(); err != nil {
		return nil, err
	}
	return best.unpacked(ctx, opts)
}

func noPackage(want string, suites, names []string) error {
	in := strings.Join(suites, ", ")
	e := &SpecError{Problem: fmt.Sprintf("no kernel package named %q in %s", want, in)}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case reSeries.MatchString(want):
		var have []string
		for _, n := range names {
			if v, _, ok := plainImage(n); ok {
				have = append(have, series(v))
			}
		}
		slices.Sort(have)
		e.Problem = fmt.Sprintf("no kernel %s for plain amd64 in %s", want, in)
		e.WayOut = "that has " + strings.Join(slices.Compact(have), ", ") + "; give one of these, or another suite"
	case strings.ContainsAny(want, "*?["):
		e.Problem = fmt.Sprintf("no kernel package matches %q in %s", want, in)
		e.WayOut = "list what there is with: faultline list kernels"
		if n := near.Names(strings.Map(dropGlob, want), names); len(n) > 0 {
			e.WayOut = "there is, for one, " + n[0] + "; " + e.WayOut
		}
	default:
		e.WayOut = "list what there is with: faultline list kernels"
		if n := near.Names(want, names); len(n) > 0 {
			e.WayOut = "did you mean " + quoted(n, "or") + "? " + e.WayOut
		}
	}
	return e
}

func dropGlob(r rune) rune {
	if strings.ContainsRune("*?[]", r) {
		return -1
	}
	return r
}

// plainImage says whether a package is a kernel of the plain amd64 flavour: not
// cloud, not rt, no debug symbols. abi is what stands between the name's parts.
func plainImage(name string) (abi string, signed, ok bool) {
	abi, ok = strings.CutPrefix(name, "linux-image-")
	if !ok {
		return "", false, false
	}
	a, unsignedFront := strings.CutPrefix(abi, "unsigned-")
	a, unsignedBack := strings.CutSuffix(a, "-unsigned")
	a, ok = strings.CutSuffix(a, "-amd64")
	if !ok || a == "" || a[0] < '0' || a[0] > '9' || strings.HasSuffix(a, "-rt") || strings.HasSuffix(a, "-cloud") || strings.HasSuffix(a, "-dbg") {
		return "", false, false
	}
	return a, !unsignedFront && !unsignedBack, true
}

// series is the first two numbers of a version.
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

// pick finds the newest package that is wanted.
func (x *aptIndex) pick(want string) (best aptPackage, ok bool) {
	matches := func(p aptPackage) bool { return p.Name == want }
	switch {
	case reSeries.MatchString(want):
		matches = func(p aptPackage) bool {
			v := upstreamVersion(p.Version)
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
		if matches(p) && (!ok || better(p, best)) {
			best, ok = p, true
		}
	}
	return best, ok
}

// better: the newer version; of the same, the plain flavour, the signed package,
// the newer ABI.
func better(a, b aptPackage) bool {
	if c := compareVersions(a.Version, b.Version); c != 0 {
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
	return compareVersions(a.Name, b.Name) > 0
}

// aptChoice is the package that was picked, and then all that make the kernel.
type aptChoice struct {
	state    *aptState
	main     aptPackage
	packages []aptPackage
}

// follow gathers the packages with the kernel's files: through a meta-package
// to the kernel, and, where Debian splits it (from 6.17 on), to its parts.
func (c *aptChoice) follow() error {
	queue := []aptPackage{c.main}
	seen := map[string]bool{c.main.Name: true}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if reContent.MatchString(p.Name) {
			c.packages = append(c.packages, p)
		}
		for dep := range strings.SplitSeq(p.Depends, ",") {
			first, _, _ := strings.Cut(dep, "|")
			name, version := parseDependency(first)
			if !reContent.MatchString(name) || seen[name] {
				continue
			}
			seen[name] = true
			d, ok := c.state.index.find(name, version)
			if !ok {
				return fmt.Errorf("follow the dependencies of %s %s: %s %s is in no list of %s; wait for the mirror to be whole, or give another version",
					p.Name, p.Version, name, version, c.state.suite)
			}
			queue = append(queue, d)
		}
	}
	if len(c.packages) == 0 {
		return &SpecError{Problem: fmt.Sprintf("package %s %s neither is a kernel nor depends on one", c.main.Name, c.main.Version),
			WayOut: "give " + metaPackage + " or a package such as linux-image-6.1.0-56-amd64"}
	}
	return nil
}

// parseDependency reads one relation: "linux-modules-7.3.4 (= 7.3.4-1)". The
// version is given back when it must be that one, else it is "".
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

// key is the cache key of what the packages are unpacked to.
func (c *aptChoice) key() string {
	parts := []string{entryFormat, "apt"}
	for _, p := range c.packages {
		parts = append(parts, p.Name, p.Version, p.SHA256)
	}
	return cache.Key(parts...)
}

// downloadError is a package that could not be had. fresh: though the lists are new.
type downloadError struct {
	err   error
	fresh bool
}

func (e *downloadError) Error() string { return e.err.Error() }
func (e *downloadError) Unwrap() error { return e.err }

// unpacked downloads and unpacks the packages, unless the cache has them.
func (c *aptChoice) unpacked(ctx context.Context, opts Options) (*Kernel, error) {
	entry, err := opts.Cache.Get(ctx, entryKind, c.key(), func(ctx context.Context, dir string) error {
		var packages []Package
		for _, p := range c.packages {
			packages = append(packages, Package{Name: p.Name, Version: p.Version, Suite: p.Suite})
		}
		debs := filepath.Join(dir, "debs")
		files, err := c.download(ctx, debs, opts)
		if err != nil {
			return err
		}
		if err := unpackDebs(ctx, dir, files, packages, opts); err != nil {
			return err
		}
		return os.RemoveAll(debs)
	})
	if err != nil {
		return nil, err
	}
	return load(entry)
}

// download has apt fetch and verify the packages.
func (c *aptChoice) download(ctx context.Context, dir string, opts Options) ([]string, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(c.state.dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	args := []string{"-q", "download"}
	for _, p := range c.packages {
		var size uint64
		_, _ = fmt.Sscan(p.Size, &size)
		opts.log("download %s %s (%s)", p.Name, p.Version, humanize.Bytes(size))
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := c.state.aptGet(ctx, dir, args...); err != nil {
		return nil, &downloadError{fmt.Errorf("download %s: %w; look at the network and the mirror", c.main.Name, err), c.state.refreshed}
	}
	var files []string
	for _, p := range c.packages {
		m, _ := filepath.Glob(filepath.Join(dir, p.Name+"_*.deb"))
		if len(m) != 1 {
			return nil, fmt.Errorf("download %s: apt-get left %d files of it", p.Name, len(m))
		}
		files = append(files, m[0])
	}
	return files, nil
}
