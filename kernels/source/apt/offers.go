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

// offers lists the kernels of the machine's own suites: of each series the
// newest of the plain amd64 flavour, oldest series first. The lists are fetched
// as Resolve would. Other suites of the same mirror can be asked for by name.
func (m machine) offers(ctx context.Context, opts kernels.Options) ([]kernels.Offer, error) {
	c, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	var offers []kernels.Offer
	for _, suite := range suitesOf(c.sources) {
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
	sort.SliceStable(offers, func(i, j int) bool { return debian.CompareVersions(offers[i].Version, offers[j].Version) < 0 })
	return offers, nil
}

// offers are the suite's default kernel, which its meta-package names, and of each
// series the newest that the lists have all of, where that is another one: a
// security suite may have a newer kernel that is not signed yet.
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
			opts.Logf("leave out %s: %v", spec, err)
			return
		}
		k := c.kernel()
		if id := k.Name + " " + k.Version; !seen[id] {
			seen[id] = true
			offers = append(offers, kernels.Offer{Spec: spec, Package: k.Name, Version: k.Version, Suite: k.Suite, Cached: kernels.Unpacked(opts, c.parts())})
		}
	}
	add("apt:"+a.suite, metaPackage)
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

// kernel is the package that is called as the kernel is, of those that make it.
func (c *aptChoice) kernel() aptPackage {
	for _, p := range c.packages {
		if strings.HasPrefix(p.Name, "linux-image-") {
			return p
		}
	}
	return c.packages[0]
}
