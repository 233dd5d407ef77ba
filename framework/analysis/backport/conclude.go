package backport

import (
	"cmp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/klog"
	"github.com/faultline/faultline/kernels/upstream"
)

// Of answers the question from a run's record.
func Of(r *results.Run, q Question) Verdict {
	c := assessment{run: r, known: r.Known(), Verdict: Verdict{Question: q}}
	for _, kernel := range []struct {
		name string
		kind Kind
	}{{q.Base, BaseDoesNotBoot}, {q.Patched, DoesNotBoot}} {
		if k, _ := r.Kernel(kernel.name); k.DoesNotBoot {
			c.Kinds, c.Boot = []Kind{kernel.kind}, c.broken(kernel.name)
			return c.Verdict
		}
	}
	j := c.judge(q.Base, q.Patched)
	accepted := []string{q.Change}
	if q.Change == "" {
		c.appeared(j)
		accepted = c.Appeared
	}
	c.boots()
	for _, s := range r.Scenarios {
		c.scenario(s, accepted, of(j.Differences, s.ID))
	}
	if q.Reference != "" {
		c.reference()
	}
	c.conclude()
	return c.Verdict
}

// assessment is a verdict in the making.
type assessment struct {
	Verdict
	run   *results.Run
	known change.List
}

func (c *assessment) conclude() {
	if len(c.Missing) > 0 {
		c.Kinds = append(c.Kinds, Incomplete)
	}
	if len(c.Moved) > 0 {
		c.Kinds = append(c.Kinds, Collateral)
	}
	if len(c.Kinds) > 0 {
		return
	}
	kind := Complete
	unjudged := len(c.Unjudged) > 0 ||
		c.Against != nil && slices.ContainsFunc(c.Against.Unjudged, func(u Unjudged) bool { return u.Infra })
	switch {
	case unjudged:
		kind = NotJudged
	case c.Change == "" && len(c.Appeared) == 0:
		kind = Unmoved
	case c.Change != "" && len(c.Flipped) == 0 && c.Already > 0:
		kind = AlreadyThere
	case c.Change != "" && len(c.Flipped) == 0:
		kind = NotJudged // no observed cell covers the change
	}
	c.Kinds = []Kind{kind}
}

// judge judges two kernels alone. The patched one is built from its base, so
// it has lost exactly what the base shows and it does not.
func (c *assessment) judge(a, b string) judge.Judgement {
	var kernels []judge.Kernel
	var cells []observe.Cell
	for _, name := range []string{a, b} {
		k, _ := c.run.Kernel(name)
		kernel := judge.NewKernel(k.Name, k.Version, k.Release, nil)
		if b == c.Patched {
			kernel.Kernel = upstream.Kernel{}
			if name == b {
				kernel.MadeFrom = a
			}
		}
		kernels = append(kernels, kernel)
		for _, cell := range c.run.Cells {
			if cell.Kernel == name {
				cells = append(cells, cell)
			}
		}
	}
	return judge.Judge(cells, kernels, c.known)
}

// appeared finds the changes that the patches add or remove.
func (c *assessment) appeared(j judge.Judgement) {
	verdicts := func(kernel string) map[string]conclusion.ChangeVerdict {
		out := map[string]conclusion.ChangeVerdict{}
		for _, s := range j.States[kernel] {
			out[s.ID] = s.Verdict
		}
		return out
	}
	base, patched := verdicts(c.Base), verdicts(c.Patched)
	for _, id := range c.known.IDs() {
		switch b, p := base[id], patched[id]; {
		case b == conclusion.Lacks && p == conclusion.Has:
			c.Appeared = append(c.Appeared, id)
		case b == conclusion.Has && p == conclusion.Lacks:
			c.Vanished = append(c.Vanished, id)
		}
	}
}

// boots compares the complaints that the two kernels logged at boot. Those that the host
// may have caused are left out, because a boot is observed only once.
func (c *assessment) boots() {
	a, _ := c.run.Kernel(c.Base)
	b, _ := c.run.Kernel(c.Patched)
	if a.BootMillis == 0 || b.BootMillis == 0 {
		return
	}
	if x, y := complaints(a), complaints(b); x != y {
		c.Moved = append(c.Moved, Moved{A: x, B: y, Unexplained: true})
	}
}

// complaints describes what a kernel complained about at boot, and its taint.
func complaints(k results.Kernel) string {
	own := slices.DeleteFunc(slices.Clone(k.Splats), func(s string) bool { return klog.Stall(s) || klog.OfProcessor(s) })
	taint := k.Taint
	if len(own) == 0 && len(k.Splats) > 0 { // the taint of what is left out
		taint = strings.Join(
			slices.DeleteFunc(strings.Fields(taint), func(t string) bool { return t == "W" || t == "L" }),
			" ",
		)
	}
	text := strings.Join(own, "; ")
	if taint != "" && taint != "none" {
		text = strings.TrimPrefix(text+"; taint "+taint, "; ")
	}
	return cmp.Or(text, "no complaint")
}

// broken returns why a kernel does not boot, from its cells.
func (c *assessment) broken(kernel string) *Unjudged {
	for _, cell := range c.run.Cells {
		if cell.Kernel == kernel && cell.Verdict == observe.Infra {
			return &Unjudged{Kernel: kernel, Why: cell.Message, Infra: true, Console: cell.ConsoleTail}
		}
	}
	return &Unjudged{Kernel: kernel}
}

// of returns the differences in a scenario.
func of(diffs []conclusion.Difference, scenario string) (out []conclusion.Difference) {
	for _, d := range diffs {
		if d.Scenario == scenario {
			out = append(out, d)
		}
	}
	return out
}
