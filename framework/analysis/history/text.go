package history

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/internal/shell"
	"github.com/faultline/faultline/kernels/upstream"
)

// named is the number of scenarios of a move or a gap that are listed at most.
const named = 8

// Write writes what flipped between which kernels as text: one line for each change, and
// the scenarios below it. A finding begins with !.
func (h History) Write(w io.Writer) error {
	var b strings.Builder
	h.writeKernels(&b)
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
		if m.Finding() {
			to := h.Kernels[m.To]
			repro := []string{"faultline", "repro", m.Scenarios[0] + "@" + to.Kernel, "--run", to.Label}
			fmt.Fprintf(&b, "    %s\n", sanitize.Line(shell.Quote(repro)))
		}
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
	for _, g := range h.gaps() {
		fmt.Fprintf(&b, "Unknown for %s: %s: %s\n    %s\n", sanitize.Line(h.span(g.kernels)),
			english.Plural(len(g.Scenarios), "scenario", ""), sanitize.Line(g.Why), some(g.Scenarios))
	}
	for _, u := range h.Unrecorded {
		fmt.Fprintf(&b, "Not compared, if only one of two versions of Faultline records it: %s\n", sanitize.Line(u))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// few is the number of kernels that are listed one by one.
const few = 8

// writeKernels lists the kernels, the oldest first. Of many, neighbours between which
// no flip was seen are one line.
func (h History) writeKernels(b *strings.Builder) {
	kernels := english.Plural(len(h.Kernels), "kernel", "")
	if len(h.Kernels) <= few {
		fmt.Fprintf(b, "%s, the oldest first: %s\n", kernels, sanitize.Line(strings.Join(titles(h.Kernels), ", ")))
		return
	}
	moved := map[int]bool{}
	for _, m := range h.Moves {
		moved[m.To] = true
	}
	var groups [][]int
	for i := range h.Kernels {
		if i == 0 || moved[i] {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], i)
	}
	fmt.Fprintf(b, "%s, the oldest first. No flip was seen between kernels of one line:\n", kernels)
	for _, g := range groups {
		fmt.Fprintf(b, "  %s\n", sanitize.Line(h.span(g)))
	}
}

// span names kernels, neighbours as "6.1.170 to 6.1.192 (11)".
func (h History) span(kernels []int) string {
	var parts []string
	for i := 0; i < len(kernels); {
		j := i
		for j+1 < len(kernels) && kernels[j+1] == kernels[j]+1 {
			j++
		}
		first, last := h.Kernels[kernels[i]].Title, h.Kernels[kernels[j]].Title
		switch n := j - i + 1; n {
		case 1:
			parts = append(parts, first)
		case 2:
			parts = append(parts, first, last)
		default:
			parts = append(parts, fmt.Sprintf("%s to %s (%d)", first, last, n))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// sharedGap is a gap that several kernels have.
type sharedGap struct {
	Gap
	kernels []int
}

// gaps joins gaps with the same scenarios and reason.
func (h History) gaps() []sharedGap {
	var out []sharedGap
	for _, g := range h.Gaps {
		i := slices.IndexFunc(out, func(o sharedGap) bool { return o.Why == g.Why && slices.Equal(o.Scenarios, g.Scenarios) })
		if i < 0 {
			i = len(out)
			out = append(out, sharedGap{Gap: g})
		}
		out[i].kernels = append(out[i].kernels, g.Kernel)
	}
	return out
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
