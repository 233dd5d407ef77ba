package suggest

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	known := []string{"apt", "deb", "dir", "name", "bookworm", "bullseye", "linux-image-amd64"}
	for written, want := range map[string][]string{
		"aptt":              {"apt"},
		"dri":               {"dir"},
		"git":               nil,
		"nmae":              {"name"},
		"bookwrm":           {"bookworm"},
		"linux-image-amd46": {"linux-image-amd64"},
		"b":                 {"bookworm", "bullseye"},
		"":                  nil,
		"nothing like it":   nil,
	} {
		if got := Names(written, known); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"read", "raed", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
