package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, c := range []Command{
		{Put: "/run/agent"},
		{Put: "/a file/with spaces"},
		{Start: true, Argv: []string{"/run/agent", "serve", "/dev/vport1p1"}},
		{Argv: []string{"/bin/true"}},
		{Argv: []string{"sh", "-c", "echo 'two words'; exit 3", "", "*$x\n"}},
		{Argv: []string{"faultline-put"}},
	} {
		if back := ParseCommand(c.String()); !reflect.DeepEqual(back, c) {
			t.Errorf("encoded %+v, parsed %+v", c, back)
		}
	}
	for typed, want := range map[string]Command{
		"uname -r":             {Argv: []string{"uname", "-r"}},
		"  uname\t-r ":         {Argv: []string{"uname", "-r"}},
		"":                     {Argv: []string{"/bin/sh"}},
		" \n":                  {Argv: []string{"/bin/sh"}},
		"faultline-put /etc/x": {Argv: []string{"faultline-put", "/etc/x"}},
	} {
		if got := ParseCommand(typed); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", typed, got, want)
		}
	}
}

// FuzzParseCommand checks that any input gives a program to run or a path to write,
// and that the result survives encoding and parsing.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"", "uname -r", "faultline-run\x00a\x00\x00b", "faultline-put\x00/x", "faultline-start\x00/run/agent\x00serve", "faultline-run\x00", "faultline-put\x00", "\x00", "x\x00y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := ParseCommand(s)
		if c.Put == "" && len(c.Argv) == 0 || c.Put != "" && (c.Start || c.Argv != nil) {
			t.Fatalf("%q: got %+v, want either a program or a file to put", s, c)
		}
		if strings.Contains(c.Put, "\x00") {
			t.Fatalf("%q: path has a NUL: %+v", s, c)
		}
		for _, a := range c.Argv {
			if strings.Contains(a, "\x00") {
				t.Fatalf("%q: argument has a NUL: %+v", s, c)
			}
		}
		if len(c.Argv) == 1 && c.Argv[0] == "" {
			return // no program has this name
		}
		if back := ParseCommand(c.String()); !reflect.DeepEqual(back, c) {
			t.Fatalf("%q: parsed %+v, encoded and parsed again %+v", s, c, back)
		}
	})
}
