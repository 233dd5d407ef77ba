package judge

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/klog"
)

const (
	s1       = "dax/ext4/shared-read"
	killing  = "MCE: Killing victim due to hardware memory corruption fault at N"
	forth    = "signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by " + dax
	lsbForth = "signals[0].lsb 0 -> 12 by " + dax
	back     = "signals[0].code BUS_MCEERR_AR -> BUS_ADRERR by " + dax
	lsbBack  = "signals[0].lsb 12 -> 0 by " + dax
	stepOne  = "step 1 (victim: load) "
)

// What follows from the cells of two kernels, in the order a, b.
func TestTwoKernels(t *testing.T) {
	old, recent := kernel("a", "6.1.0-56-amd64"), kernel("b", "6.12.117-amd64")
	twin := func(release string) []Kernel { return []Kernel{kernel("a", release), kernel("b", release)} }
	usual, line := []Kernel{old, recent}, []Kernel{kernel("a", "6.1.0-55-amd64"), kernel("b", "6.1.0-56-amd64")}
	panicked := observe.Outcome{Note: klog.PanicMark + ": Fatal local machine check"}
	alike := cell("", s1, always(observe.Outcome{Errno: "EIO"}))
	on := func(kernel string, c observe.Cell) observe.Cell {
		c.Kernel = kernel
		return c
	}
	padded, moved := mceerr(), mceerr()
	padded.Signals[0].Raw = padded.Signals[0].Raw[:254] + "ff"
	moved.Signals[0] = payload(4, 12, 9)
	neither := func(kernel string, o observe.Outcome) observe.Cell {
		return cell(kernel, s1, step(dax, observe.Neither, o))
	}
	ao := signalled(payload(5, 12, 1))
	elsewhere := adrerr()
	elsewhere.Signals[0].Addr = "file+0x4000"
	cow := "mce/anon/cow"
	const differs = "unexplained_difference a,b : " + s1 + " differs between a and b: no known change explains it: "
	for _, tc := range []struct {
		name    string
		kernels []Kernel
		a, b    observe.Cell
		diffs   []string
		found   []string
	}{
		{"the same", usual, before("a", s1), before("b", "other"), nil,
			[]string{"lost_change b dax_fault_hwpoison: b is based on v6.12 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in other"}},
		{"explained", usual, before("a", s1), after("b", s1), []string{forth, lsbForth}, nil},
		{"mapped elsewhere", usual, after("a", s1), cell("b", s1, step(dax, observe.After, moved)), nil, nil},

		// Lost.
		{"not lost by a newer kernel of another line", []Kernel{kernel("a", "6.1.0-1-amd64"), kernel("b", "6.4.0-1-amd64")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"not lost between two builds of which neither is the older", twin("6.1.0-56-amd64"), after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"lost between two of the same line", line, after("a", s1), before("b", s1), []string{back + " LOST", lsbBack + " LOST"},
			[]string{"lost_change a,b dax_fault_hwpoison: a has dax_fault_hwpoison, but b, a later kernel of the same line, does not show it in " + s1}},
		{"lost against upstream is reported once", twin("6.12.117-amd64"), after("a", s1), before("b", s1), []string{back + " LOST", lsbBack + " LOST"},
			[]string{"lost_change b dax_fault_hwpoison: b is based on v6.12 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in " + s1}},
		{"not lost where the first is newer", []Kernel{kernel("a", "6.12.117-amd64"), kernel("b", "6.1.0-56-amd64")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"not lost where the first's base is not known", []Kernel{kernel("a", "mine"), kernel("b", "6.1.0-56-amd64")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"not lost where the second's base is not known", []Kernel{kernel("a", "6.1.0-56-amd64"), kernel("b", "mine")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"not lost where it is claimed to lack it", []Kernel{kernel("a", "6.1.0-56-amd64"), claiming(kernel("b", "6.12.117-amd64"), dax, false)}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"lost where another is claimed away", []Kernel{kernel("a", "6.1.0-56-amd64"), claiming(kernel("b", "6.1.0-57-amd64"), "dax_folios", false)}, after("a", s1), before("b", s1), []string{back + " LOST", lsbBack + " LOST"},
			[]string{"lost_change a,b dax_fault_hwpoison: a has dax_fault_hwpoison, but b, a later kernel of the same line, does not show it in " + s1}},
		{"not lost where the second is a candidate of the first's next", []Kernel{kernel("a", "6.3.0-1-amd64"), kernel("b", "6.4.0-rc1+")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"not lost beside what nothing explains", line, saw(after("a", s1), "badblocks", "none"), saw(before("b", s1), "badblocks", "8 sectors"), []string{back, lsbBack, "witness:badblocks none -> 8 sectors"},
			[]string{differs + "witness:badblocks: none / 8 sectors"}},
		{"not lost from a release to its candidate", []Kernel{kernel("a", "6.4.0-1-amd64"), kernel("b", "6.4.0-rc1+")}, after("a", s1), before("b", s1), []string{back, lsbBack}, nil},
		{"lost, shown by a witness alone", twin("6.1.0-56-amd64"),
			saw(cell("a", "mce/ext4/other", always(mceerr())), observe.WitnessCorrupted, "4 kB"), saw(cell("b", "mce/ext4/other", always(mceerr())), observe.WitnessCorrupted, "0 kB"),
			[]string{"witness:HardwareCorrupted 4 kB -> 0 kB by counted_by_action LOST"},
			[]string{"lost_change b counted_by_action: b is based on v6.1 but does not have counted_by_action (e240ac52f7da, in v5.19 and later): a shows it in mce/ext4/other"}},

		// Neither side explains nothing.
		{"something else on one of them", usual, before("a", s1), neither("b", ao), []string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AO", "signals[0].lsb 0 -> 12"},
			[]string{
				"unexpected_observation b dax_fault_hwpoison: " + s1 + " on b: step 1 (victim: load) expected old (without dax_fault_hwpoison) or new (with it), saw SIGBUS BUS_MCEERR_AO lsb=12 at file+0x4005",
			}},
		{"the address alone", usual, before("a", s1), neither("b", elsewhere), []string{"signals[0].addr file+0x4005 -> file+0x4000"},
			[]string{
				"unexpected_observation b dax_fault_hwpoison: " + s1 + " on b: step 1 (victim: load) expected old (without dax_fault_hwpoison) or new (with it), saw SIGBUS BUS_ADRERR at file+0x4000",
			}},
		{"both on both sides", usual, cell("a", s1, step(dax, observe.Both, adrerr())), cell("b", s1, step(dax, observe.Both, mceerr())),
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"},
			[]string{differs + stepOne + "signals[0].code: BUS_ADRERR / BUS_MCEERR_AR; " + stepOne + "signals[0].lsb: 0 / 12"}},
		{"both after it", usual, cell("a", s1, step("copy_from_user_quiet", observe.After, adrerr())), cell("b", s1, step("copy_from_user_quiet", observe.After, elsewhere)),
			[]string{"signals[0].addr file+0x4005 -> file+0x4000"}, []string{differs + stepOne + "signals[0].addr: file+0x4005 / file+0x4000"}},
		{"two changes", usual, cell("a", s1, step("copy_from_user_quiet", observe.Before, adrerr())), cell("b", s1, step("dax_folios", observe.After, elsewhere)),
			[]string{"signals[0].addr file+0x4005 -> file+0x4000"},
			[]string{differs + stepOne + "signals[0].addr: file+0x4005 / file+0x4000"}},
		{"a change that hides another", usual,
			cell("a", s1, with(step("kill_early_on_consumption", observe.Before, adrerr()), func(s *observe.Step) { s.Expected.Masks = dax })), after("b", s1),
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by kill_early_on_consumption", "signals[0].lsb 0 -> 12 by kill_early_on_consumption"},
			[]string{"lost_change a kill_early_on_consumption: a is based on v6.1 but does not have kill_early_on_consumption (30c9cf492704, in v5.12 and later): not seen in " + s1}},
		{"a change that hides another, and is gone again", []Kernel{kernel("a", "6.12.117-amd64"), kernel("b", "5.10.0-46-amd64")}, after("a", s1),
			cell("b", s1, with(step("kill_early_on_consumption", observe.Before, adrerr()), func(s *observe.Step) { s.Expected.Masks = dax })),
			[]string{"signals[0].code BUS_MCEERR_AR -> BUS_ADRERR by kill_early_on_consumption", "signals[0].lsb 12 -> 0 by kill_early_on_consumption"}, nil},
		{"a change that hides a third", usual,
			cell("a", s1, with(step("kill_early_on_consumption", observe.Before, adrerr()), func(s *observe.Step) { s.Expected.Masks = "dax_folios" })), after("b", s1),
			[]string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"},
			[]string{differs + stepOne + "signals[0].code: BUS_ADRERR / BUS_MCEERR_AR; " + stepOne + "signals[0].lsb: 0 / 12"}},
		{"no expectation", usual, cell("a", s1, observe.Step{Actor: "victim", Action: "load"}), cell("b", s1, observe.Step{Actor: "victim", Action: "load", Outcome: observe.Outcome{Errno: "EIO"}}),
			[]string{"errno none -> EIO"}, []string{differs + stepOne + "errno: none / EIO"}},
		{"bytes of the payload that no field has", usual, before("a", s1), cell("b", s1, step(dax, observe.After, padded)),
			[]string{forth, lsbForth, "signals[0].raw " + strings.Repeat("0", 256) + " -> " + strings.Repeat("0", 254) + "ff"},
			[]string{differs + stepOne + "signals[0].raw: …" + strings.Repeat("0", 20) + "00 / …" + strings.Repeat("0", 20) + "ff"}},
		{"another number of steps", usual, cell("a", s1, always(observe.Outcome{}), always(observe.Outcome{})), cell("b", s1, always(observe.Outcome{})),
			[]string{"steps 2 -> 1"}, []string{differs + "step 2 (victim: load) steps: 2 / 1"}},
		{"another step, and what follows it", usual, cell("a", s1, always(observe.Outcome{}), always(observe.Outcome{})),
			cell("b", s1, observe.Step{Actor: "victim", Action: "store", Outcome: adrerr()}, always(adrerr())),
			[]string{"action victim: load -> victim: store"}, []string{differs + stepOne + "action: victim: load / victim: store"}},

		{"another action, on the two sides of a change", usual, before("a", s1), with(after("b", s1), func(c *observe.Cell) { c.Steps[0].Action = "store" }),
			[]string{"action victim: load -> victim: store"}, []string{differs + stepOne + "action: victim: load / victim: store"}},
		{"another actor", usual, before("a", s1), with(after("b", s1), func(c *observe.Cell) { c.Steps[0].Actor = "second" }),
			[]string{"action victim: load -> second: load"}, []string{differs + stepOne + "action: victim: load / second: load"}},
		{"only the step that is not as expected is reported", twin("6.12.117-amd64"), cell("a", s1, always(observe.Outcome{}), step(dax, observe.Neither, ao)), cell("b", s1, always(observe.Outcome{}), step(dax, observe.Neither, ao)), nil,
			[]string{
				"unexpected_observation a dax_fault_hwpoison: " + s1 + " on a: step 2 (victim: load) expected old (without dax_fault_hwpoison) or new (with it), saw SIGBUS BUS_MCEERR_AO lsb=12 at file+0x4005",
				"unexpected_observation b dax_fault_hwpoison: " + s1 + " on b: step 2 (victim: load) expected old (without dax_fault_hwpoison) or new (with it), saw SIGBUS BUS_MCEERR_AO lsb=12 at file+0x4005",
			}},

		// Hidden by a missing symbol.
		{"hidden in the first", usual, hidden("a", s1), after("b", s1), []string{strings.ReplaceAll(forth, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbForth, dax, "CONFIG_MEMORY_FAILURE")}, nil},
		{"hidden in the second, and not lost", twin("6.12.117-amd64"), after("a", s1), hidden("b", s1), []string{strings.ReplaceAll(back, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbBack, dax, "CONFIG_MEMORY_FAILURE")}, nil},
		{"hidden, and something else", usual, hidden("a", s1), neither("b", ao), []string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AO", "signals[0].lsb 0 -> 12"},
			[]string{
				"unexpected_observation b dax_fault_hwpoison: " + s1 + " on b: step 1 (victim: load) expected old (without dax_fault_hwpoison) or new (with it), saw SIGBUS BUS_MCEERR_AO lsb=12 at file+0x4005",
			}},
		{"hidden, and something else where it is", usual,
			with(hidden("a", s1), func(c *observe.Cell) {
				c.Verdict, c.Steps[0].Outcome, c.Steps[0].Expected.Side, c.Steps[0].Expected.Met = observe.Unexpected, ao, observe.Neither, false
			}), after("b", s1), []string{"signals[0].code BUS_MCEERR_AO -> BUS_MCEERR_AR"},
			[]string{
				"unexpected_observation a dax_fault_hwpoison: " + s1 + " on a: step 1 (victim: load) expected old, saw SIGBUS BUS_MCEERR_AO lsb=12 at file+0x4005",
			}},
		{"a line that the first can't print", usual, saw(hidden("a", s1), "log", observe.NothingAboutPoison), saw(after("b", s1), "log", killing),
			[]string{strings.ReplaceAll(forth, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbForth, dax, "CONFIG_MEMORY_FAILURE"), "witness:log no such line -> " + killing + " by CONFIG_MEMORY_FAILURE"}, nil},
		{"a line that has nothing to do with what the first can't show", usual, saw(hidden("a", s1), "log", observe.NothingAboutPoison), saw(after("b", s1), "log", "mce: what?"),
			[]string{strings.ReplaceAll(forth, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbForth, dax, "CONFIG_MEMORY_FAILURE"), "witness:log no such line -> mce: what?"},
			[]string{differs + "witness:log: no such line / mce: what?"}},
		{"a line that the second can't print", twin("6.12.117-amd64"), saw(after("a", s1), "log", killing), saw(hidden("b", s1), "log", observe.NothingAboutPoison),
			[]string{strings.ReplaceAll(back, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbBack, dax, "CONFIG_MEMORY_FAILURE"), "witness:log " + killing + " -> no such line by CONFIG_MEMORY_FAILURE"}, nil},
		{"a line that only the one that can't prints", twin("6.1.0-1-amd64"), saw(before("a", s1), "log", observe.NothingAboutPoison), saw(hidden("b", s1), "log", "mce: what?"),
			[]string{"witness:log no such line -> mce: what?"}, []string{differs + "witness:log: no such line / mce: what?"}},
		{"a line where both can't", twin("6.1.0-1-amd64"), saw(hidden("a", s1), "log", observe.NothingAboutPoison), saw(hidden("b", s1), "log", "mce: what?"),
			[]string{"witness:log no such line -> mce: what?"}, []string{differs + "witness:log: no such line / mce: what?"}},
		{"a line where both can't, and the second does not", twin("6.1.0-1-amd64"), saw(hidden("a", s1), "log", "mce: what?"), saw(hidden("b", s1), "log", observe.NothingAboutPoison),
			[]string{"witness:log mce: what? -> no such line"}, []string{differs + "witness:log: mce: what? / no such line"}},
		{"a count that the first has not", usual, saw(hidden("a", s1), observe.WitnessCorrupted, observe.NotCounted), saw(before("b", s1), observe.WitnessCorrupted, "4 kB"),
			[]string{"witness:HardwareCorrupted not counted -> 4 kB by CONFIG_MEMORY_FAILURE"},
			[]string{"lost_change b dax_fault_hwpoison: b is based on v6.12 but does not have dax_fault_hwpoison (1ea7ca1b0901, in v6.5 and later): not seen in " + s1}},
		{"a count that neither should lack", twin("6.1.0-1-amd64"), saw(before("a", s1), observe.WitnessCorrupted, observe.NotCounted), saw(before("b", s1), observe.WitnessCorrupted, "4 kB"),
			[]string{"witness:HardwareCorrupted not counted -> 4 kB"}, []string{differs + "witness:HardwareCorrupted: not counted / 4 kB"}},

		// Witnesses, and the changes that predict them.
		{"the line of a change", usual, saw(before("a", s1), "log", observe.NothingAboutPoison), saw(after("b", s1), "log", killing),
			[]string{forth, lsbForth, "witness:log no such line -> " + killing + " by " + dax}, nil},
		{"the line of a change, without the change", usual, saw(after("a", s1), "log", observe.NothingAboutPoison), saw(after("b", s1), "log", killing),
			[]string{"witness:log no such line -> " + killing}, []string{differs + "witness:log: no such line / " + killing}},
		{"the line of a change, the wrong way round", usual, saw(before("a", s1), "log", killing), saw(after("b", s1), "log", observe.NothingAboutPoison),
			[]string{forth, lsbForth, "witness:log " + killing + " -> no such line"}, []string{differs + "witness:log: " + killing + " / no such line"}},
		{"another line beside it", usual, saw(before("a", s1), "log", "I/O error, dev pmem0"), saw(after("b", s1), "log", "I/O error, dev pmem0\n"+killing+"\nmce: what?"),
			[]string{forth, lsbForth, "witness:log no such line -> " + killing + " by " + dax, "witness:log no such line -> mce: what?"}, []string{differs + "witness:log: no such line / mce: what?"}},
		{"the same lines in another order", usual, saw(before("a", s1), "log", "x\ny"), saw(after("b", s1), "log", "y\nx"), []string{forth, lsbForth}, nil},
		{"a count that no move predicts here", usual, saw(before("a", s1), observe.WitnessCorrupted, "0 kB"), saw(after("b", s1), observe.WitnessCorrupted, "4 kB"),
			[]string{forth, lsbForth, "witness:HardwareCorrupted 0 kB -> 4 kB"}, []string{differs + "witness:HardwareCorrupted: 0 kB / 4 kB"}},
		{"a count larger than any change predicts", []Kernel{kernel("a", "5.10.0-1-amd64"), kernel("b", "6.1.0-1-amd64")},
			saw(before("a", "mce/ext4/ucna"), observe.WitnessCorrupted, "0 kB"), saw(before("b", "mce/ext4/ucna"), observe.WitnessCorrupted, "8 kB"),
			[]string{"witness:HardwareCorrupted 0 kB -> 8 kB"}, []string{"unexplained_difference a,b : mce/ext4/ucna differs between a and b: no known change explains it: witness:HardwareCorrupted: 0 kB / 8 kB"}},
		{"a count that begins elsewhere than the move", []Kernel{kernel("a", "5.10.0-1-amd64"), kernel("b", "6.1.0-1-amd64")},
			saw(before("a", "mce/ext4/ucna"), observe.WitnessCorrupted, "8 kB"), saw(before("b", "mce/ext4/ucna"), observe.WitnessCorrupted, "4 kB"),
			[]string{"witness:HardwareCorrupted 8 kB -> 4 kB"}, []string{"unexplained_difference a,b : mce/ext4/ucna differs between a and b: no known change explains it: witness:HardwareCorrupted: 8 kB / 4 kB"}},
		{"a count that a move predicts", []Kernel{kernel("a", "5.10.0-1-amd64"), kernel("b", "6.1.0-1-amd64")},
			saw(before("a", "mce/ext4/ucna"), observe.WitnessCorrupted, "0 kB"), saw(before("b", "mce/ext4/ucna"), observe.WitnessCorrupted, "4 kB"),
			[]string{"witness:HardwareCorrupted 0 kB -> 4 kB by counted_by_action"}, nil},
		{"a count that a move predicts, backwards", []Kernel{kernel("a", "6.1.0-1-amd64"), kernel("b", "5.10.0-1-amd64")},
			saw(before("a", "mce/ext4/ucna"), observe.WitnessCorrupted, "4 kB"), saw(before("b", "mce/ext4/ucna"), observe.WitnessCorrupted, "0 kB"),
			[]string{"witness:HardwareCorrupted 4 kB -> 0 kB by counted_by_action"}, nil},
		{"a count, of a kernel that is known to lack the change", []Kernel{kernel("a", "5.10.0-1-amd64"), kernel("b", "5.10.0-1-amd64")},
			saw(cell("a", "mce/ext4/ucna", always(mceerr())), observe.WitnessCorrupted, "0 kB"),
			saw(cell("b", "mce/ext4/ucna", always(mceerr()), step("counted_by_action", observe.Before, adrerr())), observe.WitnessCorrupted, "4 kB"),
			[]string{"steps 1 -> 2", "witness:HardwareCorrupted 0 kB -> 4 kB"},
			[]string{"unexplained_difference a,b : mce/ext4/ucna differs between a and b: no known change explains it: step 2 (victim: load) steps: 1 / 2; witness:HardwareCorrupted: 0 kB / 4 kB"}},
		{"another witness in a scenario that follows a change", usual, saw(before("a", s1), "badblocks", "8 sectors"), saw(after("b", s1), "badblocks", "none"),
			[]string{forth, lsbForth, "witness:badblocks 8 sectors -> none"}, []string{differs + "witness:badblocks: 8 sectors / none"}},
		{"a witness that one cell does not have", usual, saw(before("a", s1), "badblocks", "none"), after("b", s1),
			[]string{forth, lsbForth, "witness:badblocks none -> not recorded"}, []string{differs + "witness:badblocks: none / not recorded"}},

		// Panics.
		{"a panic of the change, and what can't be asked after it", usual,
			saw(cell("a", cow, always(observe.Outcome{}), step("copy_user_highpage_mc", observe.Before, panicked))),
			saw(cell("b", cow, always(observe.Outcome{}), step("copy_user_highpage_mc", observe.After, mceerr())), "log", "x", observe.WitnessSplats, observe.NoSplats, observe.WitnessTaint, "none"),
			[]string{
				"signals none -> SIGBUS BUS_MCEERR_AR lsb=12 by copy_user_highpage_mc", "note " + panicked.Note + " -> none by copy_user_highpage_mc",
				"witness:log not recorded -> x by copy_user_highpage_mc", "witness:splats not recorded -> none by copy_user_highpage_mc", "witness:taint not recorded -> none by copy_user_highpage_mc",
			}, nil},
		{"a panic that a lost change brings back", line,
			saw(cell("a", cow, step("copy_user_highpage_mc", observe.After, mceerr())), "log", "x"), saw(cell("b", cow, step("copy_user_highpage_mc", observe.Before, panicked))),
			[]string{
				"signals SIGBUS BUS_MCEERR_AR lsb=12 -> none by copy_user_highpage_mc LOST", "note none -> " + panicked.Note + " by copy_user_highpage_mc LOST",
				"witness:log x -> not recorded by copy_user_highpage_mc LOST",
			},
			[]string{"lost_change a,b copy_user_highpage_mc: a has copy_user_highpage_mc, but b, a later kernel of the same line, does not show it in mce/anon/cow"}},
		{"a panic of another step than the change's", usual,
			saw(cell("a", s1, step("copy_user_highpage_mc", observe.Before, adrerr()), always(panicked))), saw(cell("b", s1, step("copy_user_highpage_mc", observe.After, mceerr()), always(observe.Outcome{})), "log", "x"),
			[]string{
				"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR by copy_user_highpage_mc", "signals[0].lsb 0 -> 12 by copy_user_highpage_mc",
				"note " + panicked.Note + " -> none", "witness:log not recorded -> x",
			},
			[]string{differs + "step 2 (victim: load) note: Kernel panic - not syncing: Fatal local machine check / none; witness:log: not recorded / x"}},
		{"both panic, and one was asked", usual, cell("a", s1, always(panicked)), saw(cell("b", s1, always(panicked)), "log", "x"),
			[]string{"witness:log not recorded -> x"}, []string{differs + "witness:log: not recorded / x"}},

		// Splats.
		{"a splat and its taint are reported once", usual, saw(before("a", s1), observe.WitnessSplats, observe.NoSplats, observe.WitnessTaint, "none"),
			saw(after("b", s1), observe.WitnessSplats, "WARNING in dax_iomap_fault\nhung task", observe.WitnessTaint, "W"),
			[]string{forth, lsbForth, "witness:splats no such line -> WARNING in dax_iomap_fault", "witness:splats no such line -> hung task", "witness:taint none -> W"},
			[]string{"splat b : " + s1 + " on b: WARNING in dax_iomap_fault; hung task"}},
		{"a splat on both", usual, saw(on("a", alike), observe.WitnessSplats, "WARNING in f"), saw(on("b", alike), observe.WitnessSplats, "WARNING in f"), nil,
			[]string{"splat a : " + s1 + " on a: WARNING in f", "splat b : " + s1 + " on b: WARNING in f"}},
		{"a splat beside something else", usual, saw(on("a", alike), observe.WitnessSplats, observe.NoSplats, "badblocks", "none"), saw(on("b", alike), observe.WitnessSplats, "WARNING in f", "badblocks", "8 sectors"),
			[]string{"witness:badblocks none -> 8 sectors", "witness:splats no such line -> WARNING in f"},
			[]string{"splat b : " + s1 + " on b: WARNING in f", differs + "witness:badblocks: none / 8 sectors"}},
		{"a taint without a splat", usual, saw(on("a", alike), observe.WitnessSplats, observe.NoSplats, observe.WitnessTaint, "none"), saw(on("b", alike), observe.WitnessSplats, observe.NoSplats, observe.WitnessTaint, "M"),
			[]string{"witness:taint none -> M"}, []string{differs + "witness:taint: none / M"}},
		{"a splat that no missing symbol explains", usual, saw(hidden("a", s1), observe.WitnessSplats, observe.NoSplats), saw(after("b", s1), observe.WitnessSplats, "WARNING in f"),
			[]string{strings.ReplaceAll(forth, dax, "CONFIG_MEMORY_FAILURE"), strings.ReplaceAll(lsbForth, dax, "CONFIG_MEMORY_FAILURE"), "witness:splats no such line -> WARNING in f"},
			[]string{"splat b : " + s1 + " on b: WARNING in f"}},

		// Cells that cannot be compared.
		{"other accelerators", twin("6.12.117-amd64"), after("a", s1), accel(after("b", s1), "kvm"), nil, nil},
		{"other accelerators that differ", twin("6.1.0-1-amd64"), accel(on("a", alike), "kvm"), cell("b", s1, always(observe.Outcome{Errno: "EFAULT"})), nil, nil},
		{"an infrastructure failure", usual, before("a", s1), infra(on("b", alike)), nil, nil},
		{"a splat before an infrastructure failure", usual, infra(saw(on("a", alike), observe.WitnessSplats, "WARNING in f")), on("b", alike), nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := Judge([]observe.Cell{tc.a, tc.b}, tc.kernels, change.All())
			same(t, "differences", tc.diffs, differences(j.Differences))
			same(t, "findings", tc.found, found(j.Findings))
		})
	}
}

// A panic that the scenario does not expect is one finding of its cell: with the
// kernel's message, or else with the scenario's.
func TestPanickedCell(t *testing.T) {
	panicked := cell("k", s1, observe.Step{Actor: "kernel", Action: "panic", Outcome: observe.Outcome{Note: klog.PanicMark + ": oops"}})
	panicked.Verdict, panicked.Message, panicked.Panicked = observe.Unexpected, "the kernel panicked", true
	for name, test := range map[string]struct {
		splats string
		want   []string
	}{
		"with its message":    {klog.PanicMark + ": oops", []string{"splat k : " + s1 + " on k: Kernel panic - not syncing: oops"}},
		"without its message": {"", []string{"unexpected_observation k : " + s1 + " on k: the kernel panicked"}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "findings", test.want, found(Judge([]observe.Cell{saw(panicked, observe.WitnessSplats, test.splats)}, []Kernel{kernel("k", "")}, change.All()).Findings))
		})
	}
}

// Each kernel is compared with the first that observed the scenario with the same
// accelerator, in any order of the cells.
func TestComparedWithTheFirstThatObserved(t *testing.T) {
	cells := []observe.Cell{
		after("d", s1), attempt(2, after("c", s1)), attempt(1, infra(after("c", s1))), before("b2", s1), accel(before("b", s1), "kvm"), infra(before("a", s1)),
		accel(after("e", s1), "kvm"), after("unnamed", s1),
	}
	var ks []Kernel
	for _, name := range []string{"a", "b", "b2", "c", "d", "e"} {
		ks = append(ks, kernel(name, ""))
	}
	var got []string
	for _, d := range Judge(cells, ks, change.All()).Differences {
		got = append(got, d.KernelA+" "+d.KernelB+" "+d.Field)
	}
	same(t, "compared", []string{
		"b2 c signals[0].code", "b2 c signals[0].lsb", "b2 d signals[0].code", "b2 d signals[0].lsb", "b e signals[0].code", "b e signals[0].lsb",
	}, got)
}

// The same kernel gives the same bytes, including those that hold an address.
func TestRepeats(t *testing.T) {
	moved := attempt(2, before("k", s1))
	moved.Steps = []observe.Step{step(dax, observe.Before, signalled(payload(2, 0, 9)))}
	for _, tc := range []struct {
		name  string
		cells []observe.Cell
		diffs []string
		found []string
	}{
		{"the same", []observe.Cell{attempt(2, before("k", s1)), attempt(1, before("k", s1))}, nil, nil},
		{"mapped elsewhere", []observe.Cell{moved, attempt(1, before("k", s1))}, []string{"signals[0].raw " + adrerr().Signals[0].Raw + " -> " + moved.Steps[0].Outcome.Signals[0].Raw},
			[]string{"not_repeatable k : " + s1 + " differs between attempts 1 and 2 on k: step 1 (victim: load) signals[0].raw: …200000000000000000001000000000000000000000000000000000000000000000000000000000… / …200000000000000000009000000000000000000000000000000000000000000000000000000000…"}},
		// No change explains differences between attempts on one kernel.
		{"the other side", []observe.Cell{attempt(1, before("k", s1)), attempt(2, after("k", s1))}, []string{"signals[0].code BUS_ADRERR -> BUS_MCEERR_AR", "signals[0].lsb 0 -> 12"},
			[]string{
				"not_repeatable k : " + s1 + " differs between attempts 1 and 2 on k: step 1 (victim: load) signals[0].code: BUS_ADRERR / BUS_MCEERR_AR; step 1 (victim: load) signals[0].lsb: 0 / 12",
			}},
		{"an infrastructure failure between", []observe.Cell{attempt(1, infra(after("k", s1))), attempt(2, cell("k", s1, always(adrerr()))), attempt(3, cell("k", s1, always(observe.Outcome{})))}, []string{"signals SIGBUS BUS_ADRERR -> none"},
			[]string{"not_repeatable k : " + s1 + " differs between attempts 2 and 3 on k: step 1 (victim: load) signals: SIGBUS BUS_ADRERR / none"}},
		{"another accelerator", []observe.Cell{attempt(1, before("k", s1)), accel(attempt(2, before("k", "other")), "kvm")}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := Judge(tc.cells, []Kernel{kernel("k", "")}, change.All())
			same(t, "repeats", tc.diffs, differences(j.Repeats))
			same(t, "findings", tc.found, found(j.Findings))
			if len(j.Differences) != 0 {
				t.Errorf("got the differences %v, want none", j.Differences)
			}
		})
	}
	kvm := []observe.Cell{attempt(1, before("k", s1)), accel(attempt(2, after("k", s1)), "kvm")}
	if j := Judge(kvm, nil, change.All()); len(j.Repeats) != 0 {
		t.Errorf("attempts with other accelerators: got the repeats %v, want none", j.Repeats)
	}
	if j := Judge(append(kvm, accel(attempt(3, before("k", s1)), "kvm")), nil, change.All()); len(j.Repeats) != 2 || j.Repeats[0].AttemptA != 2 || j.Repeats[0].AttemptB != 3 {
		t.Errorf("attempts with the same accelerator: got the repeats %v, want 2, of the attempts 2 and 3", j.Repeats)
	}
}

// Findings are ordered by kind, the most significant first, then by kernel and scenario.
func TestOrderOfFindings(t *testing.T) {
	bad := cell("b", "s/3", step("copy_from_user_quiet", observe.Neither, adrerr()))
	ks := []Kernel{claiming(kernel("a", "6.1.0-1-amd64"), dax, false), kernel("b", "6.12.117-amd64")}
	j := Judge([]observe.Cell{
		attempt(1, cell("a", "s/5", always(adrerr()))), attempt(2, cell("a", "s/5", always(mceerr()))),
		bad, saw(cell("b", "s/4", always(adrerr())), observe.WitnessSplats, "WARNING in f"),
		cell("a", "s/2", always(adrerr())), cell("b", "s/2", always(mceerr())), after("a", "s/1"), before("b", "s/1"),
	}, ks, change.All())
	var got []string
	for _, f := range j.Findings {
		got = append(got, string(f.Kind)+" "+f.Scenario)
	}
	same(t, "findings", []string{"contradicted_claim ", "lost_change ", "splat s/4", "unexplained_difference s/2", "unexpected_observation s/3", "not_repeatable s/5"}, got)
}

// Every field of an outcome counts, and is named.
func TestFields(t *testing.T) {
	gone := func(e observe.Exit) observe.Outcome { return observe.Outcome{Exit: &e} }
	named := func(change func(*observe.Signal)) observe.Outcome {
		o := adrerr()
		change(&o.Signals[0])
		return o
	}
	for _, tc := range []struct {
		name string
		a, b observe.Outcome
		want []string
	}{
		{"no signal", observe.Outcome{}, adrerr(), []string{"signals none -> SIGBUS BUS_ADRERR"}},
		{"two signals", adrerr(), observe.Outcome{Signals: []observe.Signal{payload(2, 0, 1), payload(4, 12, 1)}}, []string{"signals SIGBUS BUS_ADRERR -> SIGBUS BUS_ADRERR, SIGBUS BUS_MCEERR_AR lsb=12"}},
		{"a system call", observe.Outcome{Ret: ptr(int64(-1)), Errno: "EIO"}, observe.Outcome{Ret: ptr(int64(4096)), Data: "15", Digest: "ab"}, []string{"ret -1 -> 4096", "errno EIO -> none", "data none -> 15", "digest none -> ab"}},
		{"0 is a value", observe.Outcome{}, observe.Outcome{Ret: ptr(int64(0))}, []string{"ret none -> 0"}},
		{"a death", gone(observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}), gone(observe.Exit{}), []string{"exit killed by SIGBUS (core) -> exit 0"}},
		{"no core", gone(observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}), gone(observe.Exit{Code: -1, Signal: "SIGBUS"}), []string{"exit killed by SIGBUS (core) -> killed by SIGBUS"}},
		{"a note", observe.Outcome{Note: "8 sectors"}, observe.Outcome{Note: "1 sectors"}, []string{"note 8 sectors -> 1 sectors"}},
		{"a thread", adrerr(), named(func(s *observe.Signal) { s.Thread = "other" }), []string{"signals[0].thread none -> other"}},
		{"another signal", adrerr(), named(func(s *observe.Signal) { s.Signo, s.Name = 11, "SIGSEGV" }), []string{"signals[0].signo SIGBUS -> SIGSEGV"}},
		{"a code without a name", named(func(s *observe.Signal) { s.Code, s.CodeName = 77, "?" }), named(func(s *observe.Signal) { s.Code, s.CodeName = 78, "?" }), []string{"signals[0].code ? (77) -> ? (78)"}},
		{"no payload", adrerr(), named(func(s *observe.Signal) { s.Raw = "" }), []string{"signals[0].raw " + strings.Repeat("0", 256) + " -> none"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			same(t, "differences", tc.want, differences(fields(cell("a", s1, always(tc.a)), cell("b", s1, always(tc.b)), false)))
		})
	}
}

// The first attempt that observed something represents a cell, else the first.
func TestPick(t *testing.T) {
	one, two, three := attempt(1, before("k", s1)), attempt(2, after("k", s1)), attempt(3, before("k", s1))
	for name, test := range map[string]struct {
		cells []observe.Cell
		want  int
		none  bool
	}{
		"the first":              {[]observe.Cell{two, one, three}, 1, false},
		"the first that did":     {[]observe.Cell{infra(one), three, two}, 2, false},
		"none that did":          {[]observe.Cell{infra(three), infra(two)}, 2, false},
		"another's":              {[]observe.Cell{attempt(1, before("other", s1)), attempt(1, before("k", "other")), two}, 2, false},
		"none":                   {[]observe.Cell{before("other", s1)}, 0, true},
		"infra after the first":  {[]observe.Cell{one, infra(two)}, 1, false},
		"the one that did, last": {[]observe.Cell{infra(one), infra(two), three}, 3, false},
	} {
		if c, ok := observe.Pick(test.cells, "k", s1); ok == test.none || c.Attempt != test.want {
			t.Errorf("%s: got attempt %d, picked %t; want attempt %d, picked %t", name, c.Attempt, ok, test.want, !test.none)
		}
	}
}

// A lost change is found once, whichever kernel was named first: the finding names the
// nearest older kernel of the line that has it. No other kernel counts.
func TestLostSince(t *testing.T) {
	version := func(name, v string) Kernel { return NewKernel(name, v, "", nil) }
	for _, tc := range []struct {
		name    string
		kernels []Kernel
		cells   []observe.Cell
		want    []string
	}{
		{"between later updates", []Kernel{version("a", "5.10.262"), version("b", "6.1.193"), version("c", "6.1.200")},
			[]observe.Cell{before("a", s1), after("b", s1), before("c", s1)}, []string{"lost_change b,c"}},
		{"the newer was named first", []Kernel{version("a", "6.1.200"), version("b", "6.1.193")},
			[]observe.Cell{before("a", s1), after("b", s1)}, []string{"lost_change b,a"}},
		{"of the nearest that has it", []Kernel{version("a", "6.1.3"), version("b", "6.1.9"), version("c", "6.1.5"), version("d", "6.1.200")},
			[]observe.Cell{after("a", s1), after("b", s1), after("c", s1), before("d", s1)}, []string{"lost_change b,d"}},
		{"that has it in a scenario which both observed", []Kernel{version("a", "6.1.3"), version("b", "6.1.9"), version("c", "6.1.200")},
			[]observe.Cell{after("a", s1), after("b", "other"), before("c", s1)}, []string{"lost_change a,c"}},
		{"once", []Kernel{version("a", "6.1.193"), version("b", "6.1.194"), version("c", "6.1.195")},
			[]observe.Cell{after("a", s1), before("b", s1), before("c", s1)}, []string{"lost_change a,b", "lost_change a,c"}},
		{"in another series", []Kernel{version("a", "5.10.262"), version("b", "6.1.193"), version("c", "6.2")},
			[]observe.Cell{before("a", s1), after("b", s1), before("c", s1)}, nil},
		{"an update brought it, and was named first", []Kernel{version("a", "6.1.193"), version("b", "6.1.192")},
			[]observe.Cell{after("a", s1), before("b", s1)}, nil},
		{"brought on the way", []Kernel{version("a", "6.4"), version("b", "5.10.262"), version("c", "6.5")},
			[]observe.Cell{before("a", s1), before("b", s1), after("c", s1)}, nil},
		{"two of one version", []Kernel{version("a", "6.1.192"), version("b", "6.1.192")},
			[]observe.Cell{before("a", s1), after("b", s1)}, nil},
		{"two of one version, the other way round", []Kernel{version("a", "6.1.192"), version("b", "6.1.192")},
			[]observe.Cell{after("a", s1), before("b", s1)}, nil},
		{"claimed to lack it", []Kernel{version("a", "5.10.262"), version("b", "6.1.193"), claiming(version("c", "6.1.200"), dax, false)},
			[]observe.Cell{before("a", s1), after("b", s1), before("c", s1)}, nil},
		{"no version", []Kernel{version("a", "5.10.262"), version("b", "6.1.193"), version("c", "next")},
			[]observe.Cell{before("a", s1), after("b", s1), before("c", s1)}, nil},
		{"made from one that has it, under any name", []Kernel{{Name: "a"}, {Name: "b", MadeFrom: "a"}},
			[]observe.Cell{after("a", s1), before("b", s1)}, []string{"lost_change a,b"}},
		{"made from one without it", []Kernel{{Name: "a", MadeFrom: "b"}, {Name: "b"}},
			[]observe.Cell{after("a", s1), before("b", s1)}, nil},
	} {
		var got []string
		for _, f := range Judge(tc.cells, tc.kernels, change.All()).Findings {
			got = append(got, string(f.Kind)+" "+strings.Join(f.Kernels, ","))
		}
		same(t, tc.name, tc.want, got)
	}
}

// A bug that is in a release and fixed by a stable update of it is not a backport in
// either, and a kernel without it has lost nothing.
func TestFixedByAStableUpdate(t *testing.T) {
	bug := change.DaxFaultHWPoison
	bug.Since, bug.Until = change.DedupeErrorLost.Since, change.DedupeErrorLost.Until
	kernels := []Kernel{
		NewKernel("a", "7.3", "7.3.0-1-amd64", nil), NewKernel("b", "7.3.3", "", nil), NewKernel("c", "7.3.4", "", nil),
	}
	j := Judge([]observe.Cell{after("a", s1), after("b", s1), before("c", s1)}, kernels, change.List{bug})
	for _, f := range j.Findings {
		t.Errorf("got the finding %q, want none", f.Message)
	}
	for name, want := range map[string]conclusion.ChangeVerdict{"a": conclusion.Has, "b": conclusion.Has, "c": conclusion.Lacks} {
		if s := conclusion.StateOf(j.States[name], bug.ID); s.Verdict != want || s.Backported {
			t.Errorf("%s: got %+v, want %s", name, s, want)
		}
	}
}

// A kernel that has no counters or no trace event does not differ by that from one that has.
// A change that explains a line of the log explains the event with that text.
func TestMonitoringWitnesses(t *testing.T) {
	c := change.ThpSplitSigbus
	cell := func(kernel, result, counters string) observe.Cell {
		cell := observe.Cell{Scenario: "ram/thp/pinned", Kernel: kernel, Verdict: observe.Expected, Witnesses: map[string]string{
			observe.WitnessLog: "Memory failure: N: recovery action for unsplit thp: " + result,
		}}
		if counters != "" {
			cell.Witnesses[observe.WitnessEvents] = "recovery action for unsplit thp: " + result
			cell.Witnesses[observe.WitnessCounters] = counters
		}
		return cell
	}
	kernels := []Kernel{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	j := Judge([]observe.Cell{
		cell("a", "Ignored", ""), cell("b", "Ignored", "total 1, ignored 1"), cell("c", "Failed", "total 1, failed 1"),
	}, kernels, change.List{c})
	if len(j.Findings) != 0 || len(j.Differences) == 0 {
		t.Errorf("got %+v, differences %+v, want differences and no finding", j.Findings, j.Differences)
	}
}

// A bug in a kernel that contains its fix is a finding, and no backport.
func TestReturned(t *testing.T) {
	bug := change.DaxFaultHWPoison
	bug.Since, bug.Until, bug.Fixed = "v6.2", "v7.3", []string{"6.12.118"}
	kernels := []Kernel{
		NewKernel("a", "6.12.117", "", nil), NewKernel("b", "6.12.118", "", nil), NewKernel("c", "7.3.4", "", nil),
		claiming(NewKernel("d", "7.3.4", "", nil), bug.ID, true),
	}
	j := Judge([]observe.Cell{after("a", s1), after("b", s1), after("c", s1), after("d", s1)}, kernels, change.List{bug})
	var got []string
	for _, f := range j.Findings {
		got = append(got, f.Message)
	}
	same(t, "findings", []string{
		"b is based on 6.12.118 but has the bug dax_fault_hwpoison, which is fixed in 6.12.118 and later: seen in " + s1,
		"c is based on 7.3.4 but has the bug dax_fault_hwpoison, which is fixed in v7.3 and later: seen in " + s1,
	}, got)
	// A machine check alone proves nothing about the kernel: another host may show another result.
	alone := Judge([]observe.Cell{machineChecked(after("c", s1))}, kernels[2:3], change.List{bug})
	both := Judge([]observe.Cell{machineChecked(after("c", s1)), before("a", s1)}, kernels, change.List{bug})
	if len(alone.Findings) != 0 || len(both.Findings) != 1 {
		t.Errorf("got %d findings from a machine check, %d with another kernel; want 0 and 1", len(alone.Findings), len(both.Findings))
	}
	for _, k := range kernels {
		if s := conclusion.StateOf(j.States[k.Name], bug.ID); s.Backported {
			t.Errorf("%s: got %+v, want no backport", k.Name, s)
		}
	}
}

// A kernel that does not show a change that is a bug has the fix; it lost nothing.
func TestMended(t *testing.T) {
	bug := change.DaxFaultHWPoison
	bug.Since, bug.Until = "v6.2", "v7.3"
	kernels := []Kernel{NewKernel("a", "6.1.192", "", nil), NewKernel("b", "6.12.117", "", nil), NewKernel("c", "6.12.200", "", nil), NewKernel("d", "7.3.4", "", nil)}
	j := Judge([]observe.Cell{before("a", s1), after("b", s1), before("c", s1), before("d", s1)}, kernels, change.List{bug})
	for _, f := range j.Findings {
		t.Errorf("got the finding %q, want none", f.Message)
	}
	for _, d := range j.Differences {
		if d.ExplainedBy != bug.ID || d.Lost {
			t.Errorf("got %+v, want it explained by %s and not lost", d, bug.ID)
		}
	}
	for name, want := range map[string]conclusion.ChangeVerdict{"a": conclusion.Lacks, "b": conclusion.Has, "d": conclusion.Lacks} {
		if s := conclusion.StateOf(j.States[name], bug.ID); s.Verdict != want || s.Backported {
			t.Errorf("%s: got %+v, want %s", name, s, want)
		}
	}
}
