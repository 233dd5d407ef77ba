package upstream

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

type example struct{ name, version, base, line, build, due, update string }

// examples reads testdata/names.txt.
func examples(t *testing.T) (out []example) {
	t.Helper()
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			if len(f) != 7 {
				t.Fatalf("%q: got %d columns, want 7", line, len(f))
			}
			out = append(out, example{f[0], f[1], f[2], f[3], f[4], f[5], f[6]})
		}
	}
	return out
}

func (e example) kernel() Kernel { return Of(strings.TrimPrefix(e.version, "-"), e.name) }

// read returns the example as derived from its names.
func (e example) read(t *testing.T) example {
	t.Helper()
	k := e.kernel()
	line := strings.ReplaceAll(k.Line.String(), " ", "_")
	got := example{name: e.name, version: e.version, base: "-", line: line, build: "-", due: "-", update: "-"}
	if k.Based {
		got.base = k.Base.String()
	}
	if len(k.Build) > 0 {
		got.build = strings.Trim(strings.ReplaceAll(fmt.Sprint(k.Build), " ", "."), "[]")
	}
	for major := 3; major < 8; major++ {
		for minor := range 21 {
			r := Release{major, minor}
			contains, known := k.Contains(r)
			if contains && !known {
				t.Errorf("%s: contains %v, but known is false", e.name, r)
			}
			if contains {
				got.due = r.String()
			}
			for patch := 1; patch < 400; patch++ {
				if v := (Version{major, minor, patch, 0}); k.ContainsUpdate(v) {
					got.update = v.String()
				}
			}
		}
	}
	return got
}

// Names of kernels in real use.
func TestNames(t *testing.T) {
	all := examples(t)
	if len(all) < 60 {
		t.Errorf("got %d examples, want at least 60", len(all))
	}
	for _, want := range all {
		got := want.read(t)
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// Each vendor has an example, which matches the intended row.
func TestEveryVendorHasAnExample(t *testing.T) {
	missing := map[string]bool{}
	for _, r := range vendors {
		missing[r.name] = true
	}
	for _, e := range examples(t) {
		for _, r := range vendors {
			if r.line.MatchString(e.name) {
				delete(missing, r.name)
				break
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("got no example of the vendors %v, want one of each", missing)
	}
}

// Pairs of which the later kernel should have what the earlier one has.
func TestContinues(t *testing.T) {
	of := func(name string) Kernel {
		version, release, both := strings.Cut(name, " ")
		if !both {
			version, release = "", version
		}
		return Of(version, release)
	}
	for _, pair := range [][2]string{ // the second continues the first, not vice versa
		{"6.1.190", "6.1.192"},
		{"6.1.0", "6.1.1"},
		{"6.1.99", "6.1.100-rc1"},
		{"4.18.0-348.12.2.el8_5.x86_64", "4.18.0-348.20.1.el8_5.x86_64"},
		{"4.18.0-240.el8.x86_64", "4.18.0-553.16.1.el8_10.x86_64"},
		{"5.14.0-503.11.1.el9_5.x86_64", "5.14.0-503.14.1.el9_5.x86_64+debug"},
		{"5.14.0-503.el9.x86_64", "5.14.0-611.el9.x86_64"},
		{"5.15.0-305.176.4.el9uek.x86_64", "5.15.0-305.177.1.el9uek.x86_64"},
		{"6.4.0-150600.23.25-default", "6.4.0-150600.23.53-default"},
		{"6.14.4-1-default", "6.14.6-1-default"},
		{"6.8.0-44-generic", "6.8.0-134-generic"},
		{"6.8.0-1013-gke", "6.8.0-1055-gke"},
		{"6.1.190 6.1.0-55-amd64", "6.1.192 6.1.0-56-amd64"},
		{"6.1.0-55-amd64", "6.1.0-56-cloud-amd64"},
		{"6.12.100+deb13-amd64", "6.12.117+deb13-amd64"},
		{"6.1.66-91.160.amzn2023.x86_64", "6.1.112-122.189.amzn2023.x86_64"},
		{"6.19.7-200.fc43.x86_64", "6.19.10-200.fc43.x86_64"},
		{"6.8.12-4-pve", "6.8.12-5-pve"},
		{"5.15.133.1-microsoft-standard-WSL2", "5.15.153.1-microsoft-standard-WSL2"},
		{"6.1.43-android14-11-g1234567", "6.1.128-android14-11-g213d628eb429"},
		{"6.6.20+rpt-rpi-v8", "6.6.31+rpt-rpi-2712"},
	} {
		a, b := of(pair[0]), of(pair[1])
		if !b.Continues(a) {
			t.Errorf("%s does not continue %s", pair[1], pair[0])
		}
		if a.Continues(b) || a.Continues(a) || b.Continues(b) {
			t.Errorf("%s continues %s, or one continues itself", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{ // neither continues the other
		{"6.1.192", "6.2"},
		{"6.1.200", "6.4"},
		{"6.3", "6.4"},
		{"6.1.192", "6.1.192+"},
		{"6.1.192-a", "6.1.193-b"},
		{"6.1.190", "6.1.192 6.1.0-56-amd64"},
		{"5.14.0-611.el9.x86_64", "6.1.192 6.1.0-56-amd64"},
		{"4.18.0-553.el8.x86_64", "5.10.262 5.10.0-46-amd64"},
		{"5.15.0-306.177.4.el9uek.x86_64", "5.15.190"},
		{"5.15.0-306.177.4.el8uek.x86_64", "5.15.0-307.178.5.el9uek.x86_64"},
		{"6.12.0-55.el10.x86_64", "6.12.0-203.76.7.1.el9uek.x86_64"},
		{"5.14.0-427.50.1.el9_4.x86_64", "5.14.0-503.11.1.el9_5.x86_64"}, // another branch's fix
		{"6.4.0-150600.23.73-default", "6.4.0-150700.53.31-default"},
		{"6.4.0-110-generic", "6.4.5"},
		{"6.8.0-44-generic", "6.8.0-1055-gke"},
		{"6.8.0-44-generic", "6.8.12-4-pve"},
		{"6.1.0-56-amd64", "6.1.150 6.1.0-30-amd64"}, // the patch level of one is unknown
		{"6.5.0-rc1", "6.5.0"},                       // changes of a candidate may be reverted
		{"6.1.100-rc1", "6.1.100"},
		{"6.4.0-next-20230703", "6.4.0-next-20230707"},
		{"6.15.0-0.rc3.20250422gita33b5a08cbbd.29.fc43.x86_64", "6.15.1-200.fc43.x86_64"},
		{"6.1.43-android14-11-g1234567", "6.1.128-android15-8-g213d628eb429"},
		{"6.6.105+", "6.6.110+"},
		{"mine", "mine"},
	} {
		a, b := of(pair[0]), of(pair[1])
		if a.Continues(b) || b.Continues(a) {
			t.Errorf("one of %s and %s continues the other", pair[0], pair[1])
		}
	}
}

// A release of which a kernel may have a part is unknown for it.
func TestContains(t *testing.T) {
	for _, c := range []struct {
		name, release   string
		contains, known bool
	}{
		{"6.5.0-rc3+", "v6.4", true, true},
		{"6.5.0-rc3+", "v6.5", false, false},
		{"6.4.0-next-20230707", "v6.4", false, false},
		{"6.4.0-next-20230707", "v6.5", false, false},
		{"6.8.0-11-generic", "v6.7", true, true},
		{"6.8.0-11-generic", "v6.8", false, false},
		{"6.8.0-11-generic", "v6.9", false, true},
		{"6.1.0-0-amd64", "v6.1", false, false},
		{"6.1.192", "v6.1", true, true},
		{"6.1.192", "v6.2", false, true},
		{"mine", "v3.0", false, false},
	} {
		r, err := ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		if contains, known := Of("", c.name).Contains(r); contains != c.contains || known != c.known {
			t.Errorf("%s and %s: got %t, known %t; want %t, known %t", c.name, c.release, contains, known, c.contains, c.known)
		}
	}
	// A package version 6.5.0 is a candidate if uname -r shows one.
	for _, release := range []string{
		"6.5.0-next-20230701", "6.5.0-rc1-next-20230712", "6.5.0-rc3+", "6.5.0-0.rc4.30.fc39.x86_64",
		"6.5.0-060500rc5-generic",
	} {
		if k := Of("6.5.0", release); k.Base != (Release{6, 4}) || !k.Candidate {
			t.Errorf("%s: got %+v, want the base 6.4, and a candidate", release, k)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("6.1.192", "6.1.0-56-amd64")
	f.Add("", "5.14.0-503.15.1.el9_5.x86_64+debug")
	f.Add("6.5.0", "6.5.0-0.rc0.1.fc39")
	f.Fuzz(func(t *testing.T, version, release string) {
		k := Of(version, release)
		if k.Continues(k) {
			t.Errorf("%q, %q continues itself: %+v", version, release, k)
		}
		if contains, known := k.Contains(k.Base); contains && (!known || !k.Based) {
			t.Errorf("%q, %q: got %+v, want its base known", version, release, k)
		}
		if slices.Contains(k.Build, -1) {
			t.Errorf("%q, %q: got build %v, want no -1 in it", version, release, k.Build)
		}
	})
}
