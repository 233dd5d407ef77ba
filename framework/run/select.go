package run

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/needs"
	"github.com/faultline/faultline/internal/near"
	"github.com/faultline/faultline/kernels"
)

// RequestError says that what was asked for can't be: it is the user's to mend.
type RequestError struct{ text string }

func (e *RequestError) Error() string { return e.text }

func requestf(format string, args ...any) error { return &RequestError{fmt.Sprintf(format, args...)} }

// Select picks the scenarios whose id one of the globs matches (all where there
// is none) and that the Ginkgo label filter takes. In a glob * matches anything,
// slashes too, and ? one character. A glob that matches nothing is a RequestError.
// In a label filter an id may have its slashes, though the label has dots.
func Select(all []framework.Info, globs []string, labels string) ([]framework.Info, error) {
	filter, err := types.ParseLabelFilter(unslashed(labels))
	if err != nil {
		return nil, requestf("label filter %q: %s", labels, plain(err))
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
			return nil, requestf("no scenario matches %q; %sfaultline list shows them all", g, didYouMean(g, all))
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

// Lost says which of the scenarios a kernel's configuration loses. Those that
// can be done on no kernel are not counted.
func Lost(k *kernels.Kernel, picked []framework.Info) needs.Report {
	var all []needs.Scenario
	for _, i := range picked {
		if i.NotDoable == "" {
			all = append(all, needs.Scenario{ID: i.ID, Needs: i.Needs})
		}
	}
	return needs.Of(k, all)
}

var color = regexp.MustCompile("\x1b\\[[0-9;]*m")

// plain is an error of Ginkgo's in one line and without colors.
func plain(err error) string {
	text, _, _ := strings.Cut(color.ReplaceAllString(err.Error(), ""), "Learn more at")
	return strings.Join(strings.Fields(text), " ")
}

// setOperations are what may stand behind "key: " in Ginkgo's label filters.
var setOperations = []string{"containsany", "containsall", "consistsof", "issubsetof", "isempty"}

// bareValue is a key with a single value behind it, which Ginkgo wants without the space.
var bareValue = regexp.MustCompile(`^: +([^ &|!,(){}:/][^ &|!,(){}:]*) *(?:$|[&|,)])`)

// unslashed writes a label filter as Ginkgo takes it: a slash within a word as
// the dot that the label has there, and "id: a/b" as "id:a.b". A slash in front of
// a word begins a regular expression, which stays as it is to its end.
func unslashed(filter string) string {
	var b strings.Builder
	inWord := false
	for i := 0; i < len(filter); i++ {
		c := filter[i]
		switch {
		case c == '/' && inWord:
			c = '.'
		case c == '/':
			n := strings.IndexByte(filter[i+1:], '/')
			if n < 0 {
				return b.String() + filter[i:] // Ginkgo takes it to the end
			}
			b.WriteString(filter[i : i+n+1])
			i += n + 1
			c = '/'
		case c == ':' && inWord:
			m := bareValue.FindStringSubmatchIndex(filter[i:])
			if m != nil && !slices.Contains(setOperations, strings.ToLower(filter[i+m[2]:i+m[3]])) {
				b.WriteByte(c)
				i += m[2] - 1 // behind the spaces
				continue
			}
		}
		b.WriteByte(c)
		inWord = c != '/' && !strings.ContainsRune(" &|!,(){}:", rune(c))
	}
	return b.String()
}

func glob(g string) *regexp.Regexp {
	p := regexp.QuoteMeta(g)
	p = strings.ReplaceAll(p, `\*`, ".*")
	p = strings.ReplaceAll(p, `\?`, ".")
	return regexp.MustCompile("^" + p + "$")
}

// didYouMean names up to three ids that are like the one that was meant. A part
// that is right counts for much: "shared-read" means dax/ext4/shared-read.
func didYouMean(meant string, all []framework.Info) string {
	bare := strings.Trim(meant, "*/?")
	var ids, names []string
	for _, i := range all {
		ids = append(ids, i.ID)
		if bare != "" && strings.Contains(i.ID, bare) {
			names = append(names, i.ID)
		}
	}
	if len(names) == 0 {
		names = near.By(bare, ids, ends)
	}
	if len(names) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(names[:min(3, len(names))], ", ") + "? "
}

// ends are an id and its shorter ends: dax/ext4/read, ext4/read, read.
func ends(id string) []string {
	out := []string{id}
	for {
		_, rest, more := strings.Cut(id, "/")
		if !more {
			return out
		}
		id = rest
		out = append(out, id)
	}
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
