// Package sanitize makes text that others wrote fit to be printed: what a guest
// said, or a file says that came from elsewhere, is seen as it is and steers
// neither a terminal nor what reads a pipeline's log. It cuts and words nothing.
package sanitize

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes are what a console has for a terminal: colours and cursor movements
// (ECMA-48), and carriage returns.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78cDEHM]|\r`)

// Text drops a terminal's sequences from text of several lines, and shows as a
// dot what else can't be seen: control characters, and those that turn the
// direction of writing. Bytes that are no UTF-8 become U+FFFD.
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

// Log is Text for what is printed where a machine reads along: the signs that
// begin its commands are parted by a dot. They are those of GitHub's and Azure's
// runners (::name::, ##[name] and ##vso[name] anywhere in a line, because a line
// may be wrapped), of TeamCity, and of a LAVA dispatcher.
func Log(s string) string {
	s = Text(s)
	for strings.Contains(s, "::") { // again, for ":::"
		s = strings.ReplaceAll(s, "::", ":·:")
	}
	return commands.Replace(s)
}

var commands = strings.NewReplacer("##[", "#·#[", "##vso[", "#·#vso[", "##teamcity[", "#·#teamcity[", "<LAVA_", "<·LAVA_")

// Line is Log in one line: white space of any kind is a space.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, Log(s))
}

// JSON escapes in encoded JSON the characters that an encoder may leave as they
// are and a terminal obeys or hides: DEL, C1 controls, and those without a shape.
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
