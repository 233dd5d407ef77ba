package matrix

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
	"github.com/faultline/faultline/kernels/source"
)

// Each replaces an entry whose spec is a pattern by one for each kernel that matches
// (source.List.Matching), which keeps its declarations, and orders those newest first.
// Entries of one kernel follow as they are. A package of Debian's that several patterns match
// occurs once. lost are the patterns that cannot be read, or that match nothing; if no entry
// is left, that is an error.
func Each(ctx context.Context, entries []Entry, opts kernels.Options) (all []Entry, lost []string, err error) {
	type found struct {
		Entry
		version string
	}
	var matching []found
	var single []Entry
	var first error
	seen := map[string]bool{}
	for _, e := range entries {
		offers, pattern, err := source.All().Matching(ctx, e.Spec, opts)
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case err == nil && !pattern:
			single = append(single, e)
			continue
		case err == nil && len(offers) == 0:
			err = &kernels.SpecError{
				What: "kernel " + e.Spec, Problem: "no kernel matches",
				Hint: "list the available kernels with: faultline list kernels",
			}
		}
		if err != nil {
			opts.Logf("%v", err)
			lost = append(lost, e.Spec)
			if first == nil {
				first = err
			}
		}
		for _, o := range offers {
			f := found{Entry{Spec: o.Spec, Has: e.Has, Pos: e.Pos, Build: build(o)}, o.Version}
			if !seen[name(f.Entry)] {
				seen[name(f.Entry)] = true
				matching = append(matching, f)
			}
		}
	}
	slices.SortStableFunc(matching, func(a, b found) int { return debian.CompareVersions(b.version, a.version) })
	for _, f := range matching {
		all = append(all, f.Entry)
	}
	if all = append(all, single...); len(all) == 0 {
		return nil, nil, first
	}
	return all, lost, nil
}

func name(e Entry) string { return cmp.Or(e.Build, e.Spec) }

// build identifies an available kernel, independent of where it is found: a package of
// Debian's moves between suites. Folders have no versions.
func build(o kernels.Offer) string {
	switch scheme, _, _ := strings.Cut(o.Spec, ":"); scheme {
	case "apt":
		return o.Package + "_" + o.Version
	case "dir":
		return ""
	}
	return o.Spec // with the version
}
