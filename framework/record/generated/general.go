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
		name, offset, _ := strings.Cut(at, "+0x")
		// The page may have been moved to the start of another mapping.
		moved := strings.Contains(name, "#")
		switch {
		case offset == "4005" || moved && offset == "5":
			return "BYTE"
		case offset == "4000" || moved && offset == "0":
			return "PAGE"
		case offset == "0":
			return "START"
		}
		return "ADDRESS"
	})
	return process.ReplaceAllString(text, "PROCESS")
}
