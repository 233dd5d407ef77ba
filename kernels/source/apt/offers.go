package apt

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// offers lists the kernels of a suite, or of the machine's own suites for "": the newest of
// each series in the plain amd64 flavour, oldest series first. The lists are fetched as in
// Resolve. Other suites of the same mirror are available by name.
func (m machine) offers(ctx context.Context, suite string, opts kernels.Options) ([]kernels.Offer, error) {
	c, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	var offers []kernels.Offer
	suites := []string{suite}
	if suite == "" {
		suites = suitesOf(c.sources)
	}
	for _, suite := range suites {
		state, err := m.open(ctx, suite, opts, false)
		if err != nil {
			var spec *kernels.SpecError
			if errors.As(err, &spec) && spec.What == "" {
				spec.What = "suite " + suite
			}
			return nil, err
		}
		offers = append(offers, state.offers(opts)...)
	}
	sort.SliceStable(
		offers,
		func(i, j int) bool { return debian.CompareVersions(offers[i].Version, offers[j].Version) < 0 },
	)
	return offers, nil
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
		k := c.kernel()
		if id := k.Name + " " + k.Version; !seen[id] {
			seen[id] = true
			offers = append(
				offers,
				kernels.Offer{
					Spec:    spec,
					Package: k.Name,
					Version: k.Version,
					Suite:   k.Suite,
					Cached:  kernels.Unpacked(opts, c.parts()),
				},
			)
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

// kernel returns the package that has the kernel's name.
func (c *aptChoice) kernel() aptPackage {
	for _, p := range c.packages {
		if strings.HasPrefix(p.Name, "linux-image-") {
			return p
		}
	}
	return c.packages[0]
}
