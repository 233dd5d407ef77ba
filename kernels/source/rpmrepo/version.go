package rpmrepo

import (
	"cmp"
	"strings"

	"github.com/sassoftware/go-rpmutils"
)

// newer orders packages by epoch, version and release, as rpm does.
func newer(a, b pkg) int {
	return cmp.Or(
		compareVersions(cmp.Or(a.Version.Epoch, "0"), cmp.Or(b.Version.Epoch, "0")),
		compareVersions(a.Version.Version, b.Version.Version),
		compareVersions(a.Version.Release, b.Version.Release),
	)
}

// compareVersions compares versions or releases (rpm-version(7)): the result is negative if
// a is older. A caret begins a snapshot after a release (6.12^20260301 is newer than 6.12 and
// older than 6.12.1); the library knows the tilde (6.12~rc1 is older than 6.12), but not the
// caret.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "^"), strings.Split(b, "^")
	for i := range min(len(as), len(bs)) {
		if c := rpmutils.Vercmp(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// sameBuild reports whether packages are of one build, for one architecture.
func sameBuild(a, b pkg) bool { return newer(a, b) == 0 && a.Arch == b.Arch }

// better orders packages by version, then by architecture: x86_64 before x86_64_v2, which
// fewer processors have.
func better(a, b pkg) int { return cmp.Or(newer(a, b), strings.Compare(b.Arch, a.Arch)) }
