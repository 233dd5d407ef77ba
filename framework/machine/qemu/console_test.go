package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func seen(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestConsoleKeepsAllAndTheEnd(t *testing.T) {
	var file bytes.Buffer
	c := NewConsole(&file)
	var want strings.Builder
	for i := range 10_000 {
		line := fmt.Sprintf("line %d\r\n", i)
		want.WriteString(line)
		if n, err := c.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("wrote %d bytes, error %v; want %d bytes", n, err, len(line))
		}
	}
	if file.String() != want.String() {
		t.Error("the file lacks something")
	}
	if got := c.Tail(2); got != "line 9998\nline 9999" {
		t.Errorf("got the tail %q, want the last 2 lines", got)
	}
	if len(c.tail) > 3*tailBytes {
		t.Errorf("got %d bytes kept, want at most %d", len(c.tail), 3*tailBytes)
	}
}

func TestConsoleTellsOfATextInPieces(t *testing.T) {
	c := NewConsole(nil)
	panics, never := c.Seen("Kernel panic"), c.Seen("never")
	for _, piece := range []string{strings.Repeat("x", 3*tailBytes), "Kern", "el pa", "nic"} {
		if seen(panics) {
			t.Fatalf("got the panic seen before %q, want it after the last piece", piece)
		}
		c.Write([]byte(piece))
	}
	if !seen(panics) || seen(never) || !seen(c.Seen("Kernel panic")) {
		t.Error("the panic was not seen, or something else was")
	}
	if !seen(c.Seen("el pan")) { // registered late, still in the tail
		t.Error("what was printed shortly before was not seen")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestConsoleOutlivesAFullDisk(t *testing.T) {
	c := NewConsole(full{})
	for _, s := range []string{"one\n", "two\n"} {
		if n, err := c.Write([]byte(s)); n != len(s) || err != nil { // an error would end the copying
			t.Fatalf("wrote %d bytes, error %v; want %d bytes", n, err, len(s))
		}
	}
	if got := c.Tail(5); got != "one\ntwo" {
		t.Errorf("got %q, want one and two", got)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"\x1bc\x1b[?7l\x1b[2JSeaBIOS\r\n\x1b[1;31mred\x1b[0m\ttab\x00\x7f": "SeaBIOS\nred\ttab",
		"a\x1b":   "a",
		"a\x1b[":  "a",
		"ä\r\nb":  "ä\nb",
		"\x1b[1":  "",
		"a\x1b]b": "ab",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[2Jx\x1b")
	f.Fuzz(func(t *testing.T, s string) {
		out := plain(s)
		if strings.ContainsAny(out, "\x1b\r\x00") || len(out) > len(s) || utf8.ValidString(s) && !strings.Contains(s, "\x1b") && !utf8.ValidString(out) {
			t.Errorf("%q: got %q, want it without escapes, and not longer", s, out)
		}
		if again := plain(out); again != out {
			t.Errorf("got %q, and of that %q; want the same", out, again)
		}
	})
}
