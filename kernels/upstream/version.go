package upstream

import (
	"cmp"
	"fmt"
	"regexp"
)

// Version is a kernel's place among all releases, numbered as in its Makefile: 6.1.192
// is {6, 1, 192, 0}, and 7.3-rc7 is {7, 3, 0, 7}.
type Version struct {
	Major, Minor, Patch int
	Candidate           int // number of a release candidate, from 1; 0 for the final release
}

var reVersion = regexp.MustCompile(
	`^v?([1-9]\d?)\.(0|[1-9]\d{0,3})(?:\.(\d{1,6}))?(?:[-~]rc([1-9]\d{0,2}))?(?:\.\d+-[a-z0-9]|$|[^0-9.])`,
)

// ParseVersion parses the version at the start of a kernel's name: "6.1.192",
// "7.3-rc7", "6.5.0-rc1-00012-g1ea7ca1b0901", "6.1.0-56-amd64". Suffixes of a
// distribution or a branch do not affect the order. ok is false for a name that does
// not start with a version.
func ParseVersion(name string) (_ Version, ok bool) {
	m := reVersion.FindStringSubmatch(name)
	if m == nil {
		return Version{}, false
	}
	return Version{number(m[1]), number(m[2]), number(m[3]), number(m[4])}, true
}

var reUpdate = regexp.MustCompile(`^[1-9]\d?\.(?:0|[1-9]\d?)\.[1-9]\d{0,3}$`)

// ParseUpdate parses a stable update, "6.12.24"; any other form is an error.
func ParseUpdate(s string) (Version, error) {
	if !reUpdate.MatchString(s) {
		return Version{}, fmt.Errorf("%q is not a stable update of Linux; write it as 6.12.24", s)
	}
	v, _ := ParseVersion(s)
	return v, nil
}

func (v Version) String() string {
	out := fmt.Sprintf("%d.%d", v.Major, v.Minor)
	if v.Patch > 0 {
		out += fmt.Sprintf(".%d", v.Patch)
	}
	if v.Candidate > 0 {
		out += fmt.Sprintf("-rc%d", v.Candidate)
	}
	return out
}

// Compare compares versions: the result is negative if v is before other. A stable series
// is after its release and before the next release, whenever its updates came out, and a
// candidate is before its release.
func (v Version) Compare(other Version) int {
	// A release is after all its candidates.
	order := func(v Version) int { return cmp.Or(v.Candidate, 1<<16) }
	return cmp.Or(cmp.Compare(v.Major, other.Major), cmp.Compare(v.Minor, other.Minor),
		cmp.Compare(v.Patch, other.Patch), cmp.Compare(order(v), order(other)))
}
