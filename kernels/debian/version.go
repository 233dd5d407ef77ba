package debian

import (
	"strings"

	"pault.ag/go/debian/version"
)

// CompareVersions compares Debian versions as in deb-version(7): the result is
// negative if a is older than b. Package lists have hundreds, too many to run dpkg
// for each. Any text is a version.
func CompareVersions(a, b string) int { return version.Compare(parse(a), parse(b)) }

// parse splits a version. version.Parse refuses what policy does.
func parse(text string) (v version.Version) {
	if e, rest, ok := strings.Cut(text, ":"); ok {
		for _, d := range e {
			v.Epoch = v.Epoch*10 + uint(d-'0')
		}
		text = rest
	}
	v.Version = text
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		v.Version, v.Revision = text[:i], text[i+1:]
	}
	return v
}
