package matrix

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// Story is what a check's cells saw, in lines of text: each step with its
// outcome, and what was expected instead where that is not it; then the witnesses.
// What a guest said may be in it.
func (c Check) Story() []string {
	var out []string
	for _, cell := range c.Cells {
		if len(c.Cells) > 1 {
			out = append(out, fmt.Sprintf("attempt %d, %s:", max(1, cell.Attempt), VerdictWords(cell.Verdict)))
		}
		for i, s := range cell.Steps {
			line := fmt.Sprintf("step %d, %s: %s: %s", i+1, s.Actor, s.Action, s.Outcome.Located())
			if e := s.Expected; e != nil && !e.Met {
				line += "; expected was " + e.Wanted()
			}
			out = append(out, line)
		}
		for _, name := range slices.Sorted(maps.Keys(cell.Witnesses)) {
			out = append(out, name+": "+strings.ReplaceAll(cell.Witnesses[name], "\n", "; "))
		}
	}
	return out
}

// Said is what the kernel printed while the check was observed, attempt by attempt:
// its log, or the end of the console where the rig failed. It is a guest's text.
func (c Check) Said() []string {
	var out []string
	for _, cell := range c.Cells {
		out = append(out, cell.KernelLog...)
		if cell.Verdict == observe.Infra && cell.ConsoleTail != "" {
			out = append(out, strings.Split(strings.TrimRight(cell.ConsoleTail, "\n"), "\n")...)
		}
	}
	return out
}
