package history

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/record/observe"
)

// walk goes from the oldest kernel to the newest.
type walk struct {
	h       *History
	sources []Source
	opt     compare.Options
	cells   []map[string]observe.Cell // of each kernel, by scenario
	planned []map[string]bool         // of each source
	pairs   map[[2]int]compare.Pair   // by the two kernels
}

func newWalk(h *History, sources []Source, opt compare.Options) *walk {
	w := &walk{h: h, sources: sources, opt: opt, pairs: map[[2]int]compare.Pair{}}
	for _, s := range sources {
		planned := map[string]bool{}
		for _, p := range s.Run.Scenarios {
			planned[p.ID] = true
		}
		w.planned = append(w.planned, planned)
	}
	for _, k := range h.Kernels {
		byScenario := map[string][]observe.Cell{}
		for _, c := range sources[k.run].Run.Cells {
			if c.Kernel == k.Kernel {
				byScenario[c.Scenario] = append(byScenario[c.Scenario], c)
			}
		}
		picked := map[string]observe.Cell{}
		for id, cells := range byScenario {
			picked[id], _ = observe.Pick(cells, k.Kernel, id)
		}
		w.cells = append(w.cells, picked)
	}
	return w
}

// step compares each scenario of a kernel with the nearest older kernel that has a
// comparable observation of it.
func (w *walk) step(to int) error {
	for _, id := range w.h.Scenarios {
		c, ok := w.cells[to][id]
		if why, infra := w.unobserved(to, id, c, ok); why != "" {
			w.gap(to, id, why, infra)
			continue
		}
		why, infra := "", false // why the nearest one that observed it cannot be compared
		for from := to - 1; from >= 0; from-- {
			before, ok := w.cells[from][id]
			if !ok || !before.Comparable() {
				continue
			}
			apart := func(because string, again bool) {
				if why == "" {
					why = fmt.Sprintf("not compared with %s (A): %s", w.h.Kernels[from].Title, because)
					infra = again
				}
			}
			if other := compare.OtherAccel(before, c, w.opt.AnyAccel); other != "" {
				apart(other, true)
				continue
			}
			p, err := w.pair(from, to)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(p.Left, func(l compare.Left) bool { return l.Scenario == id })
			if i < 0 {
				w.flip(from, to, id, p)
				why = ""
				break
			}
			apart(p.Left[i].Why, p.Left[i].Infra)
		}
		if why != "" {
			w.gap(to, id, why, infra)
		}
	}
	return nil
}

// unobserved returns why a kernel's cell holds no observation; empty if it does.
func (w *walk) unobserved(at int, id string, c observe.Cell, ok bool) (why string, infra bool) {
	run := w.sources[w.h.Kernels[at].run].Run
	planned := w.planned[w.h.Kernels[at].run][id]
	switch {
	case !ok && planned && run.Interrupted:
		return "not observed: the run was interrupted", true
	case !ok && planned:
		return "no cell in " + w.h.Kernels[at].Label, false // another shard's
	case !ok:
		return "not in " + w.h.Kernels[at].Label, false
	case !c.Comparable():
		return fmt.Sprintf("%s: %s", c.Verdict.Text(), c.Message), c.Verdict == observe.Infra
	}
	return "", false
}

// pair compares two kernels, once.
func (w *walk) pair(from, to int) (compare.Pair, error) {
	key := [2]int{from, to}
	if p, ok := w.pairs[key]; ok {
		return p, nil
	}
	side := func(i int) compare.Side {
		k := w.h.Kernels[i]
		return compare.Side{Label: k.Label, Run: w.sources[k.run].Run, Kernel: k.Kernel}
	}
	a, b := side(from), side(to)
	found, err := compare.Of(a, b, w.opt)
	if err != nil {
		return compare.Pair{}, err
	}
	w.pairs[key] = found.Pairs[0]
	for _, name := range found.Pairs[0].Unrecorded {
		if !slices.Contains(w.h.Unrecorded, name) {
			w.h.Unrecorded = append(w.h.Unrecorded, name)
		}
	}
	return found.Pairs[0], nil
}

// flip records the differences of a scenario between two kernels.
func (w *walk) flip(from, to int, id string, p compare.Pair) {
	f := Flip{Scenario: id, From: from, To: to}
	for _, d := range p.Differences {
		if d.Scenario != id {
			continue
		}
		f.Differences = append(f.Differences, d)
		list := &f.Changes
		switch {
		case d.ExplainedBy == "":
			f.Unexplained = true
			continue
		case d.Lost:
			list = &f.Lost
		}
		if !slices.Contains(*list, d.ExplainedBy) {
			*list = append(*list, d.ExplainedBy)
		}
	}
	if len(f.Differences) > 0 {
		w.h.Flips = append(w.h.Flips, f)
	}
	if i := slices.IndexFunc(p.OtherHost, func(d compare.HostDifference) bool { return d.Scenario == id }); i >= 0 {
		why := fmt.Sprintf(
			"differs from %s, but not only the kernel differs: %s",
			w.h.Kernels[from].Title,
			p.OtherHost[i].Cause,
		)
		w.gap(to, id, why, true)
	}
}

// gap records why a scenario was not compared, each reason once for each kernel.
func (w *walk) gap(kernel int, id, why string, infra bool) {
	i := slices.IndexFunc(w.h.Gaps, func(g Gap) bool { return g.Kernel == kernel && g.Why == why })
	if i < 0 {
		i = len(w.h.Gaps)
		w.h.Gaps = append(w.h.Gaps, Gap{Kernel: kernel, Why: why, Infra: infra})
	}
	w.h.Gaps[i].Scenarios = append(w.h.Gaps[i].Scenarios, id)
}
