package judge

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

const (
	mine  = "my_change"
	short = "SIGBUS BUS_ADRERR"
	long  = "SIGBUS BUS_MCEERR_AR lsb=12"
)

func declares(shows ...change.StepEffect) change.List {
	return change.List{{ID: mine, Subject: "x: y", Effect: "z", Steps: shows}}
}

func show(step int, before, after string) change.StepEffect {
	return change.StepEffect{Scenarios: "dax/*/shared-read", Step: step, Before: before, After: after}
}

// said returns a cell's verdict and message, and the expectation of each step.
func said(c observe.Cell) []string {
	out := []string{string(c.Verdict) + " " + c.Message}
	for _, s := range c.Steps {
		switch e := s.Expected; {
		case e == nil:
			out = append(out, "nothing")
		case e.Declared && e.Instead == nil:
			out = append(out, e.Change+" "+string(e.Side)+", instead of nothing")
		case e.Declared:
			out = append(out, e.Change+" "+string(e.Side)+", instead of "+e.Instead.Change+" "+string(e.Instead.Side))
		default:
			out = append(out, e.Change+" "+string(e.Side))
		}
	}
	return out
}

func TestDeclare(t *testing.T) {
	ok, silent := always(observe.Outcome{Note: "ok"}), observe.Step{Actor: "victim", Action: "map"}
	eio := observe.Outcome{Errno: "EIO"}
	surprise := with(always(eio), func(s *observe.Step) { s.Expected.Side, s.Expected.Met = observe.Neither, false })
	daxNeither := step(dax, observe.Neither, eio)
	for _, tc := range []struct {
		name  string
		known change.List
		cell  observe.Cell
		want  []string
	}{
		{"another scenario", declares(show(0, short, long)), cell("k", "dax/ext4/shared-write", always(adrerr())), []string{"expected ", " both"}},
		{"a glob's * does not cross a slash", declares(change.StepEffect{Scenarios: "dax/*", Before: short, After: long}), cell("k", s1, always(adrerr())), []string{"expected ", " both"}},
		{"before", declares(show(0, short, long)), cell("k", s1, ok, always(adrerr())), []string{"expected ", " both", "my_change before, instead of  both"}},
		{"after", declares(show(0, short, long)), cell("k", s1, ok, always(mceerr())), []string{"expected ", " both", "my_change after, instead of  both"}},
		{"with its address", declares(show(0, short, long+" at file+0x4005")), cell("k", s1, always(mceerr())), []string{"expected ", "my_change after, instead of  both"}},
		{"with another address", declares(show(0, short, long+" at file+0x4000")), cell("k", s1, always(mceerr())),
			[]string{"unexpected step 1 (victim: load) expected SIGBUS BUS_ADRERR (without my_change) or SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000 (with it), saw SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005", "my_change neither, instead of  both"}},
		{"no text is a pattern", declares(show(0, "SIGBUS *", "EIO")), cell("k", s1, always(adrerr())),
			[]string{"unexpected step 1 (victim: load) expected SIGBUS * (without my_change) or EIO (with it), saw SIGBUS BUS_ADRERR at file+0x4005", "my_change neither, instead of  both"}},
		{"neither, in the last step of which something is asked", declares(show(0, short, long)), cell("k", s1, ok, always(eio), silent),
			[]string{"unexpected step 2 (victim: load) expected SIGBUS BUS_ADRERR (without my_change) or SIGBUS BUS_MCEERR_AR lsb=12 (with it), saw EIO", " both", "my_change neither, instead of  both", "nothing"}},
		{"every step that shows one", declares(show(0, short, long)), cell("k", s1, always(adrerr()), ok, always(mceerr())),
			[]string{"expected ", "my_change before, instead of  both", " both", "my_change after, instead of  both"}},
		{"the step that is named", declares(show(2, short, long)), cell("k", s1, always(adrerr()), always(mceerr())),
			[]string{"expected ", " both", "my_change after, instead of  both"}},
		{"a step of which nothing is asked", declares(show(1, "ok", "EIO")), cell("k", s1, observe.Step{Outcome: eio}), []string{"expected ", "my_change after, instead of nothing"}},
		{"a step that there is not", declares(show(3, short, long)), cell("k", s1, always(adrerr())), []string{"expected ", " both"}},
		{"no steps", declares(show(0, short, long)), cell("k", s1), []string{"expected "}},

		{"what was unexpected", declares(show(0, short, "EIO")), cell("k", s1, surprise), []string{"expected ", "my_change after, instead of  neither"}},
		{"what was unexpected, and something else is", declares(show(2, short, "EIO")), cell("k", s1, surprise, surprise),
			[]string{"unexpected step 1 (victim: load) expected new, saw EIO", " neither", "my_change after, instead of  neither"}},
		{"a panic stays unexpected", declares(show(0, short, "EIO")), with(cell("k", s1, surprise), func(c *observe.Cell) { c.Panicked = true }), []string{"unexpected as Gomega words it", "my_change after, instead of  neither"}},
		{"what no step is to blame for", declares(show(0, short, "EIO")), with(cell("k", s1, always(eio)), func(c *observe.Cell) { c.Verdict, c.Message = observe.Unexpected, "why" }),
			[]string{"unexpected why", "my_change after, instead of  both"}},
		{"an infrastructure failure", declares(show(0, short, long)), infra(cell("k", s1, always(adrerr()))), []string{"infra no answer", " both"}},

		{"a side of a known change, and of this one", declares(show(0, long, "EIO")), after("k", s1), []string{"expected ", "my_change before, instead of dax_fault_hwpoison after"}},
		{"a side of a known change, and none of this one", declares(show(0, long, "EIO")), before("k", s1), []string{"expected ", "dax_fault_hwpoison before"}},
		{"neither side of a known change, a side of this one", declares(show(0, long, "EIO")), cell("k", s1, daxNeither), []string{"expected ", "my_change after, instead of dax_fault_hwpoison neither"}},
		{"neither side of either", declares(show(0, long, "ENXIO")), cell("k", s1, daxNeither),
			[]string{"unexpected step 1 (victim: load) expected SIGBUS BUS_MCEERR_AR lsb=12 (without my_change) or ENXIO (with it), saw EIO", "my_change neither, instead of dax_fault_hwpoison neither"}},
		{"the first of two", append(declares(show(0, short, long)), change.Change{ID: "second", Steps: []change.StepEffect{show(0, long, "EIO")}}), cell("k", s1, always(mceerr())),
			[]string{"expected ", "my_change after, instead of  both"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			as := func() []observe.Cell { return []observe.Cell{tc.cell} }
			asked := said(tc.cell)
			once := Declare(as(), change.All().With(tc.known))
			same(t, "declared", tc.want, said(once[0]))
			same(t, "twice", tc.want, said(Declare(once, change.All().With(tc.known))[0]))
			same(t, "the cell that was given", asked, said(tc.cell))
			// Another list declares other steps first; that is undone.
			back := said(Declare(once, change.All())[0])
			if strings.HasSuffix(asked[0], "as Gomega words it") { // which is not kept
				asked[0], _, _ = strings.Cut(asked[0], " ")
				back[0], _, _ = strings.Cut(back[0], " ")
			}
			same(t, "taken back", asked, back)
		})
	}
}

func older(k Kernel) []Kernel { return []Kernel{kernel("a", "6.1.0-1-amd64"), k} }

// A user's change is judged like a known one.
func TestJudgeDeclared(t *testing.T) {
	newer := older(kernel("b", "6.1.0-2-amd64"))
	eio := observe.Outcome{Errno: "EIO"}
	elsewhere := mceerr()
	elsewhere.Signals[0].Addr = "file+0x4000"
	threaded := mceerr()
	threaded.Signals[0].Thread = "second"
	other := "dax/xfs/shared-read"
	plain := func(k, s string, o observe.Outcome) observe.Cell { return cell(k, s, always(o)) }
	list := declares(show(0, short, long))
	list[0].Witnesses = []change.WitnessEffect{{Scenarios: "dax/*/shared-read", Witness: "log", After: "MCE: Killing * at N"}}
	by := " by " + mine
	for _, tc := range []struct {
		name   string
		known  change.List
		cells  []observe.Cell
		b      []string // what kernel b has
		diffs  []string
		found  []string
		kernel []Kernel
	}{
		{"has it", list, []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, mceerr())}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].lsb 0 -> 12" + by}, nil, newer},
		{"another address is another difference", list, []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, elsewhere)}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].addr file+0x4005 -> file+0x4000", "signals[0].lsb 0 -> 12" + by},
			[]string{"unexplained_difference a,b : " + s1 + " differs between a and b: no known change explains it: step 1 (victim: load) signals[0].addr: file+0x4005 / file+0x4000"}, newer},
		{"which it explains if both texts have it", declares(show(0, short+" at file+0x4005", long+" at file+0x4000")), []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, elsewhere)},
			[]string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].addr file+0x4005 -> file+0x4000" + by, "signals[0].lsb 0 -> 12" + by}, nil, newer},
		{"and not where one does", declares(show(0, short, long+" at file+0x4000")), []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, elsewhere)}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].addr file+0x4005 -> file+0x4000", "signals[0].lsb 0 -> 12" + by},
			[]string{"unexplained_difference a,b : " + s1 + " differs between a and b: no known change explains it: step 1 (victim: load) signals[0].addr: file+0x4005 / file+0x4000"}, newer},
		{"no text has a thread", list, []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, threaded)}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].lsb 0 -> 12" + by, "signals[0].thread none -> second"},
			[]string{"unexplained_difference a,b : " + s1 + " differs between a and b: no known change explains it: step 1 (victim: load) signals[0].thread: none / second"}, newer},
		{"its witness", list, []observe.Cell{saw(plain("a", s1, adrerr()), "log", observe.NothingAboutPoison), saw(plain("b", s1, mceerr()), "log", "MCE: Killing victim at N")}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].lsb 0 -> 12" + by, "witness:log no such line -> MCE: Killing victim at N" + by}, nil, newer},
		{"a witness that a known change moves too", append(slices.Clone(list), change.Change{ID: "second", Witnesses: list[0].Witnesses}),
			[]observe.Cell{saw(plain("a", s1, adrerr()), "log", observe.NothingAboutPoison), saw(plain("b", s1, mceerr()), "log", killing)}, []string{"has my_change (seen in 1 scenario)"},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].lsb 0 -> 12" + by, "witness:log no such line -> " + killing + by}, nil, newer},
		{"lost", list, []observe.Cell{plain("a", s1, mceerr()), plain("b", s1, adrerr())}, []string{"does not have my_change (absent in 1 scenario)"},
			[]string{"signals[0].code BUS_MCEERR_AR -> BUS_ADRERR" + by + " LOST", "signals[0].lsb 12 -> 0" + by + " LOST"},
			[]string{"lost_change a,b my_change: a has my_change, but b, a later kernel of the same line, does not show it in " + s1}, newer},
		{"in some scenarios", list, []observe.Cell{plain("a", s1, adrerr()), plain("a", other, adrerr()), plain("b", s1, mceerr()), plain("b", other, adrerr())},
			[]string{"shows my_change in " + s1 + ", but not in " + other},
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR" + by, "signals[0].lsb 0 -> 12" + by},
			[]string{"incomplete_change b my_change: b shows my_change in " + s1 + ", but not in " + other}, newer},
		{"something else", list, []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, eio)}, []string{"shows neither side of my_change in " + s1},
			[]string{"errno none -> EIO", "signals SIGBUS BUS_ADRERR -> none"},
			[]string{"unexpected_observation b my_change: " + s1 + " on b: step 1 (victim: load) expected SIGBUS BUS_ADRERR (without my_change) or SIGBUS BUS_MCEERR_AR lsb=12 (with it), saw EIO"}, newer},
		{"due by its release", with(slices.Clone(list), func(l *change.List) { (*l)[0].Since, (*l)[0].Commit = "v6.5", "abc" }), []observe.Cell{plain("a", s1, adrerr()), plain("b", s1, adrerr())}, []string{"does not have my_change (absent in 1 scenario)"}, nil,
			[]string{"lost_change b my_change: b is based on v6.12 but does not have my_change (abc, in v6.5 and later): not seen in " + s1}, older(kernel("b", "6.12.117-amd64"))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			known := change.All().With(tc.known)
			j := Judge(Declare(tc.cells, known), tc.kernel, known)
			same(t, "b", tc.b, words(j.States["b"]))
			same(t, "differences", tc.diffs, differences(j.Differences))
			same(t, "findings", tc.found, found(j.Findings))
		})
	}
}

func TestWith(t *testing.T) {
	twice := change.All().With(change.List{{ID: dax, Since: "v1.0"}, {ID: mine}})
	if diff := cmp.Diff(append(change.All().IDs(), mine), twice.IDs()); diff != "" {
		t.Errorf("IDs mismatch (-want +got):\n%s", diff)
	}
	if c, err := twice.ByID(dax); err != nil || c.Since != "v6.5" {
		t.Errorf("got %+v, error %v; want it since v6.5", c, err)
	}
}
