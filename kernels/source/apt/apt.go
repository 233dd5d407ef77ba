// Package apt gets kernels from the Debian or Ubuntu archive that the machine's own apt is
// configured with: apt:SUITE and similar specs. apt-get fetches and verifies, using a
// private state in the cache. Without apt the same sources are read by HTTP.
package apt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// metaPackages are the packages that depend on a suite's default kernel, by the origins of
// suites whose kernels are supported (Origin in a Release file).
var metaPackages = map[string]string{
	"Debian": "linux-image-amd64", "Debian Backports": "linux-image-amd64",
	"Ubuntu": "linux-image-generic",
}

var (
	reSuite   = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	reWant    = regexp.MustCompile(`^[a-z0-9*][A-Za-z0-9+.~_*?\[\]-]*$`)
	reSeries  = regexp.MustCompile(`^\d+(\.\d+)*$`)
	reContent = regexp.MustCompile(`^linux-(image|binary|modules|modules-extra|base)-(unsigned-)?\d`)
)

// aptSpec is a parsed apt: argument.
type aptSpec struct {
	suite string // "": the machine's suites
	want  string // a package, a pattern, a version prefix; "": the suite's default kernel
}

// parseApt distinguishes apt:SUITE from apt:PACKAGE by form: packages start with
// "linux-", or are patterns or versions.
func parseApt(arg string) (aptSpec, error) {
	if arg == "" {
		return aptSpec{}, &kernels.SpecError{
			Problem: "no suite or package given",
			Hint:    "write apt:SUITE, such as apt:bookworm",
		}
	}
	suite, want, both := strings.Cut(arg, "/")
	if !both {
		if strings.HasPrefix(arg, "linux-") || strings.ContainsAny(arg, "*?[") || reSeries.MatchString(arg) {
			suite, want = "", arg
		}
	}
	if (suite != "" || both) && !reSuite.MatchString(suite) {
		return aptSpec{}, &kernels.SpecError{
			Problem: fmt.Sprintf("invalid suite name %q", suite),
			Hint:    "give one such as bookworm or trixie-backports",
		}
	}
	if (want != "" || both) && !reWant.MatchString(want) {
		return aptSpec{}, &kernels.SpecError{Problem: fmt.Sprintf("invalid package name %q", want),
			Hint: "give a package, a pattern such as linux-image-6.12.*-amd64, or a version such as 6.12"}
	}
	if _, err := path.Match(want, ""); err != nil {
		return aptSpec{}, &kernels.SpecError{Problem: fmt.Sprintf("pattern %q", want), Err: err, Hint: "close the bracket"}
	}
	return aptSpec{suite, want}, nil
}

// Source returns the source for apt: specs. files are the machine's files of apt
// sources; if none are given, apt is asked for them.
func Source(files ...string) kernels.Source {
	m := machine{files}
	return kernels.Source{
		Scheme: "apt", Usage: []string{"apt:SUITE", "apt:SUITE/PACKAGE", "apt:SUITE/VERSION", "apt:PACKAGE"},
		About: "packages of Debian or Ubuntu; VERSION can be a prefix, such as 6.12",
		Check: checkApt, Resolve: m.resolve, List: m.offers,
	}
}

func checkApt(r kernels.Request) error {
	_, err := parseApt(r.Arg)
	return err
}

func (m machine) resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	spec, err := parseApt(r.Arg)
	if err != nil {
		return nil, err
	}
	k, err := spec.resolve(ctx, m, opts, false)
	var gone *downloadError
	if errors.As(err, &gone) && !gone.fresh && ctx.Err() == nil {
		// A point release removes the old package: the lists are outdated.
		opts.Logf("%v; look for a newer version", err)
		k, err = spec.resolve(ctx, m, opts, true)
	}
	return k, err
}

func (s aptSpec) resolve(ctx context.Context, m machine, opts kernels.Options, refresh bool) (*kernels.Kernel, error) {
	suites := []string{s.suite}
	if s.suite == "" {
		c, err := m.read(ctx)
		if err != nil {
			return nil, err
		}
		suites = suitesOf(c.sources)
	}
	var found []*aptChoice
	var names, unsafe []string
	want := s.want
	for _, suite := range suites {
		state, err := m.open(ctx, suite, opts, refresh)
		if err != nil {
			return nil, err
		}
		if s := suite + "-security"; slices.Contains(groupSuites(suite), s) && !slices.Contains(state.index.Suites, s) {
			unsafe = append(unsafe, s)
		}
		for _, p := range state.index.Packages {
			names = append(names, p.Name)
		}
		want = cmp.Or(want, state.index.meta())
		for _, p := range state.index.matching(s.want) {
			found = append(found, &aptChoice{state: state, main: p})
		}
	}
	if len(found) == 0 {
		return nil, noPackage(want, suites, unsafe, names)
	}
	slices.SortStableFunc(
		found,
		func(a, b *aptChoice) int { return debian.CompareVersions(b.main.Version, a.main.Version) },
	)
	best, err := s.whole(found, opts)
	if err != nil {
		return nil, err
	}
	return best.unpacked(ctx, opts)
}

// whole returns the first choice for which the lists have all parts. For a package
// requested by name only the first choice is tried; for a version or a pattern an older
// one is acceptable.
func (s aptSpec) whole(found []*aptChoice, opts kernels.Options) (*aptChoice, error) {
	exact := !reSeries.MatchString(s.want) && !strings.ContainsAny(s.want, "*?[")
	var first error
	for _, c := range found {
		err := c.follow()
		if err == nil {
			if first != nil {
				opts.Logf("use %s %s: %v", c.main.Name, c.main.Version, first)
			}
			return c, nil
		}
		if first == nil {
			first = err
		}
		if exact || !errors.As(err, new(*incompleteError)) {
			break
		}
	}
	return nil, first
}

// noPackage returns the error if none of the suites has what is wanted. unsafe are the
// corresponding security suites for which the machine has no source.
func noPackage(want string, suites, unsafe, names []string) error {
	in := strings.Join(suites, ", ")
	e := &kernels.SpecError{Problem: fmt.Sprintf("no kernel package named %q in %s", want, in)}
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
		e.Hint = "available are " + strings.Join(slices.Compact(have), ", ") + "; give one of these, or another suite"
		if len(unsafe) > 0 {
			e.Hint += fmt.Sprintf(
				"; newer kernels of a release are in its security archive, which this machine's apt does not use: "+
					"add a file to /etc/apt/sources.list.d with \"Suites: %s\", \"Components: main\" and the URI of Debian's security archive",
				strings.Join(unsafe, " "),
			)
		}
	case strings.ContainsAny(want, "*?["):
		e.Problem = fmt.Sprintf("no kernel package matches %q in %s", want, in)
		e.Hint = "list the available kernels with: faultline list kernels"
		if n := suggest.Names(strings.Map(dropGlob, want), names); len(n) > 0 {
			e.Hint = "one available package is " + n[0] + "; " + e.Hint
		}
	default:
		e.Hint = "list the available kernels with: faultline list kernels"
		if n := suggest.Names(want, names); len(n) > 0 {
			e.Hint = "did you mean " + suggest.Quoted(n, "or") + "? " + e.Hint
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
