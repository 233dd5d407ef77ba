// Package upstream derives from a kernel's names which mainline release it contains,
// which vendor it is from, and which other kernels it continues. It uses names only:
// they do not show what was backported to a kernel, or reverted in it.
package upstream

import (
	"fmt"
	"regexp"
	"strconv"
)

// Release is a mainline release: v6.1 is {6, 1}.
type Release struct{ Major, Minor int }

func (r Release) String() string { return fmt.Sprintf("v%d.%d", r.Major, r.Minor) }

// AtLeast reports whether r is other or later.
func (r Release) AtLeast(other Release) bool {
	return r.Major > other.Major || r.Major == other.Major && r.Minor >= other.Minor
}

var reRelease = regexp.MustCompile(`^v?([1-9]\d?)\.(0|[1-9]\d?)$`)

// ParseRelease parses "v6.5" or "6.5".
func ParseRelease(s string) (Release, error) {
	m := reRelease.FindStringSubmatch(s)
	if m == nil {
		return Release{}, fmt.Errorf("%q is not a release of Linux; write it as v6.5", s)
	}
	return Release{number(m[1]), number(m[2])}, nil
}

// lastMinor maps each major number to its last release, the one before X.0 of the next.
var lastMinor = map[int]int{3: 19, 4: 20, 5: 19, 6: 19}

// The kernel's Makefile composes VERSION.PATCHLEVEL.SUBLEVEL and EXTRAVERSION, and
// builders may append anything. Kernels of WSL and Azure Linux have a fourth number.
var reBase = regexp.MustCompile(`^([1-9]\d?)\.(0|[1-9]\d?)(?:\.(\d+))?(?:[-~]rc\d+)?(?:\.\d+-[a-z0-9]|$|[^0-9.])`)

// Debian omits the .0, and sometimes the candidate too: 7.3~rc7 has the release string
// 7.3-amd64, like the final release.
var reCandidate = regexp.MustCompile(`^\d+\.\d+(?:\.0)?[-~]rc\d|^\d+\.\d+[^0-9.]`)

// reNumbered matches a candidate with its number.
var reNumbered = regexp.MustCompile(`^v?\d+\.\d+(?:\.0)?[-~]rc\d`)

// Candidate reports whether a release string is that of a mainline release candidate:
// "6.5.0-rc1+", but not "6.1.100-rc1", a candidate of a stable update.
func Candidate(release string) bool { return reCandidate.MatchString(release) }

// Base returns the latest mainline release that a kernel certainly contains, from its
// release string (uname -r) or, more precise for some, its upstream version: 6.1 for
// "6.1.0-56-amd64" and "6.1.192". A candidate does not count as its release, because
// parts of a release may come with a later candidate: "6.5.0-rc1+" is 6.4, and so is
// "6.5-amd64", which may be one. A candidate of a stable update belongs to its series. ok
// is false if the string does not determine the base.
func Base(release string) (_ Release, ok bool) {
	m := reBase.FindStringSubmatch(release)
	if m == nil {
		return Release{}, false
	}
	r := Release{number(m[1]), number(m[2])}
	if r.Major < 3 { // 2.6.32: the third number corresponds to today's second
		return Release{}, false
	}
	if !reCandidate.MatchString(release) {
		return r, true
	}
	return r.before()
}

// before returns the release before r; ok is false if it is unknown.
func (r Release) before() (_ Release, ok bool) {
	if r.Minor > 0 {
		return Release{r.Major, r.Minor - 1}, true
	}
	last, ok := lastMinor[r.Major-1]
	return Release{r.Major - 1, last}, ok
}

// number converts a match of an expression above: a few digits.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
