package klog

import (
	"regexp"
	"strings"
)

// PanicMark begins the line that a kernel logs when it panics
// (kernel/panic.c), and the note of a step that it panicked in.
const PanicMark = "Kernel panic - not syncing"

// PanicNote returns the panic line of a console, without its time and with N for addresses and
// page frame addresses, followed by the text of the machine check that caused it; "" if the
// console has neither.
func PanicNote(console string) string {
	note := pageFrame.ReplaceAllString(PanicText(console), "${1}N")
	const mark = "Machine check: " // mce_panic in arch/x86/kernel/cpu/mce/core.c
	if i := strings.Index(console, mark); i >= 0 {
		line, _, _ := strings.Cut(console[i+len(mark):], "\n")
		note += ": Machine check: " + strings.TrimSpace(line)
	}
	return note
}

// PanicText is the kernel's panic line in a console's text, without its time, or "".
func PanicText(console string) string {
	i := strings.Index(console, PanicMark)
	if i < 0 {
		return ""
	}
	line, _, _ := strings.Cut(console[i:], "\n")
	return strings.TrimSpace(line)
}

// pageFrame matches a page frame number, which differs between guests of the same kernel.
var pageFrame = regexp.MustCompile(`(Memory failure: )0x[0-9a-f]+`)
