package main

import (
	"fmt"
	"strings"
)

// edit replaces a text that must occur exactly once in a file of the source; if old is
// empty, it appends new.
type edit struct{ file, old, new string }

func (e edit) apply(text string) (string, error) {
	if e.old == "" {
		return text + e.new, nil
	}
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf(
			"%s: %q occurs %d times, not once; the edit was written for another version of the source",
			e.file,
			e.old,
			n,
		)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}

// undo returns the edit that reverts it.
func (e edit) undo() edit { return edit{e.file, e.new, e.old} }

// remark appends a comment to a file, which is then compiled again without a change in
// behaviour.
func remark(file, text string) edit { return edit{file: file, new: "\n/* " + text + " */\n"} }
