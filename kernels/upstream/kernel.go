package upstream

import (
	"cmp"
	"slices"
)

// Kernel is what its names say of where a kernel comes from.
type Kernel struct {
	// Base is the latest release of Linus's that it contains for certain, where its
	// names say that (Based).
	Base  Release
	Based bool
	// Version is its place among all releases, where its names say that (Versioned).
	Version   Version
	Versioned bool
	// Candidate reports that it may have some of what came after Base: it was made from a
	// candidate, or from linux-next.
	Candidate bool
	// Line is the series of updates that it is one of.
	Line Line
	// Build is its place among the kernels of one Line and Version.
	Build []int

	early bool // vendor.early, of the row that its name has
	whole bool // vendor.whole
}

// Line is a series of updates, each of which contains the one before: the kernels of
// one vendor that are made from one release. The zero Line is of kernels of which the
// names do not say that one continues another: local builds and linux-next.
type Line struct{ Vendor, Series string }

func (l Line) String() string {
	if l == (Line{}) {
		return "-"
	}
	return l.Vendor + " " + l.Series
}

// Of reads a kernel's upstream version ("6.1.192", as its package or its banner says it)
// and what uname -r prints of it ("6.1.0-56-amd64"). Either may be empty. The version
// says the patch level, which most vendors leave out of the other; the other says the
// vendor, and often that the kernel is a candidate.
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
	if k.Version.Patch > 0 { // no candidate has one
		k.early = false
	}
	if known && k.Versioned && v.name != "" {
		k.Line = Line{v.name, Release{k.Version.Major, k.Version.Minor}.String()[1:]}
	}
	return k
}

// Contains reports whether the kernel has all of a release of Linus's; known is false
// where its names do not say.
func (k Kernel) Contains(r Release) (contains, known bool) {
	switch {
	case !k.Based, k.early && k.Base == r:
		return false, false
	case k.Base.AtLeast(r):
		return true, true
	}
	return false, !k.Candidate
}

// ContainsUpdate reports whether the kernel has all of a stable update, 6.12.24: it is
// made from that or a later one of the same series, and its vendor takes them whole.
// False also where its names do not say.
func (k Kernel) ContainsUpdate(v Version) bool {
	return k.Versioned && k.whole && k.Version.Major == v.Major && k.Version.Minor == v.Minor && k.Version.Compare(v) >= 0
}

// Continues reports whether the kernel is a later one of older's line, so that what
// older has should be in it. Of a candidate nothing need stay.
func (k Kernel) Continues(older Kernel) bool {
	if k.Line == (Line{}) || k.Line != older.Line || older.Version.Candidate > 0 || older.Candidate {
		return false
	}
	if k.Line.Vendor == kernelOrg {
		return k.Version.Compare(older.Version) > 0
	}
	// Without a patch level, the build alone orders: where one kernel has a level and
	// the other has none, nothing does.
	switch {
	case (k.Version.Patch == 0) != (older.Version.Patch == 0):
		return false
	case k.Version.Patch != older.Version.Patch:
		return k.Version.Patch > older.Version.Patch
	}
	return builtOn(k.Build, older.Build)
}

// builtOn reports whether a build contains another one. The first number counts builds
// of the main branch; further ones count those of a branch that left it there, and
// whose fixes need not be in later builds of the main branch: 503.11.1 of RHEL contains
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
