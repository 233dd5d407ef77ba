package matrix

import (
	"context"
	"slices"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian"
	"github.com/faultline/faultline/kernels/source"
)

// Each replaces an entry whose spec is a pattern by one for each kernel that matches
// (source.List.Matching), which keeps its declarations, and orders those newest first.
// Entries of one kernel follow as they are. A package that several patterns match occurs
// once. A pattern whose place cannot be read is logged, and is an error only if no entry
// is left.
func Each(ctx context.Context, entries []Entry, opts kernels.Options) ([]Entry, error) {
	type found struct {
		Entry
		offer kernels.Offer
	}
	var matching []found
	var single []Entry
	var first error
	seen := map[[2]string]bool{}
	for _, e := range entries {
		offers, pattern, err := source.All().Matching(ctx, e.Spec, opts)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			if first == nil {
				first = err
			}
			opts.Logf("%v", err)
			continue
		case !pattern:
			single = append(single, e)
			continue
		}
		for _, o := range offers {
			id := [2]string{o.Package, o.Version}
			if seen[id] {
				continue
			}
			seen[id] = true
			matching = append(matching, found{Entry{Spec: o.Spec, Has: e.Has, Pos: e.Pos}, o})
		}
	}
	slices.SortStableFunc(
		matching,
		func(a, b found) int { return debian.CompareVersions(b.offer.Version, a.offer.Version) },
	)
	all := make([]Entry, 0, len(matching)+len(single))
	for _, f := range matching {
		all = append(all, f.Entry)
	}
	if all = append(all, single...); len(all) == 0 && first == nil {
		first = &kernels.SpecError{
			What: "kernels", Problem: "no kernel matches",
			Hint: "list the available kernels with: faultline list kernels",
		}
	}
	if len(all) > 0 {
		first = nil
	}
	return all, first
}
