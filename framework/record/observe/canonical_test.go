package observe

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestBadSectors(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "none",
		"\n":                     "none",
		"20512 8\n":              "8 sectors",
		"20512 8\n40960 1\n":     "8 sectors, 1 sectors",
		" 20512 8 \n  40960 1\n": "8 sectors, 1 sectors",
		"20512 eight\n":          `no sectors: "20512 eight"`,
		"20512 -8\n20512 8":      `no sectors: "20512 -8", 8 sectors`,
		"20512\n":                `no sectors: "20512"`,
		"1 2 3\n":                `no sectors: "1 2 3"`,
	} {
		if got := BadSectors(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPageKind(t *testing.T) {
	for _, test := range []struct {
		flags []int
		want  string
	}{
		{nil, "plain"},
		{[]int{12}, "anonymous"},
		{[]int{5, 12, 22}, "anonymous, huge"},
		{[]int{13, 12}, "anonymous, in the swap cache"},
		{[]int{17, 19}, "hugetlb, hwpoison"},
	} {
		var entry uint64
		for _, bit := range test.flags {
			entry |= 1 << bit
		}
		if got := PageKind(binary.LittleEndian.AppendUint64(nil, entry)); got != test.want {
			t.Errorf("%v: got %q, want %q", test.flags, got, test.want)
		}
	}
	if got := PageKind([]byte("short")); got != "no page" {
		t.Errorf("got %q, want no page", got)
	}
}

// FuzzBadSectors: any list of a guest becomes one printable line of bounded length.
func FuzzBadSectors(f *testing.F) {
	for _, s := range []string{"", "20512 8\n", " 1 2 \n\n3 4\r\n", "x y\n", "1 99999999999999999999\n", "1 \x1b[31m\n", "\xff \xfe", "0 0\n0 00\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := BadSectors(text)
		if got == "" || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) || (got == "none") != (strings.TrimSpace(text) == "") {
			t.Errorf("%q: got %q, want printable text, and none exactly if there is no text", text, got)
		}
		if lines := strings.Count(text, "\n") + 1; len(got) > 500*lines {
			t.Errorf("got %d bytes of %d lines, want at most %d", len(got), lines, 500*lines)
		}
	})
}

// An endless repetition of events is listed without their number, which depends on the
// host.
func TestMemoryFailures(t *testing.T) {
	event := func(action string) map[string]any {
		return map[string]any{"recipient": "guest", "action": action, "flags": map[string]any{"action-required": true, "recursive": false}}
	}
	for _, tt := range []struct {
		events []map[string]any
		want   string
	}{
		{nil, ""},
		{[]map[string]any{event("inject"), event("inject")}, "MEMORY_FAILURE guest inject action-required, MEMORY_FAILURE guest inject action-required"},
		{append(slices.Repeat([]map[string]any{event("inject")}, 100), event("reset")), "MEMORY_FAILURE guest inject action-required again and again, MEMORY_FAILURE guest reset action-required"},
		{slices.Repeat([]map[string]any{event("inject")}, 50), "MEMORY_FAILURE guest inject action-required again and again"},
	} {
		if got := MemoryFailures(tt.events); got != tt.want {
			t.Errorf("%d events: got %q, want %q", len(tt.events), got, tt.want)
		}
	}
}
