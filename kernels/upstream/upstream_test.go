package upstream

import "testing"

func TestBase(t *testing.T) {
	for release, want := range map[string]string{
		// Debian
		"5.10.0-46-amd64":            "v5.10",
		"6.1.0-56-amd64":             "v6.1",
		"6.1.0-56-rt-amd64":          "v6.1",
		"6.12.117+deb12-amd64":       "v6.12",
		"6.12.117+deb12-cloud-amd64": "v6.12",
		"7.3.4+deb13-amd64":          "v7.3",
		"7.3-rc7-amd64":              "v7.2",
		"7.3-amd64":                  "v7.2", // 7.3~rc7 in experimental
		"7.3-rc7":                    "v7.2", // its version
		"7.3":                        "v7.3",
		// others
		"6.8.0-45-generic":               "v6.8",
		"5.14.0-503.11.1.el9_5.x86_64":   "v5.14",
		"6.1.75-android14-11-g1234abcde": "v6.1",
		"6.12.1-arch1-1":                 "v6.12",
		// self-built
		"6.1.192":                   "v6.1",
		"6.1.192+":                  "v6.1",
		"6.1.192faultline":          "v6.1",
		"6.5.0":                     "v6.5",
		"6.5.0+":                    "v6.5",
		"6.5.0-00012-g1ea7ca1b0901": "v6.5", // after v6.5: the Makefile changes with the next candidate
		"6.5.0-rc1":                 "v6.4",
		"6.5.0-rc1+":                "v6.4",
		"6.5.0-rc10-00001-gabc":     "v6.4",
		"6.5.0-rc1-next-20230712":   "v6.4",
		"6.5-rc1":                   "v6.4",
		"7.3~rc7":                   "v7.2",
		"6.1.100-rc1":               "v6.1", // of a stable update
		"6.1.100-rc1-gabc":          "v6.1",
		"6.1.0-backport-rc2":        "v6.1", // a local candidate
		"6.1.0-rt11-rc1":            "v6.1",
		"4.0.0-rc3":                 "v3.19",
		"5.0.0-rc8":                 "v4.20",
		"6.0.0-rc1":                 "v5.19",
		"7.0-rc1-amd64":             "v6.19",
		"10.2.0":                    "v10.2",
		// undetermined
		"":            "",
		"custom":      "",
		"6":           "",
		"6.":          "",
		"v6.1":        "",
		"6.x":         "",
		"2.6.32-5":    "",
		"3.0.0-rc1":   "", // the release before it has another form
		"8.0.0-rc1":   "", // the last 7.x is not in the table
		"0.1.2":       "",
		"6.01.3":      "",
		"6.1.2.3":     "",
		"2023.1.0-1":  "",
		"6.100.0-foo": "",
	} {
		got := ""
		if r, ok := Base(release); ok {
			got = r.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", release, got, want)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string]Release{"v6.5": {6, 5}, "6.5": {6, 5}, "v5.19": {5, 19}, "v7.0": {7, 0}} {
		if got, err := ParseRelease(s); err != nil || got != want {
			t.Errorf("%q: got %v, error %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "v", "v6", "6.5.1", "v6.5-rc1", "v6.05", "next", " v6.5"} {
		if got, err := ParseRelease(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		a, b Release
		want bool
	}{
		{Release{6, 1}, Release{6, 1}, true},
		{Release{6, 12}, Release{6, 5}, true},
		{Release{6, 1}, Release{6, 5}, false},
		{Release{7, 0}, Release{6, 19}, true},
		{Release{5, 19}, Release{6, 0}, false},
	} {
		if got := c.a.AtLeast(c.b); got != c.want {
			t.Errorf("%v at least %v: got %t, want %t", c.a, c.b, got, c.want)
		}
	}
}

func FuzzBase(f *testing.F) {
	f.Add("6.5.0-rc1+")
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := Base(s); ok && (r.Major < 3 || r.Minor < 0) {
			t.Errorf("%q: got %v, want a release of at least 3.0", s, r)
		}
	})
}
