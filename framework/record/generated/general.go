package generated

import (
	"regexp"
	"strings"
)

// addressed matches an address or a device in a record, with its offset.
var addressed = regexp.MustCompile(`(?:pmem\([a-z0-9,-]+\)|swap of )?[a-z]*(?:#\d+)?\+0x[0-9a-f]+`)

// process matches the names of processes.
var process = regexp.MustCompile(`\b(victim|child|second|thread|reader)\b`)

// General returns a text of a program's cell without the names of places and processes, so
// that those of different programs can be compared: BYTE is the byte that is accessed, PAGE
// the page, START the start of its mapping, and PROCESS a process.
func General(text string) string {
	text = addressed.ReplaceAllStringFunc(text, func(at string) string {
		_, offset, _ := strings.Cut(at, "+0x")
		switch offset {
		case "4005", "5": // "5" is in a page that was moved to the start of another mapping
			return "BYTE"
		case "4000":
			return "PAGE"
		case "0":
			return "START"
		}
		return "ADDRESS"
	})
	return process.ReplaceAllString(text, "PROCESS")
}
