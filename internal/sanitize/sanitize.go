// Package sanitize makes untrusted text safe to print: the output of a guest, or the
// content of a foreign file, can control neither a terminal nor a CI system that parses
// the log. It does not shorten or reword text.
package sanitize

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes matches terminal sequences in a console: colours and cursor movements
// (ECMA-48), and carriage returns.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78cDEHM]|\r`)

// Text removes terminal sequences from text of several lines, and replaces all other
// invisible characters by a dot: control characters, and those that change the writing
// direction. Invalid UTF-8 becomes U+FFFD.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.Is(unicode.Zs, r):
			return ' '
		case !unicode.IsPrint(r):
			return '·'
		}
		return r
	}, escapes.ReplaceAllString(s, ""))
}

// Log is Text for output that a CI system parses: it inserts a dot into the markers that
// start a command. They are those of GitHub's and Azure's runners (::name::, ##[name] and
// ##vso[name] anywhere in a line, because a line may be wrapped), of TeamCity, and of a
// LAVA dispatcher.
func Log(s string) string {
	s = Text(s)
	for strings.Contains(s, "::") { // again, for ":::"
		s = strings.ReplaceAll(s, "::", ":·:")
	}
	return commands.Replace(s)
}

var commands = strings.NewReplacer(
	"##[",
	"#·#[",
	"##vso[",
	"#·#vso[",
	"##teamcity[",
	"#·#teamcity[",
	"<LAVA_",
	"<·LAVA_",
)

// Line is Log on one line: any white space becomes a space.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, Log(s))
}

// JSON escapes the characters in encoded JSON that encoders leave unescaped and that a
// terminal interprets or hides: DEL, C1 controls and invisible characters.
func JSON(encoded []byte) []byte {
	steers := func(r rune) bool { return r >= 0x7f && r != utf8.RuneError && !unicode.IsPrint(r) }
	if bytes.IndexFunc(encoded, steers) < 0 {
		return encoded
	}
	var b bytes.Buffer
	for _, r := range string(encoded) {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
