package run

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/faultline/faultline/framework"
)

// RequestError says that what was asked for can't be: it is the user's to mend.
type RequestError struct{ text string }

func (e *RequestError) Error() string { return e.text }

func requestf(format string, args ...any) error { return &RequestError{fmt.Sprintf(format, args...)} }

// Select picks the scenarios whose id one of the globs matches (all where there
// is none) and that the Ginkgo label filter takes. In a glob * matches anything,
// slashes too, and ? one character. A glob that matches nothing is a RequestError.
func Select(all []framework.Info, globs []string, labels string) ([]framework.Info, error) {
	filter, err := types.ParseLabelFilter(labels)
	if err != nil {
		return nil, requestf("label filter %q: %v", labels, err)
	}
	chosen := map[string]bool{}
	for _, g := range globs {
		pattern, found := glob(g), false
		for _, i := range all {
			if pattern.MatchString(i.ID) {
				chosen[i.ID], found = true, true
			}
		}
		if !found {
			return nil, requestf("no scenario matches %q%s; faultline list shows them all", g, near(g, all))
		}
	}
	var picked []framework.Info
	for _, i := range all {
		if (len(globs) == 0 || chosen[i.ID]) && filter(i.Labels) {
			picked = append(picked, i)
		}
	}
	if len(picked) == 0 {
		return nil, requestf("no scenario is left by label filter %q; faultline list --json shows their labels", labels)
	}
	return picked, nil
}

func glob(g string) *regexp.Regexp {
	p := regexp.QuoteMeta(g)
	p = strings.ReplaceAll(p, `\*`, ".*")
	p = strings.ReplaceAll(p, `\?`, ".")
	return regexp.MustCompile("^" + p + "$")
}

// near names up to three ids that are like the one that was meant.
func near(meant string, all []framework.Info) string {
	type candidate struct {
		id   string
		away int
	}
	var found []candidate
	for _, i := range all {
		away := distance(meant, i.ID)
		// A part that is right counts for much: "shared-read" means dax/ext4/shared-read.
		if strings.Contains(i.ID, strings.Trim(meant, "*/")) {
			away = 0
		}
		if away <= max(2, len(meant)/3) {
			found = append(found, candidate{i.ID, away})
		}
	}
	sort.SliceStable(found, func(a, b int) bool { return found[a].away < found[b].away })
	var names []string
	for _, c := range found[:min(3, len(found))] {
		names = append(names, c.id)
	}
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, ", ") + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// Shard is a part of a run: the Index-th (from 1) of Of. The zero value is all of it.
type Shard struct{ Index, Of int }

// ParseShard reads "2/4"; empty is the whole run.
func ParseShard(s string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	var sh Shard
	var rest string
	n, _ := fmt.Sscanf(s, "%d/%d%s", &sh.Index, &sh.Of, &rest)
	if n != 2 || sh.Index < 1 || sh.Of < sh.Index {
		return sh, requestf("shard %q: want I/N with I from 1 to N, as in 2/4", s)
	}
	return sh, nil
}

// cut is the shard's part of n things: contiguous, so that with a plan ordered
// by kernel a shard needs as few kernels as can be; every thing is in exactly
// one shard.
func (s Shard) cut(n int) (from, to int) {
	if s.Of == 0 {
		return 0, n
	}
	return n * (s.Index - 1) / s.Of, n * s.Index / s.Of
}
