package upstream

import (
	"cmp"
	"slices"
)

// Kernel is the origin of a kernel, as derived from its names.
type Kernel struct {
	// Base is the latest mainline release that it certainly contains, if its names show
	// one (Based).
	Base  Release
	Based bool
	// Version is its place among all releases, if its names show it (Versioned).
	Version   Version
	Versioned bool
	// Candidate reports that it may have parts of what came after Base: it was made from a
	// release candidate, or from linux-next.
	Candidate bool
	// Line is the series of updates that it belongs to.
	Line Line
	// Build is its place among the kernels of one Line and Version.
	Build []int

	early bool // vendor.early of its row
	whole bool // vendor.whole of its row
}

// Line is a series of updates, each of which contains the previous one: the kernels of
// one vendor that are made from one release. The zero Line is for kernels whose names
// do not show that one continues another: local builds and linux-next.
type Line struct{ Vendor, Series string }

func (l Line) String() string {
	if l == (Line{}) {
		return "-"
	}
	return l.Vendor + " " + l.Series
}

// Of parses a kernel's upstream version ("6.1.192", from its package or its banner)
// and its release string from uname -r ("6.1.0-56-amd64"). Either may be empty. The
// version has the patch level, which most vendors omit in the release string; the
// release string shows the vendor, and often that the kernel is a release candidate.
func Of(version, release string) Kernel {
	name := release
	if name == "" {
		name = version
	}
	v, known := vendorOf(name)
	k := Kernel{early: v.early, whole: v.whole, Build: v.build}
	if k.Base, k.Based = Base(version); !k.Based {
		k.Base, k.Based = Base(release)
		k.Candidate = Candidate(release)
	} else {
		k.Candidate = Candidate(version)
	}
	if k.Version, k.Versioned = ParseVersion(version); !k.Versioned {
		k.Version, k.Versioned = ParseVersion(release)
	}
	if v.candidate || reNumbered.MatchString(release) {
		if !k.Candidate && k.Based {
			k.Base, k.Based = k.Base.before()
		}
		k.Candidate = true
		k.Version.Candidate = max(k.Version.Candidate, v.rc)
	}
	if k.Version.Patch > 0 { // release candidates have none
		k.early = false
	}
	if known && k.Versioned && v.name != "" {
		k.Line = Line{v.name, Release{k.Version.Major, k.Version.Minor}.String()[1:]}
	}
	return k
}

// Contains reports whether the kernel has all of a mainline release; known is false
// if its names do not show it.
func (k Kernel) Contains(r Release) (contains, known bool) {
	switch {
	case !k.Based, k.early && k.Base == r:
		return false, false
	case k.Base.AtLeast(r):
		return true, true
	}
	return false, !k.Candidate
}

// ContainsUpdate reports whether the kernel has all of a stable update, such as
// 6.12.24: it is made from that or a later one of the same series, and its vendor
// takes updates whole. It is false also if the names do not show it.
func (k Kernel) ContainsUpdate(v Version) bool {
	return k.Versioned && k.whole && k.Version.Major == v.Major && k.Version.Minor == v.Minor && k.Version.Compare(v) >= 0
}

// Continues reports whether the kernel is later than older in the same line, so that it
// should have what older has. Later kernels need not keep changes of a candidate.
func (k Kernel) Continues(older Kernel) bool {
	if k.Line == (Line{}) || k.Line != older.Line || older.Version.Candidate > 0 || older.Candidate {
		return false
	}
	if k.Line.Vendor == kernelOrg {
		return k.Version.Compare(older.Version) > 0
	}
	// Without a patch level, only the build orders kernels: if one kernel has a level and
	// the other does not, they are not ordered.
	switch {
	case (k.Version.Patch == 0) != (older.Version.Patch == 0):
		return false
	case k.Version.Patch != older.Version.Patch:
		return k.Version.Patch > older.Version.Patch
	}
	return builtOn(k.Build, older.Build)
}

// builtOn reports whether a build contains another one. The first number counts builds
// of the main branch; further numbers count those of a branch that starts there, whose
// fixes need not be in later builds of the main branch: 503.11.1 of RHEL contains
// 503.11 and 427, but not 427.50.1.
func builtOn(later, earlier []int) bool {
	if len(later) == 0 || len(earlier) == 0 {
		return false
	}
	if later[0] == earlier[0] {
		return slices.Compare(later[1:], earlier[1:]) > 0
	}
	branched := slices.ContainsFunc(earlier[1:], func(n int) bool { return n > 0 })
	return cmp.Less(earlier[0], later[0]) && !branched
}
