package upstream

import (
	"slices"
	"strings"
	"testing"
)

func TestVersionsAreOrdered(t *testing.T) {
	want := []string{
		"2.6.32-5-amd64", "5.10.262", "6.1.0-56-amd64", "6.1.100-rc1", "6.1.100", "6.1.192", "6.2", "6.5.0-rc1-00012-g1ea7ca1b0901",
		"6.5.0-rc10+", "v6.5", "6.5.1", "6.12.117", "6.13.0-rc5-next-20250101", "7.3~rc7", "7.3.4+deb13-amd64",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int {
		x, okX := ParseVersion(a)
		y, okY := ParseVersion(b)
		if !okX || !okY {
			t.Errorf("%q or %q: not parsed", a, b)
		}
		return x.Compare(y)
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, equal := range [][2]string{{"6.5", "v6.5.0"}, {"6.5.0-rc1+", "6.5-rc1"}, {"6.1.192-1", "6.1.192"}} {
		x, _ := ParseVersion(equal[0])
		y, _ := ParseVersion(equal[1])
		if x.Compare(y) != 0 {
			t.Errorf("got %v, want %v", x, y)
		}
	}
	for _, none := range []string{"", "next", "6", "6.1.2.3.4", "06.1", "linux-6.1", "6.", "6.1234567"} {
		if v, ok := ParseVersion(none); ok {
			t.Errorf("%q: got %v, want an error", none, v)
		}
	}
}

func TestParseUpdate(t *testing.T) {
	for _, s := range []string{"6.12.24", "5.15.120", "6.0.1"} {
		if v, err := ParseUpdate(s); err != nil || v.String() != s {
			t.Errorf("%q: got %v, error %v; want the same", s, v, err)
		}
	}
	for _, s := range []string{"", "6.12", "v6.12.24", "6.12.0", "6.12.24-rc1", "6.12.24+", "6.12.24.1", "6.12.024"} {
		if v, err := ParseUpdate(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, v)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"6.1.192", "7.3-rc7", "6.5.0-rc1-00012-g1ea7ca1b0901", "v6.5", "6.1.0-56-amd64", "next"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := ParseVersion(s)
		if !ok {
			return
		}
		again, ok := ParseVersion(v.String())
		if !ok || again.Compare(v) != 0 || strings.ContainsAny(v.String(), " \n") {
			t.Errorf("%q: parsed %v, formatted and parsed again %v", s, v, again)
		}
	})
}
