package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
)

// observe runs a suite process. Cells that it does not deliver are infrastructure
// failures. If a guest panicked and no scenario expected it, a step did not return, or
// the kernel's watchdogs complained about a delay, the cell is observed again: the
// kernel's own behaviour repeats, and a disturbance by the host has not repeated so far
// (docs/evidence/reliability.md).
func (o *Executor) observe(ctx context.Context, t plan.Task, cell func(observe.Cell)) {
	again := t
	again.Scenarios = nil
	first := map[string]observe.Cell{}
	o.once(ctx, t, nil, func(c observe.Cell) {
		i := slices.IndexFunc(t.Scenarios, func(i scenario.Info) bool { return i.ID == c.Scenario })
		why := doubt(c)
		if why == "" || i < 0 {
			cell(c)
			return
		}
		first[c.Scenario] = c
		again.Scenarios = append(again.Scenarios, t.Scenarios[i])
		o.Log("%s %s in %s; observing it again", c.Kernel, why, c.Scenario)
	})
	if len(again.Scenarios) == 0 {
		return
	}
	o.once(ctx, again, nil, func(c observe.Cell) {
		earlier := first[c.Scenario]
		c.Earlier = &earlier
		why := ""
		switch alone := unrepeated(earlier, c); {
		case c.Verdict == observe.Infra:
		// A panic before any memory error is the host's; a later one may be the kernel's.
		case earlier.Panicked && earlier.Verdict == observe.Unexpected && !c.Panicked:
			why = "its guest panicked once, but not when observed again"
		case earlier.Hung && !c.Hung:
			why = "a step hung once, but returned when observed again"
		case len(alone) > 0:
			why = fmt.Sprintf("its kernel complained about a delay in only one of two observations (%s)",
				strings.Join(alone, "; "))
		}
		if why != "" {
			c.Message = fmt.Sprintf("%s; then: %s (%s)", why, c.Headline(), c.Verdict)
			c.Verdict, c.Steps, c.Witnesses = observe.Infra, nil, nil
		}
		cell(c)
	})
}

// doubt describes what a cell shows that the host may have caused; "" if nothing.
func doubt(c observe.Cell) string {
	switch {
	case c.Panicked:
		return "panicked"
	case c.Hung:
		return "had a step that did not return"
	case c.Comparable() && len(c.Stalls()) > 0:
		return "complained about a delay (" + strings.Join(c.Stalls(), "; ") + ")"
	}
	return ""
}

// unrepeated returns the complaints of watchdogs that only one of two observations of a
// cell has. Other complaints do not depend on time.
func unrepeated(a, b observe.Cell) (alone []string) {
	for _, pair := range [][2]observe.Cell{{a, b}, {b, a}} {
		for _, s := range pair[0].Stalls() {
			if !slices.Contains(pair[1].Stalls(), s) {
				alone = append(alone, s)
			}
		}
	}
	return alone
}
