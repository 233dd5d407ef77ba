// Package upstream reads from the names of a kernel which release of Linus's it
// contains, whose kernel it is, and which others it continues. It reads names only:
// what was backported to a kernel, or taken out of it, no name says.
package upstream

import (
	"fmt"
	"regexp"
	"strconv"
)

// Release is a release of Linus's: v6.1 is {6, 1}.
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("v%d.%d", r.Major, r.Minor) }

// AtLeast says whether r is other, or came after it.
func (r Release) AtLeast(other Release) bool {
	return r.Major > other.Major || r.Major == other.Major && r.Minor >= other.Minor
}

var reRelease = regexp.MustCompile(`^v?([1-9]\d?)\.(0|[1-9]\d?)$`)

// ParseRelease reads "v6.5" or "6.5".
func ParseRelease(s string) (Release, error) {
	m := reRelease.FindStringSubmatch(s)
	if m == nil {
		return Release{}, fmt.Errorf("%q is no release of Linux; write it as v6.5", s)
	}
	return Release{number(m[1]), number(m[2])}, nil
}

// lastMinor is the last release of each major number: what came before X.0.
var lastMinor = map[int]int{3: 19, 4: 20, 5: 19, 6: 19}

// The kernel's Makefile makes VERSION.PATCHLEVEL.SUBLEVEL and EXTRAVERSION, and
// who builds it adds what he likes.
// WSL's kernels and Azure Linux's have a fourth number.
var reBase = regexp.MustCompile(`^([1-9]\d?)\.(0|[1-9]\d?)(?:\.(\d+))?(?:[-~]rc\d+)?(?:\.\d+-[a-z0-9]|$|[^0-9.])`)

// Debian leaves the .0 away, and sometimes the candidate too: 7.3~rc7 says that
// it is 7.3-amd64, as the release does.
var reCandidate = regexp.MustCompile(`^\d+\.\d+(?:\.0)?[-~]rc\d|^\d+\.\d+[^0-9.]`)

// reNumbered is a candidate that says which one it is.
var reNumbered = regexp.MustCompile(`^v?\d+\.\d+(?:\.0)?[-~]rc\d`)

// Candidate says whether a release string is that of a candidate of Linus's:
// "6.5.0-rc1+", and not "6.1.100-rc1", which is one of a stable update.
func Candidate(release string) bool { return reCandidate.MatchString(release) }

// Base is the latest release that a kernel contains for certain, by its release
// string (uname -r) or, which tells more of some, its upstream version: 6.1 for
// "6.1.0-56-amd64" and "6.1.192". A candidate does not count as its release,
// because what a release has can come with a later candidate: "6.5.0-rc1+" is
// 6.4, and so is "6.5-amd64", which may be one. A candidate of a stable update is
// of its series. ok is false for a string that does not tell.
func Base(release string) (_ Release, ok bool) {
	m := reBase.FindStringSubmatch(release)
	if m == nil {
		return Release{}, false
	}
	r := Release{number(m[1]), number(m[2])}
	if r.Major < 3 { // 2.6.32: the third number was what now is the second
		return Release{}, false
	}
	if !reCandidate.MatchString(release) {
		return r, true
	}
	return r.before()
}

// before is the release before r; ok is false where it is not known.
func (r Release) before() (_ Release, ok bool) {
	if r.Minor > 0 {
		return Release{r.Major, r.Minor - 1}, true
	}
	last, ok := lastMinor[r.Major-1]
	return Release{r.Major - 1, last}, ok
}

// number reads what an expression above matched: digits, few of them.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
