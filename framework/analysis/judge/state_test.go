package judge

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// What one kernel's cells show about a change, and the findings that follow.
func TestStates(t *testing.T) {
	part := step("", observe.Partly, observe.Outcome{Errno: "EHWPOISON"})
	part.Expected.After, part.Expected.PartOf, part.Expected.Part = "EIO", dax, "EHWPOISON"
	huge, page := mceerr(), mceerr()
	huge.Signals[0].LSB = 21
	page.Signals[0].Addr = "file+0x4000"
	neither := func(scenario string, o observe.Outcome) observe.Cell {
		c := cell("k", scenario, step(dax, observe.Neither, o))
		c.Steps[0].Expected.Before, c.Steps[0].Expected.After = "SIGBUS BUS_ADRERR at file+0x4005", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005"
		return c
	}
	const wanted = "expected SIGBUS BUS_ADRERR at file+0x4005 (without dax_fault_hwpoison) or SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 (with it), saw "
	many := func(n int, c func(kernel, scenario string) observe.Cell, ids ...string) (out []observe.Cell) {
		for _, id := range ids[:n] {
			out = append(out, c("k", id))
		}
		return out
	}
	six := []string{"s/1", "s/2", "s/3", "s/4", "s/5", "s/6"}
	for _, tc := range []struct {
		name   string
		kernel Kernel
		cells  []observe.Cell
		states []string
		found  []string
	}{
		{"has", kernel("k", "6.12.117-amd64"), many(2, after, six...), []string{"has dax_fault_hwpoison (seen in 2 scenarios)"}, nil},
		{"has, at the very release", kernel("k", "6.5.0-1-amd64"), many(1, after, six...), []string{"has dax_fault_hwpoison (seen in 1 scenario)"}, nil},
		{"does not have it, like its release", kernel("k", "6.1.0-56-amd64"), many(2, before, six...), []string{"does not have dax_fault_hwpoison (absent in 2 scenarios)"}, nil},
		{"a candidate of the release that has it", kernel("k", "6.5.0-rc3+"), many(2, after, six...), []string{"has dax_fault_hwpoison (seen in 2 scenarios)"}, nil},
		{"a stable update's candidate", kernel("k", "6.1.100-rc1"), many(2, after, six...), []string{"has dax_fault_hwpoison (backported; seen in 2 scenarios)"}, nil},
		{"backported", kernel("k", "6.1.0-56-amd64"), many(2, after, six...), []string{"has dax_fault_hwpoison (backported; seen in 2 scenarios)"}, nil},
		{"has, of no known base", kernel("k", "mine"), many(2, after, six...), []string{"has dax_fault_hwpoison (seen in 2 scenarios)"}, nil},
		{"one scenario forgotten", kernel("k", "6.1.0-56-amd64"), append(many(5, after, six...), before("k", "dax/xfs/private-cow")),
			[]string{"shows dax_fault_hwpoison in s/1, s/2, s/3, s/4 and 1 more, but not in dax/xfs/private-cow"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/1, s/2, s/3, s/4 and 1 more, but not in dax/xfs/private-cow"}},
		// The smaller part is listed in full: it is what is missing.
		{"six of seven in one scenario", kernel("k", ""), append(many(6, before, six...), after("k", "s/7")),
			[]string{"shows dax_fault_hwpoison in s/7, but not in s/1, s/2, s/3, s/4 and 2 more"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/7, but not in s/1, s/2, s/3, s/4 and 2 more"}},
		{"five of eleven forgotten", kernel("k", ""), append(many(6, after, six...), many(5, before, "t/1", "t/2", "t/3", "t/4", "t/5")...),
			[]string{"shows dax_fault_hwpoison in s/1, s/2, s/3, s/4 and 2 more, but not in t/1, t/2, t/3, t/4, t/5"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/1, s/2, s/3, s/4 and 2 more, but not in t/1, t/2, t/3, t/4, t/5"}},
		{"forgotten within a scenario", kernel("k", ""), []observe.Cell{cell("k", "s/1", step(dax, observe.After, mceerr()), step(dax, observe.Before, adrerr()))},
			[]string{"shows dax_fault_hwpoison in s/1, but not in s/1"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/1, but not in s/1"}},
		{"incomplete is not lost", kernel("k", "6.12.117-amd64"), append(many(2, after, six...), before("k", "s/3")),
			[]string{"shows dax_fault_hwpoison in s/1, s/2, but not in s/3"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/1, s/2, but not in s/3"}},
		{"an errno that leaks", kernel("k", "6.1.0-56-amd64"), []observe.Cell{before("k", "s/1"), cell("k", "dax/ext4/pread", part)},
			[]string{"does not show dax_fault_hwpoison in s/1, shows a part of dax_fault_hwpoison in dax/ext4/pread"},
			[]string{
				"incomplete_change k dax_fault_hwpoison: k does not show dax_fault_hwpoison in s/1, shows a part of dax_fault_hwpoison in dax/ext4/pread",
				"unexpected_observation k dax_fault_hwpoison: dax/ext4/pread on k: step 1 (victim: load) expected EIO, saw EHWPOISON",
			}},
		{"a part that is not there", kernel("k", ""), []observe.Cell{with(cell("k", "dax/ext4/pread", always(observe.Outcome{Errno: "EIO"})), func(c *observe.Cell) { c.Steps[0].Expected.PartOf = dax })}, nil, nil},
		{"a part alone", kernel("k", ""), []observe.Cell{cell("k", "dax/ext4/pread", part)},
			[]string{"shows a part of dax_fault_hwpoison in dax/ext4/pread"},
			[]string{
				"incomplete_change k dax_fault_hwpoison: k shows a part of dax_fault_hwpoison in dax/ext4/pread",
				"unexpected_observation k dax_fault_hwpoison: dax/ext4/pread on k: step 1 (victim: load) expected EIO, saw EHWPOISON",
			}},
		{"something else", kernel("k", "6.12.117-amd64"), []observe.Cell{after("k", "s/1"), neither("s/2", huge)},
			[]string{"shows neither side of dax_fault_hwpoison in s/2"},
			[]string{"unexpected_observation k dax_fault_hwpoison: s/2 on k: step 1 (victim: load) " + wanted + "SIGBUS BUS_MCEERR_AR lsb=21 at file+0x4005"}},
		{"something else, in the address only", kernel("k", "6.12.117-amd64"), []observe.Cell{neither("s/1", page)},
			[]string{"shows neither side of dax_fault_hwpoison in s/1"},
			[]string{"unexpected_observation k dax_fault_hwpoison: s/1 on k: step 1 (victim: load) " + wanted + "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"}},
		{"something else, and none lost", kernel("k", "6.12.117-amd64"), []observe.Cell{before("k", "s/1"), neither("s/2", huge)},
			[]string{"shows neither side of dax_fault_hwpoison in s/2"},
			[]string{"unexpected_observation k dax_fault_hwpoison: s/2 on k: step 1 (victim: load) " + wanted + "SIGBUS BUS_MCEERR_AR lsb=21 at file+0x4005"}},
		{"not seen", kernel("k", "6.12.117-amd64"), []observe.Cell{cell("k", "s/1", step(dax, observe.Both, adrerr()))}, []string{"does not show whether it has dax_fault_hwpoison"}, nil},
		{"an infrastructure failure shows nothing", kernel("k", "6.12.117-amd64"), []observe.Cell{infra(before("k", "s/1"))}, nil, nil},
		{"a skipped cell shows nothing", kernel("k", "6.12.117-amd64"), []observe.Cell{with(before("k", "s/1"), func(c *observe.Cell) { c.Verdict = observe.Skipped })}, nil, nil},
		{"another kernel's cells", kernel("k", "6.12.117-amd64"), []observe.Cell{before("other", "s/1")}, nil, nil},
		{"no change", kernel("k", "6.12.117-amd64"), []observe.Cell{cell("k", "s/1", always(mceerr()))}, nil, nil},

		{"hidden without a symbol", kernel("k", "6.12.117-amd64"), []observe.Cell{hidden("k", "s/1")},
			[]string{"cannot show dax_fault_hwpoison without CONFIG_MEMORY_FAILURE"}, nil},
		{"hidden in some", kernel("k", "6.12.117-amd64"), []observe.Cell{hidden("k", "s/1"), after("k", "s/2")}, []string{"has dax_fault_hwpoison (seen in 1 scenario)"}, nil},

		{"lost against upstream", kernel("k", "6.12.117-amd64"), many(6, before, six...), []string{"does not have dax_fault_hwpoison (absent in 6 scenarios)"},
			[]string{"lost_change k dax_fault_hwpoison: k is based on v6.12 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in s/1, s/2, s/3, s/4 and 2 more"}},
		{"lost at the very release", kernel("k", "6.5.0-1-amd64"), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"},
			[]string{"lost_change k dax_fault_hwpoison: k is based on v6.5 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in s/1"}},
		{"a candidate of the release may lack it", kernel("k", "6.5.0-rc7+"), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"}, nil},
		{"a candidate of the next may not", kernel("k", "6.6.0-rc1+"), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"},
			[]string{"lost_change k dax_fault_hwpoison: k is based on v6.5 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in s/1"}},
		{"no base, no question", kernel("k", "mine"), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"}, nil},
		{"a change of another version of Faultline", kernel("k", "6.12.117-amd64"), []observe.Cell{cell("k", "s/1", step("unknown", observe.Before, adrerr()))},
			[]string{"does not have unknown (absent in 1 scenario)"}, nil},

		{"claimed, and there", claiming(kernel("k", "6.1.0-56-amd64"), dax, true), many(1, after, six...), []string{"has dax_fault_hwpoison (backported; seen in 1 scenario)"}, nil},
		{"claimed, but not shown", claiming(kernel("k", "6.1.0-56-amd64"), dax, true), many(2, before, six...), []string{"does not have dax_fault_hwpoison (absent in 2 scenarios)"},
			[]string{"contradicted_claim k dax_fault_hwpoison: k is claimed to have dax_fault_hwpoison, but does not show it in s/1, s/2"}},
		{"claimed, and lost", claiming(kernel("k", "6.12.117-amd64"), dax, true), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"},
			[]string{
				"contradicted_claim k dax_fault_hwpoison: k is claimed to have dax_fault_hwpoison, but does not show it in s/1",
				"lost_change k dax_fault_hwpoison: k is based on v6.12 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in s/1",
			}},
		{"claimed not to have it, but shown", claiming(kernel("k", "6.12.117-amd64"), dax, false), many(1, after, six...), []string{"has dax_fault_hwpoison (seen in 1 scenario)"},
			[]string{"contradicted_claim k dax_fault_hwpoison: k is claimed not to have dax_fault_hwpoison, but shows it in s/1"}},
		{"claimed not to have it, so not lost", claiming(kernel("k", "6.12.117-amd64"), dax, false), many(1, before, six...), []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"}, nil},
		{"claimed, and not seen", claiming(kernel("k", "6.12.117-amd64"), dax, true), nil, []string{"does not show whether it has dax_fault_hwpoison"}, nil},
		{"claimed, and incomplete", claiming(kernel("k", "6.1.0-56-amd64"), dax, true), []observe.Cell{after("k", "s/1"), before("k", "s/2")},
			[]string{"shows dax_fault_hwpoison in s/1, but not in s/2"},
			[]string{"incomplete_change k dax_fault_hwpoison: k shows dax_fault_hwpoison in s/1, but not in s/2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := Judge(tc.cells, []Kernel{tc.kernel}, change.All())
			same(t, "states", tc.states, words(j.States["k"]))
			same(t, "findings", tc.found, found(j.Findings))
		})
	}
}

// The states themselves, as in run.json, in upstream order.
func TestStatesAsRecorded(t *testing.T) {
	part := step("", observe.Partly, observe.Outcome{Errno: "EHWPOISON"})
	part.Expected.PartOf = dax
	cells := []observe.Cell{
		after("k", "s/2"), after("k", "s/1"), before("k", "s/3"), cell("k", "s/4", part), cell("k", "s/5", step(dax, observe.Neither, adrerr())),
		attempt(2, after("k", "s/1")), // counts once
		with(hidden("k", "s/7"), func(c *observe.Cell) { c.Steps[0].Expected.Change = "zzz" }), // seen elsewhere
		with(hidden("k", "s/8"), func(c *observe.Cell) { c.Steps[0].Expected.Change = "hid" }),
		cell("k", "s/6", step("zzz", observe.After, mceerr()), step("aaa", observe.After, mceerr()), step("copy_from_user_quiet", observe.After, mceerr())),
	}
	k := claiming(kernel("k", "5.10.0-1-amd64"), dax, false)
	want := []conclusion.ChangeState{
		{ID: "copy_from_user_quiet", Verdict: conclusion.Has, Backported: true, After: []string{"s/6"}},
		{ID: dax, Verdict: conclusion.Incomplete, Claimed: ptr(false), After: []string{"s/1", "s/2"}, Before: []string{"s/3"}, Part: []string{"s/4"}, Neither: []string{"s/5"}},
		{ID: "aaa", Verdict: conclusion.Has, After: []string{"s/6"}},
		{ID: "hid", Verdict: conclusion.NotSeen, Hidden: "MEMORY_FAILURE"},
		{ID: "zzz", Verdict: conclusion.Has, After: []string{"s/6"}},
	}
	if diff := cmp.Diff(want, Judge(cells, []Kernel{k}, change.All()).States["k"]); diff != "" {
		t.Errorf("states mismatch (-want +got):\n%s", diff)
	}
	// In any order of the cells.
	slices.Reverse(cells)
	if diff := cmp.Diff(want, Judge(cells, []Kernel{k}, change.All()).States["k"]); diff != "" {
		t.Errorf("states of the cells in reverse mismatch (-want +got):\n%s", diff)
	}
}
