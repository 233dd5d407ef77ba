package framework

import "testing"

func TestWord64(t *testing.T) {
	for said, want := range map[string]uint64{
		"ffffea0000400000: 0x000fffffc0001004":   0x000fffffc0001004,
		"ffd4000000400000: 0x0000000000000000\n": 0,
	} {
		if got, err := word64(said); err != nil || got != want {
			t.Errorf("%q: got %#x, error %v; want %#x", said, got, err, want)
		}
	}
	for _, said := range []string{"", "Cannot access memory at 0x0", "ffffea0000400000: 0x12"} {
		if got, err := word64(said); err == nil {
			t.Errorf("%q: got %#x, want an error", said, got)
		}
	}
}
