package matrix

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// Story returns the observations of a check's cells as lines of text: each step with its
// outcome, and the expected one if it differs; then the witnesses. It may contain a
// guest's text.
func (c Check) Story() []string {
	var out []string
	for _, cell := range c.Cells {
		if len(c.Cells) > 1 {
			out = append(out, fmt.Sprintf("attempt %d, %s:", max(1, cell.Attempt), cell.Verdict.Text()))
		}
		for i, s := range cell.Steps {
			line := fmt.Sprintf("step %d, %s: %s: %s", i+1, s.Actor, s.Action, s.Outcome.Located())
			if e := s.Expected; e != nil && !e.Met {
				line += "; expected: " + e.Wanted()
			}
			out = append(out, line)
		}
		for _, name := range slices.Sorted(maps.Keys(cell.Witnesses)) {
			out = append(out, name+": "+strings.ReplaceAll(cell.Witnesses[name], "\n", "; "))
		}
	}
	return out
}

// KernelOutput returns what the kernel printed during the check, attempt by attempt: its log,
// and after an infrastructure failure the end of the console. It is a guest's text.
func (c Check) KernelOutput() []string {
	var out []string
	for _, cell := range c.Cells {
		out = append(out, cell.KernelLog...)
		if cell.Verdict == observe.Infra && cell.ConsoleTail != "" {
			out = append(out, strings.Split(strings.TrimRight(cell.ConsoleTail, "\n"), "\n")...)
		}
	}
	return out
}
