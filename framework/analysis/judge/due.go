package judge

import (
	"fmt"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/kernels/upstream"
)

// A kernel is accused of a loss only of what its own line should contain: what its
// upstream release or stable update has (due), or what an older kernel of the same line
// was seen to have (continues). A backport in one line says nothing about another.

// carries reports whether upstream's release or stable update that a kernel was made
// from has a change; shown is false where its names do not show it.
func (k Kernel) carries(c change.Change) (has, shown bool) {
	since, err := upstream.ParseRelease(c.Since)
	if err != nil {
		return false, false
	}
	has, shown = k.Contains(since)
	if k.updated(c) != "" {
		has, shown = true, true
	}
	if until, err := upstream.ParseRelease(c.Until); err == nil {
		if fixed, _ := k.Contains(until); fixed {
			has = false
		}
	}
	return has, shown
}

// updated is the stable update that brought a change to the series of a kernel which
// contains it, or "".
func (k Kernel) updated(c change.Change) string {
	for _, s := range c.Stable {
		if v, err := upstream.ParseUpdate(s); err == nil && k.ContainsUpdate(v) {
			return s
		}
	}
	return ""
}

// due words why a kernel should have a change by what upstream has: what it was made
// from, and since when that has it; "" where it need not.
func (k Kernel) due(c change.Change) string {
	since, err := upstream.ParseRelease(c.Since)
	if err == nil {
		if has, _ := k.Contains(since); has {
			return fmt.Sprintf("%s was made from %v and lacks %s (%s, in %s and later)", k.Name, k.Base, c.ID, c.Commit, c.Since)
		}
	}
	if s := k.updated(c); s != "" {
		return fmt.Sprintf("%s was made from %v and lacks %s (%s, in %s and later)", k.Name, k.Version, c.ID, c.Commit, s)
	}
	return ""
}

// continues reports whether a kernel is a later one of another's line.
func (k Kernel) continues(other Kernel) bool {
	return k.MadeFrom != "" && k.MadeFrom == other.Name || k.Continues(other.Kernel)
}

// accountable reports whether a kernel can lose a change at all: not what its user says
// that it does not have, and not a bug that was fixed.
func (k Kernel) accountable(c change.Change) bool {
	has, claimed := k.Claims[c.ID]
	return (has || !claimed) && c.Until == ""
}
