package judge

import (
	"fmt"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/kernels/upstream"
)

// A change counts as lost only if the kernel's own line should contain it: its upstream
// release or stable update has it (due), or an older kernel of the same line shows it
// (continues). A backport in one line implies nothing for another.

// carries reports whether the upstream release or stable update that a kernel is based
// on has a change; shown is false if its version and release do not show it.
func (k Kernel) carries(c change.Change) (has, shown bool) {
	since, err := upstream.ParseRelease(c.Since)
	if err != nil {
		return false, false
	}
	has, shown = k.Contains(since)
	if k.updated(c) != "" {
		has, shown = true, true
	}
	if k.fixed(c) != "" {
		has = false
	}
	return has, shown
}

// fixed returns the release or stable update that fixed a bug, if the kernel contains it,
// else "".
func (k Kernel) fixed(c change.Change) string {
	if until, err := upstream.ParseRelease(c.Until); err == nil {
		if contains, _ := k.Contains(until); contains {
			return c.Until
		}
	}
	return k.first(c.Fixed)
}

// updated returns the stable update that brought a change to a kernel's series, if the
// kernel contains that update, else "".
func (k Kernel) updated(c change.Change) string { return k.first(c.Stable) }

// first returns the first stable update of a list that the kernel contains, else "".
func (k Kernel) first(updates []string) string {
	for _, s := range updates {
		if v, err := upstream.ParseUpdate(s); err == nil && k.ContainsUpdate(v) {
			return s
		}
	}
	return ""
}

// due describes why a kernel should have a change: the upstream version that it is
// based on, and the first one with the change; "" if it need not have it.
func (k Kernel) due(c change.Change) string {
	since, err := upstream.ParseRelease(c.Since)
	if err == nil {
		if has, _ := k.Contains(since); has {
			return fmt.Sprintf(
				"%s is based on %v but does not have %s (%sin %s and later)",
				k.Name,
				k.Base,
				c.ID,
				commit(c),
				c.Since,
			)
		}
	}
	if s := k.updated(c); s != "" {
		return fmt.Sprintf(
			"%s is based on %v but does not have %s (%sin %s and later)",
			k.Name,
			k.Version,
			c.ID,
			commit(c),
			s,
		)
	}
	return ""
}

// commit returns a change's commit for a sentence, or "" if it is not known.
func commit(c change.Change) string {
	if c.Commit == "" {
		return ""
	}
	return c.Commit + ", "
}

// continues reports whether a kernel is a later kernel of another's line.
func (k Kernel) continues(other Kernel) bool {
	return k.MadeFrom != "" && k.MadeFrom == other.Name || k.Continues(other.Kernel)
}

// accountable reports whether a kernel can lose a change at all. It is false for a change
// that the user claims it does not have, and for one that is a bug and was fixed later.
func (k Kernel) accountable(c change.Change) bool {
	has, claimed := k.Claims[c.ID]
	return (has || !claimed) && c.Until == ""
}
