package debian

import "strings"

// CompareVersions compares Debian versions as in deb-version(7): the result is
// negative if a is older than b. Package lists have hundreds, too many to run dpkg
// for each.
func CompareVersions(a, b string) int {
	ea, a := epoch(a)
	eb, b := epoch(b)
	if c := compareText(ea, eb); c != 0 {
		return c
	}
	ua, ra := revision(a)
	ub, rb := revision(b)
	if c := compareText(ua, ub); c != 0 {
		return c
	}
	return compareText(ra, rb)
}

func epoch(v string) (string, string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		return e, rest
	}
	return "", v
}

func revision(v string) (string, string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// compareText compares runs without digits and runs with digits alternately.
func compareText(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			ra, rb := rank(a), rank(b)
			if ra != rb {
				return ra - rb
			}
			a, b = rest(a), rest(b)
		}
		na, nb := digits(a), digits(b)
		a, b = a[len(na):], b[len(nb):]
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if c := strings.Compare(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// rank orders single characters: the tilde sorts before the end (or a digit), the end
// before letters, letters before the rest.
func rank(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func rest(s string) string {
	if s == "" || digit(s[0]) {
		return s
	}
	return s[1:]
}

func digits(s string) string {
	i := 0
	for i < len(s) && digit(s[i]) {
		i++
	}
	return s[:i]
}
