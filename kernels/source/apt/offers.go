package apt

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
)

// offers lists the kernels of the machine's own suites: of each series the
// newest of the plain amd64 flavour, oldest series first. The lists are fetched
// as Resolve would. Other suites of the same mirror can be asked for by name.
func (m machine) offers(ctx context.Context, opts kernels.Options) ([]kernels.Offer, error) {
	stanzas, err := m.sources(ctx)
	if err != nil {
		return nil, err
	}
	var offers []kernels.Offer
	for _, suite := range suitesOf(stanzas) {
		state, err := m.open(ctx, suite, opts, false)
		if err != nil {
			var spec *kernels.SpecError
			if errors.As(err, &spec) && spec.What == "" {
				spec.What = "suite " + suite
			}
			return nil, err
		}
		found, err := state.offers(opts)
		if err != nil {
			return nil, err
		}
		offers = append(offers, found...)
	}
	sort.SliceStable(offers, func(i, j int) bool { return debian.CompareVersions(offers[i].Version, offers[j].Version) < 0 })
	return offers, nil
}

func (a *aptState) offers(opts kernels.Options) ([]kernels.Offer, error) {
	var all []string
	for _, p := range a.index.Packages {
		if _, _, plain := plainImage(p.Name); plain {
			all = append(all, series(kernels.UpstreamVersion(p.Version)))
		}
	}
	slices.Sort(all)
	main := ""
	if p, ok := a.index.pick(metaPackage); ok {
		main = p.Version
	}
	var offers []kernels.Offer
	for _, s := range slices.Compact(all) {
		p, ok := a.index.pick(s)
		if !ok {
			continue
		}
		o := kernels.Offer{Spec: "apt:" + a.suite + "/" + s, Package: p.Name, Version: p.Version, Suite: p.Suite}
		if p.Version == main {
			o.Spec = "apt:" + a.suite
		}
		c := aptChoice{state: a, main: p}
		if err := c.follow(); err != nil {
			opts.Logf("leave out %s: %v", o.Package, err)
			continue
		}
		o.Cached = kernels.Unpacked(opts, c.parts())
		offers = append(offers, o)
	}
	return offers, nil
}
