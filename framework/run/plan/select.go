package plan

import (
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// Select returns the scenarios whose id matches one of the globs (all, without globs)
// and that the Ginkgo label filter selects. In a glob * matches anything, including
// slashes, and ? one character. A scenario that no kernel can run is selected only by a
// glob, so that runs without globs do not have it for each kernel. A glob that matches
// nothing is an error of the request. In a label filter an id may have slashes, although
// its label has dots.
func Select(all []scenario.Info, globs []string, labels string) ([]scenario.Info, error) {
	filter, err := types.ParseLabelFilter(unslashed(labels))
	if err != nil {
		return nil, errkind.Requestf(
			"label filter %q: %s; an example is --label 'change: dax_fault_hwpoison'",
			labels,
			plain(err),
		)
	}
	chosen := map[string]bool{}
	for _, g := range globs {
		pattern, found := glob(g), false
		for _, i := range all {
			if pattern.MatchString(i.ID) {
				chosen[i.ID], found = true, true
			}
		}
		if g == "" {
			return nil, errkind.Requestf("--scenario is empty; give an id or a pattern, such as 'dax/*'")
		}
		if !found && strings.HasPrefix(g, program.IDs) {
			return nil, errkind.Requestf("no scenario matches %q; --program FILE turns a program into a scenario", g)
		}
		if !found {
			return nil, errkind.Requestf("no scenario matches %q; %srun faultline list to see all", g, didYouMean(g, all))
		}
	}
	var picked []scenario.Info
	for _, i := range all {
		if (len(globs) == 0 && i.Skipped == "" || chosen[i.ID]) && filter(i.Labels) {
			picked = append(picked, i)
		}
	}
	if len(picked) == 0 {
		return nil, errkind.Requestf("label filter %q selects no scenario; run faultline list --json to see the labels",
			labels)
	}
	return picked, nil
}

var color = regexp.MustCompile("\x1b\\[[0-9;]*m")

// plain returns the reason in Ginkgo's error, which has lines: a title, the filter, a mark
// below the place, the reason, an address.
func plain(err error) string {
	text, _, _ := strings.Cut(color.ReplaceAllString(err.Error(), ""), "Learn more at")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	reason := strings.TrimSpace(lines[len(lines)-1])
	return strings.ToLower(reason[:min(1, len(reason))]) + strings.TrimRight(reason[min(1, len(reason)):], "?.")
}

// setOperations are the words that may follow "key: " in Ginkgo's label filters.
var setOperations = []string{"containsany", "containsall", "consistsof", "issubsetof", "isempty"}

// bareValue matches a key with a single value, which Ginkgo accepts only without a space.
var bareValue = regexp.MustCompile(`^: +([^ &|!,(){}:/][^ &|!,(){}:]*) *(?:$|[&|,)])`)

// unslashed rewrites a label filter for Ginkgo: a slash within a word becomes the dot
// that the label has there, and "id: a/b" becomes "id:a.b". A slash in front of a word
// begins a regular expression, which is left unchanged.
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
				return b.String() + filter[i:] // to Ginkgo it extends to the end
			}
			b.WriteString(filter[i : i+n+1])
			i += n + 1
			c = '/'
		case c == ':' && inWord:
			m := bareValue.FindStringSubmatchIndex(filter[i:])
			if m != nil && !slices.Contains(setOperations, strings.ToLower(filter[i+m[2]:i+m[3]])) {
				b.WriteByte(c)
				i += m[2] - 1 // skip the spaces
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

// didYouMean suggests up to three ids that resemble the given one, those that contain it
// first: "shared-read" suggests dax/ext4/shared-read.
func didYouMean(meant string, all []scenario.Info) string {
	bare := strings.Trim(meant, "*/?")
	var ids, names []string
	for _, i := range all {
		if i.Skipped != "" {
			continue
		}
		ids = append(ids, i.ID)
		if bare != "" && strings.Contains(i.ID, bare) {
			names = append(names, i.ID)
		}
	}
	if len(names) == 0 {
		names = suggest.By(bare, ids, ends)
	}
	if len(names) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(names[:min(3, len(names))], ", ") + "? "
}

// ends returns an id and its suffixes: dax/ext4/read, ext4/read, read.
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
