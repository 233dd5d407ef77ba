package main

import (
	"fmt"
	"strings"
)

// edit replaces a text that must stand exactly once in a file of the source; where
// old is empty, new comes at the file's end.
type edit struct{ file, old, new string }

func (e edit) apply(text string) (string, error) {
	if e.old == "" {
		return text + e.new, nil
	}
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf("%s: %q stands there %d times, not once; the source is another than the edit was written for", e.file, e.old, n)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}

// undo is the edit that takes it back.
func (e edit) undo() edit { return edit{e.file, e.new, e.old} }

// remark adds a remark at a file's end: the file is compiled anew, and does the same.
func remark(file, text string) edit { return edit{file: file, new: "\n/* " + text + " */\n"} }
