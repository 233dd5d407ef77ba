package kernels

import (
	"regexp"
	"strings"
)

var (
	reBannerDebian = regexp.MustCompile(`Debian (\d[^ ]*)`)
	reVersion      = regexp.MustCompile(`^\d+\.\d+(\.\d+)?(-rc\d+)?`)
)

// UpstreamVersion returns the upstream part of a Debian version:
// "6.1.192-1" is 6.1.192, "7.3~rc2-1~exp1" is 7.3-rc2.
func UpstreamVersion(debian string) string {
	if _, v, ok := strings.Cut(debian, ":"); ok {
		debian = v
	}
	if i := strings.LastIndexByte(debian, '-'); i > 0 {
		debian = debian[:i]
	}
	debian = strings.Replace(debian, "~rc", "-rc", 1)
	if v := reVersion.FindString(debian); v != "" {
		return v
	}
	return debian
}

// imageVersion returns the upstream version of an image: the one in Debian's banner,
// since Debian's release strings omit the patch level, else that of the
// release string.
func imageVersion(release, banner string) string {
	if m := reBannerDebian.FindStringSubmatch(banner); m != nil && strings.Contains(m[1], ".") {
		// The compiler has "(Debian 12.2.0-14+deb12u1)": the kernel's version is the last.
		all := reBannerDebian.FindAllStringSubmatch(banner, -1)
		if v := UpstreamVersion(all[len(all)-1][1]); sameSeries(v, release) {
			return v
		}
	}
	if v := reVersion.FindString(release); v != "" {
		return v
	}
	return release
}

func sameSeries(version, release string) bool {
	v, r := strings.SplitN(version, ".", 3), strings.SplitN(release, ".", 3)
	return len(v) > 1 && len(r) > 1 && v[0] == r[0] && v[1] == r[1][:min(len(r[1]), len(v[1]))]
}
