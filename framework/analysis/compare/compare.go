// Package compare compares the kernels of two records, field by field, and finds the
// change that predicts each difference. The records may be of any age and machine, or
// the same one twice. It judges recorded cells like those of one run and observes
// nothing.
package compare

import (
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// Side is one of the two records.
type Side struct {
	// Label is the user's name for it: the path of a folder.
	Label string
	Run   results.Run
	// Baseline is the baseline that Run was read from; nil for a record.
	Baseline *baseline.Baseline
	// Kernel is the requested kernel; empty for all.
	Kernel string
}

// Options configures the comparison.
type Options struct {
	// Pairs are kernels to compare regardless of their names: one of A, one of B.
	Pairs [][2]string
	// AnyAccel also compares cells that ran with different accelerators.
	AnyAccel bool
	// Changes are those that a user declares; nil uses those of the records.
	Changes change.List
}

// Comparison is what follows from two records.
type Comparison struct {
	Pairs []Pair `json:"pairs"`
	// OnlyA and OnlyB are kernels without a counterpart.
	OnlyA []string `json:"only_a,omitempty"`
	OnlyB []string `json:"only_b,omitempty"`
	// Gone are kernels of a baseline, A, that B did not observe although it planned
	// scenarios in which the baseline has them.
	Gone  []Gone `json:"gone,omitempty"`
	known change.List
}

// Gone is a kernel of a baseline that is not in the run.
type Gone struct {
	Kernel string `json:"kernel"`
	// Scenarios counts those of the kernel in the baseline that the run planned.
	Scenarios int `json:"scenarios"`
}

// Pair is two kernels that were compared.
type Pair struct {
	A Column `json:"a"`
	B Column `json:"b"`
	// Compared counts the scenarios that both observed.
	Compared int `json:"compared"`
	// Differences are ordered by scenario and step.
	Differences []conclusion.Difference `json:"differences"`
	// OtherHost are differences whose cause may not be the kernel, because something else
	// differs too: they are not judged.
	OtherHost []HostDifference `json:"other_host,omitempty"`
	// Left are scenarios that could not be compared.
	Left []Left `json:"left,omitempty"`
	// Unrecorded are witnesses that were not compared because only one of the two versions
	// of Faultline records them.
	Unrecorded []string `json:"unrecorded,omitempty"`
}

// HostDifference is a difference between observations with different versions of QEMU,
// different accelerators, or with KVM on different processors.
type HostDifference struct {
	conclusion.Difference
	// Cause is the other difference, with both values: "QEMU 7.2.22 / 10.0.13".
	Cause string `json:"cause"`
}

// Column is a kernel and the origin of its cells.
type Column struct {
	Label  string `json:"label"`
	Run    string `json:"run,omitempty"` // the run's id; none for a baseline
	Kernel string `json:"kernel"`
}

// Left is a scenario that was not compared.
type Left struct {
	Scenario string `json:"scenario"`
	Why      string `json:"why"`
	// Infra reports that it is not known whether something changed: resuming or repeating
	// the run, with the same accelerator and the same steps, may show it.
	Infra bool `json:"infra,omitempty"`
	// Moved reports that A observed it and B skipped it.
	Moved bool `json:"moved,omitempty"`
}

// Finding reports whether a difference is a finding: no change predicts it, or B lost a
// change that A has.
func Finding(d conclusion.Difference) bool { return d.ExplainedBy == "" || d.Lost }

// ExitCode returns the command's exit code.
func (c Comparison) ExitCode() int {
	code := errkind.ExitExpected
	for _, p := range c.Pairs {
		if slices.ContainsFunc(p.Differences, Finding) {
			return errkind.ExitUnexpected
		}
		if p.Compared == 0 || len(p.OtherHost) > 0 || slices.ContainsFunc(p.Left, func(l Left) bool { return l.Infra }) {
			code = errkind.ExitInfra
		}
	}
	return code
}

// Moved returns the exit code of a comparison with a baseline: any difference counts,
// explained or not, and so does a scenario that is now skipped. A kernel that is gone
// could not be judged.
func (c Comparison) Moved() int {
	code := c.ExitCode()
	for _, p := range c.Pairs {
		if len(p.Differences) > 0 || slices.ContainsFunc(p.Left, func(l Left) bool { return l.Moved }) {
			return errkind.ExitUnexpected
		}
	}
	if len(c.Gone) > 0 && code == errkind.ExitExpected {
		code = errkind.ExitInfra
	}
	return code
}

// Of compares two records. It returns a request error if no kernel can be paired.
func Of(a, b Side, opt Options) (Comparison, error) {
	if a.Baseline != nil && b.Baseline != nil {
		return Comparison{}, errkind.Requestf("%s and %s are both baselines, which do not record their host; "+
			"give the folder of a run for one of them", a.Label, b.Label)
	}
	pairs, onlyA, onlyB, err := pairUp(a, b, opt.Pairs)
	if err != nil {
		return Comparison{}, err
	}
	declared := opt.Changes
	if declared == nil {
		declared = slices.Clone(a.Run.Changes)
		for _, c := range b.Run.Changes {
			if _, err := declared.ByID(c.ID); err != nil {
				declared = append(declared, c)
			}
		}
	}
	out := Comparison{OnlyA: onlyA, OnlyB: onlyB, known: change.All().With(declared)}
	for _, p := range pairs {
		out.Pairs = append(out.Pairs, newPair(a, b, p[0], p[1], declared, opt.AnyAccel))
	}
	if a.Baseline != nil {
		out.Gone = gone(a.Run, b.Run, onlyA)
	}
	return out, nil
}

// gone returns those of some kernels of a baseline that the run should have observed.
func gone(base, run results.Run, only []string) (out []Gone) {
	planned := map[string]bool{}
	for _, id := range Planned(run) {
		planned[id] = true
	}
	for _, name := range only {
		n := 0
		for _, c := range base.Cells {
			if c.Kernel == name && c.Comparable() && planned[c.Scenario] {
				n++
			}
		}
		if n > 0 {
			out = append(out, Gone{name, n})
		}
	}
	return out
}

// Columns of the record that two kernels are judged in.
const (
	columnA = "A"
	columnB = "B"
)

func newPair(a, b Side, kernelA, kernelB results.Kernel, declared change.List, anyAccel bool) Pair {
	out := Pair{
		A: Column{Label: a.Label, Run: a.Run.ID, Kernel: kernelA.Name},
		B: Column{Label: b.Label, Run: b.Run.ID, Kernel: kernelB.Name},
	}
	both := results.Run{Changes: declared, Kernels: []results.Kernel{kernelA, kernelB}}
	both.Kernels[0].Name, both.Kernels[1].Name = columnA, columnB
	causes := map[string]string{} // by scenario: what differs besides the kernel
	cellsA, cellsB := cellsOf(a.Run, kernelA.Name, columnA), cellsOf(b.Run, kernelB.Name, columnB)
	for _, id := range Planned(a.Run, b.Run) {
		x, inA := observe.Pick(cellsA[id], columnA, id)
		y, inB := observe.Pick(cellsB[id], columnB, id)
		if !inA && !inB {
			continue // in neither: another kernel's, or another shard's
		}
		if why, infra := apart(a, b, id, x, y, inA, inB, anyAccel); why != "" {
			moved := inA && inB && x.Comparable() && y.Verdict == observe.Skipped
			out.Left = append(out.Left, Left{Scenario: id, Why: why, Infra: infra, Moved: moved})
			continue
		}
		same, unlike := true, "its steps are not those of the baseline"
		switch {
		case a.Baseline != nil:
			x, y, same = a.Baseline.Like(kernelA.Name, x, y)
		case b.Baseline != nil:
			y, x, same = b.Baseline.Like(kernelB.Name, y, x)
		case a.Run.Tool != b.Run.Tool:
			same = slices.EqualFunc(
				x.Steps,
				y.Steps,
				func(s, t observe.Step) bool { return s.Actor == t.Actor && s.Action == t.Action },
			)
			unlike = "its steps are not the same in both versions of Faultline"
			x.Witnesses, y.Witnesses = out.common(x.Witnesses, y.Witnesses)
		}
		if !same {
			out.Left = append(out.Left, Left{Scenario: id, Why: unlike, Infra: true})
			continue
		}
		out.Compared++
		causes[id] = cause(a.Run.Host, b.Run.Host, x, y)
		if anyAccel {
			x.Accel, y.Accel = "", ""
		}
		both.Cells = append(both.Cells, x, y)
	}
	judge.Run(&both)
	out.Differences = []conclusion.Difference{}
	for _, d := range both.Differences {
		d.KernelA, d.KernelB = kernelA.Name, kernelB.Name
		// A difference that a change predicts is the kernel's, if the kernels differ.
		if by := causes[d.Scenario]; by != "" && (Finding(d) || sameKernel(kernelA, kernelB)) {
			d.ExplainedBy, d.Lost = "", false
			out.OtherHost = append(out.OtherHost, HostDifference{d, by})
			continue
		}
		// A difference that one of the hosts may have caused is not a lost change.
		if d.Lost && !sameHost(a.Run.Host, b.Run.Host) && hostMade(both.Cells, d.Scenario) {
			d.Lost = false
		}
		out.Differences = append(out.Differences, d)
	}
	return out
}

// sameHost reports whether two runs record the same QEMU and processor.
func sameHost(a, b results.Host) bool { return a.QEMU != "" && a.QEMU == b.QEMU && a.CPU == b.CPU }

func hostMade(cells []observe.Cell, scenario string) bool {
	return slices.ContainsFunc(cells, func(c observe.Cell) bool { return c.Scenario == scenario && judge.HostMade(c) })
}

// cause returns what may make two observations differ besides the kernel; empty if
// nothing is known.
func cause(a, b results.Host, x, y observe.Cell) string {
	if x.Accel != y.Accel {
		return fmt.Sprintf("accelerator %s / %s", x.Accel, y.Accel)
	}
	return a.Unlike(b, x.Accel == "kvm")
}

// sameKernel reports whether two kernels are the same, by digest, or by uname -r if a
// record has no digest.
func sameKernel(a, b results.Kernel) bool {
	if a.Digest != "" && b.Digest != "" {
		return a.Digest == b.Digest
	}
	return a.Release == b.Release && a.Version == b.Version
}

// common drops the witnesses that only one of two versions of Faultline records.
func (p *Pair) common(a, b map[string]string) (x, y map[string]string) {
	x, y = map[string]string{}, map[string]string{}
	for _, w := range []struct{ from, other, to map[string]string }{{a, b, x}, {b, a, y}} {
		for name, value := range w.from {
			if _, ok := w.other[name]; ok {
				w.to[name] = value
			} else if !slices.Contains(p.Unrecorded, name) {
				p.Unrecorded = append(p.Unrecorded, name)
			}
		}
	}
	slices.Sort(p.Unrecorded)
	return x, y
}

// cellsOf returns a kernel's cells by scenario, with another name of the kernel.
func cellsOf(run results.Run, kernel, as string) map[string][]observe.Cell {
	out := map[string][]observe.Cell{}
	for i := range run.Cells { // by index: copying the cells of all kernels is expensive
		if run.Cells[i].Kernel == kernel {
			c := run.Cells[i]
			c.Kernel = as
			out[c.Scenario] = append(out[c.Scenario], c)
		}
	}
	return out
}

// Planned returns the ids of the runs' scenarios: those of their plans, then any others
// that have cells.
func Planned(runs ...results.Run) []string {
	var out []string
	seen := map[string]bool{}
	add := func(id string) {
		if !seen[id] {
			seen[id], out = true, append(out, id)
		}
	}
	for _, r := range runs {
		for _, s := range r.Scenarios {
			add(s.ID)
		}
	}
	for _, r := range runs {
		for _, c := range r.Cells {
			add(c.Scenario)
		}
	}
	return out
}

// apart returns why two cells cannot be compared; empty if they can.
func apart(a, b Side, id string, x, y observe.Cell, inA, inB, anyAccel bool) (why string, infra bool) {
	for _, s := range []struct {
		name string
		side Side
		cell observe.Cell
		in   bool
	}{{columnA, a, x, inA}, {columnB, b, y, inB}} {
		switch {
		case !s.in && s.side.Run.Interrupted && s.side.plans(id):
			return "not observed: " + s.name + " was interrupted", true
		case !s.in && s.side.Run.Shard == (results.Shard{}) && s.side.plans(id):
			return "planned in " + s.name + " but not observed", true
		case !s.in:
			return "not in " + s.name, false
		case !s.cell.Comparable():
			return fmt.Sprintf("%s in %s: %s", s.cell.Verdict.Text(), s.name, s.cell.Message), s.cell.Verdict == observe.Infra
		}
	}
	why = OtherAccel(x, y, anyAccel)
	return why, why != ""
}

// OtherAccel returns why two observations with different accelerators are not compared;
// empty if they may be.
func OtherAccel(x, y observe.Cell, anyAccel bool) string {
	if x.Accel == y.Accel || anyAccel {
		return ""
	}
	return fmt.Sprintf("different accelerators: %s in A, %s in B", x.Accel, y.Accel)
}

// plans reports whether a scenario is in the plan of the side's run.
func (s Side) plans(id string) bool {
	return slices.ContainsFunc(s.Run.Scenarios, func(p results.Scenario) bool { return p.ID == id })
}
