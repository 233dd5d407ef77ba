package framework

import (
	"testing"

	"github.com/faultline/faultline/framework/observe"
)

func TestBadblocks(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "none",
		"\n":                     "none",
		"20512 8\n":              "8 sectors",
		"20512 8\n40960 1\n":     "8 sectors, 1 sectors",
		" 20512 8 \n  40960 1\n": "8 sectors, 1 sectors",
	} {
		if got := badblocks(text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestSeenInWords(t *testing.T) {
	rec := newRecorder(nil)
	seen := rec.add("victim", "load file+0x4000 width 1", observe.Outcome{Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: 12, Addr: "file+0x4000"}}}, "file+0x4000")
	if want := "victim: load file+0x4000 width 1 → SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"; seen.String() != want {
		t.Errorf("%q", seen)
	}
}
