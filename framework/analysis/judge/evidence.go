package judge

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// sound reports whether a cell proves what its steps show about a change: it holds an
// observation, the kernel neither panicked unexpectedly nor complained, and every step
// showed an outcome that some kernel is expected to have, or a part of a change, which
// is a finding about that change.
func sound(c observe.Cell) bool {
	splats := c.Witnesses[observe.WitnessSplats]
	again := c.Earlier != nil && !(c.Hung && c.Earlier.Hung) // a hang seen twice is a fact
	if !c.Comparable() || c.Panicked || again || splats != "" && len(lines(splats)) > 0 {
		return false
	}
	parts := 0
	for _, s := range c.Steps {
		switch {
		case s.Expected == nil || s.Expected.Met:
		case s.Expected.Side == observe.Partly:
			parts++
		default:
			return false
		}
	}
	return c.Verdict == observe.Expected || parts > 0
}

// contradicted reports whether a witness of a cell shows a change that a step shows to
// be absent.
func contradicted(c observe.Cell, id string, known change.List) bool {
	k, err := known.ByID(id)
	if err != nil {
		return false
	}
	for _, m := range k.Witnesses {
		for name, value := range c.Witnesses {
			values := []string{value}
			if name == observe.WitnessLog {
				values = lines(value)
			}
			shown := func(v string) bool { return m.To(v) && !m.From(v) }
			if m.After != "" && m.Applies(c.Scenario, name) && slices.ContainsFunc(values, shown) {
				return true
			}
		}
	}
	return false
}

// HostMade reports whether the host may influence what a cell shows: the processor took a
// machine check, or the kernel panicked. The result of a machine check depends on the
// processor's model, and on QEMU raising it at exactly the access. The mce-inject
// module's software injection raises none.
func HostMade(c observe.Cell) bool {
	return machineCheck(c) || slices.ContainsFunc(c.Steps, func(s observe.Step) bool { return s.Outcome.Panicked() })
}

// machineCheck reports whether the processor took a machine check in a cell.
func machineCheck(c observe.Cell) bool {
	return slices.ContainsFunc(c.Steps, func(s observe.Step) bool {
		return s.Actor == "host" &&
			(strings.HasPrefix(s.Action, "machine check") || strings.HasPrefix(s.Action, "mce-inject hw"))
	})
}

// evidence is what the cells of a run prove about changes that kernels do not show.
type evidence struct {
	cells []observe.Cell
	// odd are the kernels and scenarios with an unexplained difference, between kernels
	// or between attempts.
	odd map[[2]string]bool
}

func newEvidence(cells []observe.Cell, j Judgement) evidence {
	e := evidence{cells: cells, odd: map[[2]string]bool{}}
	for _, d := range slices.Concat(notUnexpected(j.Differences, cells), j.Repeats) {
		if unexplained(d) {
			e.odd[[2]string{d.KernelA, d.Scenario}], e.odd[[2]string{d.KernelB, d.Scenario}] = true, true
		}
	}
	return e
}

// against returns the scenarios that prove that a kernel does not show a change. One
// that the host may influence counts only if another kernel of the run shows the change in
// it, which proves that this host can, or if a scenario that does not depend on the host
// agrees.
func (e evidence) against(k string, s conclusion.ChangeState) []string {
	return e.proof(k, s.ID, s.Before, observe.After)
}

// of is against for scenarios that prove that a kernel shows a change, which is a bug.
func (e evidence) of(k string, s conclusion.ChangeState) []string {
	return e.proof(k, s.ID, s.After, observe.Before)
}

// proof returns those of the scenarios that count; other is the side that another kernel
// shows.
func (e evidence) proof(k, change string, scenarios []string, other observe.Side) (proof []string) {
	alone := true // the host may have decided every scenario so far
	for _, id := range scenarios {
		if e.odd[[2]string{k, id}] {
			continue
		}
		proof = append(proof, id)
		if !e.hostMade(k, id) || e.shownElsewhere(k, id, change, other) {
			alone = false
		}
	}
	if alone {
		return nil
	}
	return slices.DeleteFunc(proof, func(id string) bool {
		return e.panicked(k, id) && !e.shownElsewhere(k, id, change, other)
	})
}

func (e evidence) any(k, scenario string, is func(observe.Cell) bool) bool {
	return slices.ContainsFunc(e.cells, func(c observe.Cell) bool {
		return c.Kernel == k && c.Scenario == scenario && is(c)
	})
}

func (e evidence) hostMade(k, scenario string) bool { return e.any(k, scenario, HostMade) }

func (e evidence) panicked(k, scenario string) bool {
	return e.any(k, scenario, func(c observe.Cell) bool {
		return slices.ContainsFunc(c.Steps, func(s observe.Step) bool { return s.Outcome.Panicked() })
	})
}

// shownElsewhere reports whether another kernel shows a side of a change in a scenario, with
// the same accelerator.
func (e evidence) shownElsewhere(k, scenario, id string, side observe.Side) bool {
	return e.any(k, scenario, func(mine observe.Cell) bool {
		return slices.ContainsFunc(e.cells, func(c observe.Cell) bool {
			return c.Kernel != k && c.Scenario == scenario && c.Accel == mine.Accel &&
				sound(c) && shows(c, id, side)
		})
	})
}
