package kernels

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sort"
)

// Offer is a kernel that can be had.
type Offer struct {
	// Spec is what to ask Resolve for.
	Spec string `json:"spec"`
	// Package, Version and Suite are the package's; Version is Debian's.
	Package string `json:"package"`
	Version string `json:"version"`
	Suite   string `json:"suite"`
	// Cached says that it needs no download.
	Cached bool `json:"cached"`
}

// Available lists the kernels of the machine's own suites: of each series the
// newest of the plain amd64 flavour, oldest series first. The lists are fetched
// as Resolve would. Other suites of the same mirror can be asked for by name.
func Available(ctx context.Context, opts Options) ([]Offer, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	machine, err := machineSources(ctx, opts)
	if err != nil {
		return nil, err
	}
	var offers []Offer
	for _, suite := range machineSuites(machine) {
		state, err := openApt(ctx, suite, opts, false)
		if err != nil {
			var spec *SpecError
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
	sort.SliceStable(offers, func(i, j int) bool { return compareVersions(offers[i].Version, offers[j].Version) < 0 })
	return offers, nil
}

func (a *aptState) offers(opts Options) ([]Offer, error) {
	var all []string
	for _, p := range a.index.Packages {
		if _, _, plain := plainImage(p.Name); plain {
			all = append(all, series(upstreamVersion(p.Version)))
		}
	}
	slices.Sort(all)
	main := ""
	if p, ok := a.index.pick(metaPackage); ok {
		main = p.Version
	}
	var offers []Offer
	for _, s := range slices.Compact(all) {
		p, ok := a.index.pick(s)
		if !ok {
			continue
		}
		o := Offer{Spec: "apt:" + a.suite + "/" + s, Package: p.Name, Version: p.Version, Suite: p.Suite}
		if p.Version == main {
			o.Spec = "apt:" + a.suite
		}
		c := aptChoice{state: a, main: p}
		if err := c.follow(); err != nil {
			opts.log("leave out %s: %v", o.Package, err)
			continue
		}
		o.Cached = exists(filepath.Join(opts.Cache.Dir(), entryKind, c.key(), fileRecord))
		offers = append(offers, o)
	}
	return offers, nil
}
