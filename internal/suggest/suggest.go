// Package suggest finds the known names closest to a misspelled one. It does not decide
// whether a name is valid.
package suggest

import (
	"fmt"
	"sort"
	"strings"
)

// Names returns at most three of the known names, closest first: those a few edits away
// from written, or that begin with it.
func Names(written string, known []string) []string {
	return By(written, known, func(name string) []string { return []string{name} })
}

// By is Names for names that have several forms.
func By(written string, known []string, forms func(name string) []string) []string {
	type scored struct {
		name string
		away int
	}
	var all []scored
	seen := map[string]bool{}
	for _, n := range known {
		best := -1
		for _, f := range forms(n) {
			away := distance(written, f)
			begins := written != "" && len(f) > len(written) && f[:len(written)] == written
			if (away <= allowed(written) || begins) && (best < 0 || away < best) {
				best = away
			}
		}
		if best >= 0 && !seen[n] {
			seen[n] = true
			all = append(all, scored{n, best})
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].away != all[j].away {
			return all[i].away < all[j].away
		}
		return all[i].name < all[j].name
	})
	var out []string
	for _, s := range all[:min(3, len(all))] {
		out = append(out, s.name)
	}
	return out
}

// allowed returns the maximum distance: a third of the letters, so that "git" does not
// match "apt".
func allowed(written string) int { return max(1, len(written)/3) }

// distance returns the number of letters to insert, delete, replace or swap with their
// neighbour (optimal string alignment distance).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Quoted joins names for a message: "a", "b" or "c".
func Quoted(names []string, or string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" " + or + " ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}
