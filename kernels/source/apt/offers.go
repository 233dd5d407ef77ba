package apt

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// offers lists kernels, oldest first: those of a suite, SUITE, or of the machine's own
// suites for "", the newest of each series in the plain flavour; with SUITE/VERSION or
// SUITE/PATTERN each that matches. The lists are fetched as in Resolve. Other suites of the
// same mirror are available by name.
func (m machine) offers(ctx context.Context, r kernels.Request, opts kernels.Options) ([]kernels.Offer, error) {
	c, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	spec := aptSpec{}
	if r.Arg != "" {
		if spec, err = parseApt(r.Arg); err != nil {
			return nil, err
		}
	}
	suites := []string{spec.suite}
	if spec.suite == "" {
		suites = suitesOf(c.sources)
	}
	var offers []kernels.Offer
	for _, suite := range suites {
		state, err := m.open(ctx, suite, opts, false)
		if err != nil {
			var spec *kernels.SpecError
			if errors.As(err, &spec) && spec.What == "" {
				spec.What = "suite " + suite
			}
			return nil, err
		}
		if spec.want == "" {
			offers = append(offers, state.offers(opts)...)
		} else {
			offers = append(offers, state.each(spec.want, opts)...)
		}
	}
	slices.SortStableFunc(offers, func(a, b kernels.Offer) int { return debian.CompareVersions(a.Version, b.Version) })
	return offers, nil
}

// each returns the kernels of the plain flavour that match, newest first.
func (a *aptState) each(want string, opts kernels.Options) []kernels.Offer {
	var offers []kernels.Offer
	seen := map[string]bool{}
	for _, p := range a.index.matching(want) {
		// The first package of a version is the kernel; others are unsigned, or depend on it.
		// The spec of a name is its newest version.
		if _, _, plain := plainImage(p.Name); !plain || seen[p.Version] || seen[p.Name] {
			continue
		}
		seen[p.Version], seen[p.Name] = true, true
		c := &aptChoice{state: a, main: p}
		if err := c.follow(); err != nil {
			opts.Logf("skip apt:%s/%s: %v", a.suite, p.Name, err)
			continue
		}
		offers = append(offers, c.offer("apt:"+a.suite+"/"+c.kernel().Name, opts))
	}
	return offers
}

// offer returns the choice as an offer with that spec.
func (c *aptChoice) offer(spec string, opts kernels.Options) kernels.Offer {
	k := c.kernel()
	return kernels.Offer{
		Spec: spec, Package: k.Name, Version: k.Version, Suite: k.Suite, Cached: kernels.Unpacked(opts, c.parts()),
	}
}

// offers returns the suite's default kernel, named by its meta-package, and for each
// series the newest complete one, if different: a security suite may have a newer
// kernel that is not signed yet.
func (a *aptState) offers(opts kernels.Options) []kernels.Offer {
	var offers []kernels.Offer
	seen := map[string]bool{}
	add := func(spec, want string) {
		var found []*aptChoice
		for _, p := range a.index.matching(want) {
			found = append(found, &aptChoice{state: a, main: p})
		}
		if len(found) == 0 {
			return
		}
		c, err := aptSpec{want: want}.whole(found, opts)
		if err != nil {
			opts.Logf("skip %s: %v", spec, err)
			return
		}
		o := c.offer(spec, opts)
		if id := o.Package + " " + o.Version; !seen[id] {
			seen[id] = true
			offers = append(offers, o)
		}
	}
	add("apt:"+a.suite, "")
	var all []string
	for _, p := range a.index.Packages {
		if _, _, plain := plainImage(p.Name); plain {
			all = append(all, series(kernels.UpstreamVersion(p.Version)))
		}
	}
	slices.Sort(all)
	for _, s := range slices.Compact(all) {
		add("apt:"+a.suite+"/"+s, s)
	}
	return offers
}

// kernel returns the package that has the kernel's name: the last, because a meta-package
// precedes the kernel that it depends on.
func (c *aptChoice) kernel() aptPackage {
	for _, p := range slices.Backward(c.packages) {
		if strings.HasPrefix(p.Name, "linux-image-") {
			return p
		}
	}
	return c.packages[0]
}
