package history

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/kernels/debian"
	"github.com/faultline/faultline/kernels/upstream"
)

// place is the sort key of a kernel.
type place struct {
	version upstream.Version
	kernel  upstream.Kernel
	// revision is the distribution's package revision; empty for other kernels.
	revision string
	// first is the position at which this digest occurs first: it separates kernels of one
	// version, and keeps the same kernel together.
	first int
}

// placeOf reads a kernel's version from its source, or else from uname -r, which does not
// have Debian's patch level.
func placeOf(k results.Kernel) (p place, ok bool) {
	p.kernel = upstream.Of(k.Version, k.Release)
	p.version, ok = p.kernel.Version, p.kernel.Versioned
	if len(k.Packages) > 0 {
		p.revision = k.Packages[0].Version
	}
	return p, ok
}

func (p place) compare(other place) int {
	revision := 0
	if p.revision != "" && other.revision != "" {
		revision = debian.CompareVersions(p.revision, other.revision)
	}
	return cmp.Or(p.version.Compare(other.version), revision, cmp.Compare(p.first, other.first))
}

// place orders the kernels of all records.
func (h *History) place(sources []Source, declared change.List) {
	first := map[string]int{}
	n := 0
	for i, s := range sources {
		for _, k := range s.Run.Kernels {
			at, ok := placeOf(k)
			digest := k.Digest
			if digest == "" {
				digest = fmt.Sprint(n) // unknown, so unique
			}
			if _, known := first[digest]; !known {
				first[digest] = n
			}
			at.first = first[digest]
			n++
			out := Kernel{
				Column: compare.Column{Label: s.Label, Run: s.Run.ID, Kernel: k.Name},
				Digest: k.Digest,
				place:  at,
				run:    i,
			}
			out.Changes = alone(s.Run, k, declared)
			if !ok {
				h.Unplaced = append(h.Unplaced, out)
				continue
			}
			out.Version = at.version.String()
			h.Kernels = append(h.Kernels, out)
		}
	}
	slices.SortStableFunc(h.Kernels, func(a, b Kernel) int { return a.place.compare(b.place) })
	for i := 1; i < len(h.Kernels); i++ {
		h.Kernels[i].Again = h.Kernels[i].place.first == h.Kernels[i-1].place.first
	}
	entitle(h.Kernels, h.Unplaced)
}

// alone is Run.Judge for one kernel: the record may have been judged by another version
// of Faultline, or with other changes.
func alone(run results.Run, k results.Kernel, declared change.List) []conclusion.ChangeState {
	one := results.Run{Changes: declared, Kernels: []results.Kernel{k}}
	for _, c := range run.Cells {
		if c.Kernel == k.Name {
			one.Cells = append(one.Cells, c)
		}
	}
	judge.Run(&one)
	return one.Kernels[0].Changes
}

// entitle gives each kernel the shortest unique title.
func entitle(lists ...[]Kernel) {
	var all []*Kernel
	for _, list := range lists {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	forms := []func(k *Kernel) string{
		func(k *Kernel) string { return k.Version },
		func(k *Kernel) string { return k.place.revision },
		func(k *Kernel) string { return k.Kernel },
		func(k *Kernel) string { return cmp.Or(k.Version, k.Kernel) + " of " + k.Label },
		func(k *Kernel) string { return k.Kernel + " of " + k.Label },
	}
	count := map[string]int{}
	for _, k := range all {
		for _, form := range forms {
			count[form(k)]++
		}
	}
	for _, k := range all {
		for _, form := range forms {
			if k.Title = form(k); k.Title != "" && count[k.Title] == 1 {
				break
			}
		}
	}
}

func titles(kernels []Kernel) []string {
	var out []string
	for _, k := range kernels {
		out = append(out, k.Title)
	}
	return out
}
