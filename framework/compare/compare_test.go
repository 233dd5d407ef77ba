package compare

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
)

const dax = "dax_fault_hwpoison"

// payload is a SIGBUS whose raw bytes lie at addr in the guest.
func payload(code int32, lsb int16, addr byte) observe.Signal {
	raw := make([]byte, 128)
	raw[0], raw[8], raw[18], raw[24] = 7, byte(code), addr, byte(lsb)
	name := map[int32]string{2: "BUS_ADRERR", 4: "BUS_MCEERR_AR"}[code]
	return observe.Signal{Signo: 7, Name: "SIGBUS", Code: code, CodeName: name, Addr: "file+0x4000", LSB: lsb, Raw: hex.EncodeToString(raw)}
}

func oldSignal() observe.Outcome {
	return observe.Outcome{Signals: []observe.Signal{payload(2, 0, 1)}}
}
func newSignal() observe.Outcome {
	return observe.Outcome{Signals: []observe.Signal{payload(4, 12, 1)}}
}

func expect(has bool, side string, met bool) *observe.Expectation {
	return &observe.Expectation{Change: dax, Before: "old", After: "new", Has: has, Side: side, Met: met}
}

func cell(kernel string, steps ...observe.Step) observe.Cell {
	for i := range steps {
		if steps[i].Actor == "" {
			steps[i].Actor, steps[i].Action = "victim", "load"
		}
	}
	return observe.Cell{Scenario: "dax/ext4/shared-read", Kernel: kernel, Accel: "tcg", Verdict: observe.Expected, Steps: steps}
}

func in(scenario string, c observe.Cell) observe.Cell {
	c.Scenario = scenario
	return c
}

// before and after are cells that show the two sides of the change, as expected.
func before(kernel string) observe.Cell {
	return cell(kernel, observe.Step{Outcome: oldSignal(), Expected: expect(false, "before", true)})
}
func after(kernel string) observe.Cell {
	return cell(kernel, observe.Step{Outcome: newSignal(), Expected: expect(true, "after", true)})
}

// show is a difference as the tables below write it.
func show(diffs []Difference) []string {
	var out []string
	for _, d := range diffs {
		s := d.Field + " " + d.A + " -> " + d.B
		if d.ExplainedBy != "" {
			s += " by " + d.ExplainedBy
		}
		out = append(out, s)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func TestCells(t *testing.T) {
	witness := func(c observe.Cell, name, value string) observe.Cell {
		c.Witnesses = map[string]string{name: value}
		return c
	}
	with := func(c observe.Cell, f func(*observe.Cell)) observe.Cell {
		f(&c)
		return c
	}
	moved := cell("b", observe.Step{Outcome: observe.Outcome{Signals: []observe.Signal{payload(2, 0, 9)}}})
	padded := payload(2, 0, 1)
	padded.Raw = padded.Raw[:254] + "ff"
	outcome := func(kernel string, o observe.Outcome) observe.Cell {
		return cell(kernel, observe.Step{Outcome: o})
	}
	for _, tc := range []struct {
		name string
		a, b observe.Cell
		want []string
	}{
		{"the same", before("a"), before("b"), nil},
		{"explained", before("a"), after("b"), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by " + dax, "signals[0].lsb 0 -> 12 by " + dax}},
		{"not met", before("a"), with(after("b"), func(c *observe.Cell) { c.Steps[0].Expected.Met = false }), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"}},
		{"both have the change", with(before("a"), func(c *observe.Cell) { c.Steps[0].Expected.Has = true }), after("b"), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"}},
		{"both on both sides", with(before("a"), func(c *observe.Cell) { c.Steps[0].Expected.Side = "both" }),
			with(after("b"), func(c *observe.Cell) { c.Steps[0].Expected.Side = "both" }), []string{
				"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"}},
		{"the log follows the explained step", witness(before("a"), "log", "quiet"), witness(after("b"), "log", "loud"), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by " + dax, "signals[0].lsb 0 -> 12 by " + dax, "witness:log quiet -> loud by " + dax}},
		{"another witness does not", witness(before("a"), "badblocks", "32 8"), witness(after("b"), "badblocks", ""), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by " + dax, "signals[0].lsb 0 -> 12 by " + dax, "witness:badblocks 32 8 -> "}},
		{"a witness that one lacks beside an explained step", witness(before("a"), "badblocks", "none"), after("b"), []string{
			"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by " + dax, "signals[0].lsb 0 -> 12 by " + dax, "witness:badblocks none -> not recorded by " + dax}},
		{"a witness that one lacks", witness(before("a"), "log", "x"), before("b"), []string{"witness:log x -> not recorded"}},
		{"mapped elsewhere", outcome("a", oldSignal()), moved, nil},
		{"raw alone", outcome("a", oldSignal()), outcome("b", observe.Outcome{Signals: []observe.Signal{padded}}), []string{
			"signals[0].raw " + oldSignal().Signals[0].Raw + " -> " + padded.Raw}},
		{"no signal", outcome("a", observe.Outcome{}), outcome("b", oldSignal()), []string{"signals none -> SIGBUS BUS_ADRERR"}},
		{"system call", outcome("a", observe.Outcome{Ret: ptr(int64(-1)), Errno: "EIO"}), outcome("b", observe.Outcome{Ret: ptr(int64(4096)), Data: "15"}), []string{
			"ret -1 -> 4096", "errno EIO -> none", "data none -> 15"}},
		{"death", outcome("a", observe.Outcome{Exit: &observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}}), outcome("b", observe.Outcome{Exit: &observe.Exit{}}), []string{
			"exit killed by SIGBUS (core) -> exit 0"}},
		{"fewer steps", cell("a", observe.Step{}, observe.Step{}), cell("b", observe.Step{}), []string{"steps 2 -> 1"}},
		{"other steps", cell("a", observe.Step{Actor: "x", Action: "load"}, observe.Step{}), cell("b", observe.Step{Actor: "x", Action: "store", Outcome: oldSignal()}), []string{
			"action x: load -> x: store"}},
		{"rig", before("a"), with(after("b"), func(c *observe.Cell) { c.Verdict = observe.Rig }), nil},
		{"other accelerator", before("a"), with(after("b"), func(c *observe.Cell) { c.Accel = "kvm" }), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, show(Cells(tc.a, tc.b))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompareAgainstTheFirstThatObserved(t *testing.T) {
	rig := before("a")
	rig.Verdict = observe.Rig
	other := before("b")
	other.Accel = "kvm"
	again := after("c")
	again.Attempt = 2
	unable := after("c")
	unable.Attempt, unable.Verdict = 1, observe.Rig
	var got []string
	for _, d := range Compare([]observe.Cell{after("d"), again, unable, before("b2"), other, rig}, []string{"a", "b", "b2", "c", "d"}) {
		got = append(got, d.KernelA+" "+d.KernelB+" "+d.Field)
	}
	want := []string{"b2 c signals[0].code", "b2 c signals[0].lsb", "b2 d signals[0].code", "b2 d signals[0].lsb"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRepeatability(t *testing.T) {
	a, b := before("k"), before("k")
	if got := Repeatability([]observe.Cell{a}, []observe.Cell{b}); got != nil {
		t.Errorf("the same cell differs: %v", got)
	}
	// Between kernels an address is compared by its canonical form only; the
	// same kernel must give the same bytes.
	b.Steps = []observe.Step{{Actor: "victim", Action: "load", Outcome: observe.Outcome{Signals: []observe.Signal{payload(2, 0, 9)}}}}
	got := Repeatability([]observe.Cell{a, before("other")}, []observe.Cell{b})
	if len(got) != 1 || got[0].Field != "signals[0].raw" || got[0].KernelA != "k" || got[0].KernelB != "k" {
		t.Errorf("got %v, want the raw payload of k", got)
	}
	first, second := before("k"), after("k")
	first.Attempt, second.Attempt = 1, 2
	got = Attempts([]observe.Cell{second, first, after("other")})
	if len(got) != 2 || got[0].AttemptA != 1 || got[0].AttemptB != 2 || got[0].A != "BUS_ADRERR" {
		t.Errorf("got %v, want two fields between attempts 1 and 2", got)
	}
}

func TestChangeStates(t *testing.T) {
	probe := change.DaxFaultHWPoison.Probe
	neither := cell("k", observe.Step{Expected: expect(true, "neither", false)})
	mixed := cell("k", observe.Step{Outcome: newSignal(), Expected: expect(true, "after", true)}, observe.Step{Outcome: oldSignal(), Expected: expect(true, "before", false)})
	for _, tc := range []struct {
		name  string
		cells []observe.Cell
		given Given
		want  []ChangeState
	}{
		{"complete by probe", []observe.Cell{in(probe, after("k")), in("s2", after("k"))}, nil,
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Agree: []string{probe, "s2"}, Verdict: Complete}}},
		{"absent by probe", []observe.Cell{in(probe, before("k")), in("s2", before("k"))}, nil,
			[]ChangeState{{ID: dax, Known: true, By: ByProbe, Agree: []string{probe, "s2"}, Verdict: Absent}}},
		{"incomplete", []observe.Cell{in(probe, after("k")), in("s2", before("k"))}, nil,
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Agree: []string{probe}, Disagree: []string{"s2"}, Verdict: Incomplete}}},
		{"incomplete within a cell", []observe.Cell{in(probe, after("k")), in("s2", mixed)}, nil,
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Agree: []string{probe}, Disagree: []string{"s2"}, Verdict: Incomplete}}},
		{"without the probe", []observe.Cell{in("s1", after("k")), in("s2", after("k"))}, nil,
			[]ChangeState{{ID: dax, Agree: []string{"s1", "s2"}, Verdict: Undetermined}}},
		{"incomplete without the probe", []observe.Cell{in("s1", after("k")), in("s2", before("k"))}, nil,
			[]ChangeState{{ID: dax, Agree: []string{"s1"}, Disagree: []string{"s2"}, Verdict: Incomplete}}},
		{"neither side counts for none", []observe.Cell{in(probe, after("k")), in("s2", neither)}, nil,
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Agree: []string{probe}, Verdict: Complete}}},
		{"declared, nothing run", nil, Given{"k": {dax: {Has: true, By: ByDeclaration}}},
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByDeclaration, Verdict: Undetermined}}},
		{"declared wrongly", []observe.Cell{in(probe, before("k"))}, Given{"k": {dax: {Has: true, By: ByDeclaration}}},
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByDeclaration, Disagree: []string{probe}, Verdict: Absent}}},
		{"probed, nothing run", nil, Given{"k": {dax: {Has: true, By: ByProbe}}},
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Verdict: Complete}}},
		{"probed, and a cell disagrees", []observe.Cell{in("s1", before("k"))}, Given{"k": {dax: {Has: true, By: ByProbe}}},
			[]ChangeState{{ID: dax, Has: true, Known: true, By: ByProbe, Disagree: []string{"s1"}, Verdict: Incomplete}}},
		{"no change", []observe.Cell{cell("k", observe.Step{})}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ChangeStates(tc.cells, tc.given)["k"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	probe := change.DaxFaultHWPoison.Probe
	bad := in("dax/xfs/private-cow", cell("new", observe.Step{Outcome: oldSignal(), Expected: expect(true, "before", false)}))
	bad.Verdict = observe.Unexpected
	twice := in(probe, after("new"))
	twice.Attempt = 2
	twice.Steps[0].Outcome.Errno = "EIO"
	cells := []observe.Cell{
		in(probe, before("old")), in(probe, after("new")), twice,
		in("dax/xfs/private-cow", before("old")), bad,
		in("sys/read", cell("old", observe.Step{Outcome: observe.Outcome{Errno: "EIO"}})),
		in("sys/read", cell("new", observe.Step{Outcome: observe.Outcome{Errno: "EFAULT"}})),
	}
	declared := Given{"old": {dax: {Has: true, By: ByDeclaration}}}
	findings := Findings(Evidence{
		Cells: cells, Differences: Compare(cells, []string{"old", "new"}),
		Repeats: Attempts(cells), States: ChangeStates(cells, declared),
	})
	var got []string
	for _, f := range findings {
		got = append(got, string(f.Kind)+" "+strings.Join(f.Kernels, ",")+": "+f.Message)
	}
	want := []string{
		"incomplete_backport new: new has dax_fault_hwpoison (probe), but dax/xfs/private-cow says otherwise",
		"wrong_declaration old: old is declared with dax_fault_hwpoison: true, but every scenario under it says otherwise (dax/ext4/shared-read, dax/xfs/private-cow); correct the matrix",
		"unexplained_difference old,new: sys/read differs between old and new, and no known change says why: step 1 (victim: load) errno: EIO / EFAULT",
		"unexpected_observation new: dax/xfs/private-cow on new: step 1 (victim: load) expected new, saw SIGBUS BUS_ADRERR",
		"not_repeatable new: dax/ext4/shared-read is not the same twice on new (attempts 0 and 2): step 1 (victim: load) errno: none / EIO",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	quiet := []observe.Cell{before("old"), after("new")}
	if got := Findings(Evidence{Cells: quiet, Differences: Compare(quiet, []string{"old", "new"}), States: ChangeStates(quiet, nil)}); got != nil {
		t.Errorf("findings where there is nothing to find: %v", got)
	}
}
