package history

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/kernels/upstream"
)

// named is the number of scenarios of a move or a gap that are listed at most.
const named = 8

// Write writes what flipped between which kernels as text: one line for each change, and
// the scenarios below it. A finding begins with !.
func (h History) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"%s, the oldest first: %s\n",
		english.Plural(len(h.Kernels), "kernel", ""),
		sanitize.Line(strings.Join(titles(h.Kernels), ", ")),
	)
	if len(h.Unplaced) > 0 {
		fmt.Fprintf(
			&b,
			"Not compared, because the version cannot be read: %s\n",
			sanitize.Line(strings.Join(titles(h.Unplaced), ", ")),
		)
	}
	at := [2]int{-1, -1}
	for _, m := range h.Moves {
		if here := [2]int{m.From, m.To}; here != at {
			at = here
			fmt.Fprintf(&b, "\n%s\n", sanitize.Line(h.way(m)))
		}
		mark := "  "
		if m.Finding() {
			mark = "! "
		}
		fmt.Fprintf(&b, "%s%s: %s\n    %s\n",
			mark, sanitize.Line(h.reason(m)), english.Plural(len(m.Scenarios), "scenario", ""), some(m.Scenarios))
	}
	flipped := map[string]bool{}
	for _, f := range h.Flips {
		flipped[f.Scenario] = true
	}
	fmt.Fprintf(
		&b,
		"\n%d of %s flipped, %s.\n",
		len(flipped),
		english.Plural(len(h.Scenarios), "scenario", ""),
		h.verdict(),
	)
	for _, g := range h.Gaps {
		fmt.Fprintf(&b, "Unknown for %s: %s: %s\n    %s\n", sanitize.Line(h.Kernels[g.Kernel].Title),
			english.Plural(len(g.Scenarios), "scenario", ""), sanitize.Line(g.Why), some(g.Scenarios))
	}
	for _, u := range h.Unrecorded {
		fmt.Fprintf(&b, "Not compared, if only one of two versions of Faultline records it: %s\n", sanitize.Line(u))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Steps returns one line for each pair of kernels between which anything flipped, with
// the number of scenarios for each change.
func (h History) Steps() []string {
	var out []string
	for i := 0; i < len(h.Moves); {
		m := h.Moves[i]
		var parts []string
		for ; i < len(h.Moves) && h.Moves[i].From == m.From && h.Moves[i].To == m.To; i++ {
			name := h.Moves[i].Change
			if h.Moves[i].Finding() {
				name = h.reason(h.Moves[i])
			}
			parts = append(parts, fmt.Sprintf("%s in %d", name, len(h.Moves[i].Scenarios)))
		}
		out = append(out, h.way(m)+": "+strings.Join(parts, ", "))
	}
	return out
}

// way returns the kernels of a move: "6.1.192 → 6.12.117".
func (h History) way(m Move) string {
	return h.Kernels[m.From].Title + " → " + h.Kernels[m.To].Title
}

// reason returns the cause of a move.
func (h History) reason(m Move) string {
	switch {
	case m.Change == "":
		return "no known change"
	case m.Lost:
		return "lost: " + h.known.Named(m.Change)
	case m.Gone:
		return "gone: " + h.known.Named(m.Change)
	}
	return h.known.Named(m.Change) + h.broughtBy(m)
}

// broughtBy describes the stable update that brought the change of a move.
func (h History) broughtBy(m Move) string {
	c, err := h.known.ByID(m.Change)
	if err != nil {
		return ""
	}
	for _, s := range c.Stable {
		v, err := upstream.ParseUpdate(s)
		if err == nil && h.Kernels[m.To].place.kernel.ContainsUpdate(v) && !h.Kernels[m.From].place.kernel.ContainsUpdate(v) {
			return ", backported in " + s
		}
	}
	return ""
}

func (h History) verdict() string {
	found := 0
	for _, f := range h.Flips {
		if f.Finding() {
			found++
		}
	}
	switch {
	case len(h.Flips) == 0:
		return "of those that were compared"
	case found == 0:
		return "each by a known change"
	}
	return english.Plural(found, "flip", "") + " by no known change, or by a lost change"
}

// some lists scenarios, at most named, and the number of others.
func some(ids []string) string {
	more := ""
	if len(ids) > named {
		ids, more = slices.Clone(ids[:named]), fmt.Sprintf(", %d more", len(ids)-named)
	}
	return sanitize.Line(strings.Join(ids, ", ")) + more
}
