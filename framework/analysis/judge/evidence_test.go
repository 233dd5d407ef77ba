package judge

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

// accusations returns the findings about a kernel and a change.
func accusations(j Judgement) (out []string) {
	for _, f := range j.Findings {
		if slices.Contains([]conclusion.FindingKind{conclusion.LostChange, conclusion.IncompleteChange, conclusion.ContradictedClaim}, f.Kind) {
			out = append(out, string(f.Kind)+" "+strings.Join(f.Kernels, ",")+" "+f.Change)
		}
	}
	for _, d := range j.Differences {
		if d.Lost {
			out = append(out, "lost "+d.KernelA+","+d.KernelB+" "+d.ExplainedBy)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// accused returns the accusations that follow from cells of kernels.
func accused(kernels []Kernel, cells ...observe.Cell) []string {
	return accusations(Judge(cells, kernels, change.All()))
}

// Which kernels can lose a change, and compared with which. A name begins with the
// upstream version if a package or a banner has it; + is a kernel that shows the
// change, - one that shows the state before it.
func TestWhoMayBeAccused(t *testing.T) {
	kernelOf := func(name string) Kernel {
		version, release, both := strings.Cut(name[1:], " ")
		if !both {
			version, release = "", version
		}
		return NewKernel(name[1:], version, release, nil)
	}
	for _, tc := range []struct {
		since  string // of the change; "" for v6.5, as dax_fault_hwpoison
		stable []string
		names  []string
		lost   string // the kernel of the finding; "" for none
	}{
		// A backport in one line, next to a higher version of another line.
		{"", nil, []string{"+5.14.0-611.el9.x86_64", "-6.1.192 6.1.0-56-amd64"}, ""},
		{"", nil, []string{"+4.18.0-553.16.1.el8_10.x86_64", "-5.10.262 5.10.0-46-amd64"}, ""},
		{"", nil, []string{"+5.15.0-305.176.4.el9uek.x86_64", "-5.15.190"}, ""},
		{"", nil, []string{"+6.1.200", "-6.4"}, ""},
		{"", nil, []string{"+6.1.200", "-6.4.0-150600.23.25-default"}, ""},
		{"", nil, []string{"+6.4.0-110-generic", "-6.4.5"}, ""},
		{"", nil, []string{"+6.1.190", "-6.1.192 6.1.0-56-amd64"}, ""},
		{"", nil, []string{"+6.1.66-91.160.amzn2023.x86_64", "-6.1.128-android14-11-g213d628eb429"}, ""},
		{"", nil, []string{"+5.10.0-216.0.0.115.oe2203sp4.x86_64", "-5.10.262"}, ""},
		{"", nil, []string{"+6.4.0-150600.23.73-default", "-6.4.0-150700.53.31-default"}, ""},
		{"", nil, []string{"+5.14.0-427.50.1.el9_4.x86_64", "-5.14.0-503.11.1.el9_5.x86_64"}, ""},
		{"", nil, []string{"+6.1.192-mine", "-6.1.192"}, ""},
		{"", nil, []string{"+6.1.105+", "-6.1.110+"}, ""},
		{"", nil, []string{"+5.15.133.1-microsoft-standard-WSL2", "-5.15.190"}, ""},
		// The release itself, or what may be one of its candidates.
		{"", nil, []string{"-6.5.0-rc7+"}, ""},
		{"", nil, []string{"-6.5.0 6.5.0-next-20230701"}, ""},
		{"", nil, []string{"-6.5.0-rc1 6.5.0-rc1-next-20230712"}, ""},
		{"", nil, []string{"-6.5.0 6.5.0-0.rc4.30.fc39.x86_64"}, ""},
		{"", nil, []string{"-6.5.0 6.5.0-060500rc5-generic"}, ""},
		{"", nil, []string{"-6.5.0-1003-oem"}, ""},
		{"", nil, []string{"-6.5.0-0-amd64"}, ""},
		{"", nil, []string{"+6.5.0-rc3", "-6.5.0-rc5"}, ""},
		{"", nil, []string{"-next-20230901"}, ""},
		{"v6.8", nil, []string{"-6.8.0-2049-raspi-realtime"}, ""},
		// Its base has it.
		{"v5.12", nil, []string{"-5.14.0-611.el9.x86_64"}, "5.14.0-611.el9.x86_64"},
		{"", nil, []string{"-6.8.0-44-generic"}, "6.8.0-44-generic"},
		{"", nil, []string{"-6.6.0-rc1-next-20230912"}, "6.6.0-rc1-next-20230912"},
		{"", nil, []string{"-6.6.87.2-microsoft-standard-WSL2"}, "6.6.87.2-microsoft-standard-WSL2"},
		{"", nil, []string{"+6.1.200", "-6.12.0-55.el10.x86_64"}, "6.12.0-55.el10.x86_64"},
		// A stable update that it contains has it.
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.24"}, "6.12.24"},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.48+deb13-amd64"}, "6.12.48+deb13-amd64"},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.14.4-1-default"}, "6.14.4-1-default"},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.23"}, ""},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.24-rc1"}, ""},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.13.12"}, ""},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.0-228.el10.x86_64"}, ""},
		{"v6.15", []string{"6.14.3", "6.12.24"}, []string{"-6.12.30-android16-5-gabcdef123456"}, ""},
		{"v5.19", []string{"5.10.100"}, []string{"-5.10.134-16.1.al8.x86_64"}, ""},
		// An older kernel of its own line has it.
		{"", nil, []string{"+6.1.190", "-6.1.200"}, "6.1.200"},
		{"", nil, []string{"+5.14.0-503.11.1.el9_5.x86_64", "-5.14.0-503.14.1.el9_5.x86_64"}, "5.14.0-503.14.1.el9_5.x86_64"},
		{"", nil, []string{"+5.15.0-305.176.4.el9uek.x86_64", "-5.15.0-305.177.1.el9uek.x86_64"}, "5.15.0-305.177.1.el9uek.x86_64"},
		{"", nil, []string{"+6.4.0-150600.23.25-default", "-6.4.0-150600.23.53-default"}, "6.4.0-150600.23.53-default"},
		{"", nil, []string{"+6.1.190 6.1.0-55-amd64", "-6.1.192 6.1.0-56-amd64"}, "6.1.192 6.1.0-56-amd64"},
	} {
		c := change.DaxFaultHWPoison
		if tc.since != "" {
			c.Since = tc.since
		}
		c.Stable = tc.stable
		for range 2 { // in either order
			var kernels []Kernel
			var cells []observe.Cell
			for _, name := range tc.names {
				kernels = append(kernels, kernelOf(name))
				side := after
				if name[0] == '-' {
					side = before
				}
				cells = append(cells, side(name[1:], s1))
			}
			j := Judge(cells, kernels, change.List{c})
			got := ""
			for _, f := range j.Findings {
				got += f.Kernels[len(f.Kernels)-1]
			}
			if got != tc.lost {
				t.Errorf("%v, in %s%v: got %q accused, want %q: %v", tc.names, c.Since, c.Stable, got, tc.lost, j.Findings)
			}
			for _, d := range j.Differences {
				if d.Lost && d.KernelB != tc.lost || d.ExplainedBy != c.ID {
					t.Errorf("%v: got %+v, want it explained by %s, and lost only on %q", tc.names, d, c.ID, tc.lost)
				}
			}
			slices.Reverse(tc.names)
		}
	}
}

// The change explains the differences between a kernel with a backport and one that
// need not have it.
func TestBackportExplains(t *testing.T) {
	el9, debian := NewKernel("el9", "5.14.0", "5.14.0-611.el9.x86_64", nil), NewKernel("debian", "6.1.192", "6.1.0-56-amd64", nil)
	kernels := []Kernel{el9, debian}
	j := Judge([]observe.Cell{after("el9", s1), before("debian", s1)}, kernels, change.All())
	same(t, "el9", []string{"has dax_fault_hwpoison (backported; seen in 1 scenario)"}, words(j.States["el9"]))
	same(t, "debian", []string{"does not have dax_fault_hwpoison (absent in 1 scenario)"}, words(j.States["debian"]))
	same(t, "differences", []string{back, lsbBack}, differences(j.Differences))
	same(t, "findings", nil, found(j.Findings))
}

// A cell with another problem proves nothing about a change: alone it leaves the change
// unknown, and among others it is left out.
func TestDoubtfulCells(t *testing.T) {
	bad := with(always(observe.Outcome{Data: "00"}), func(s *observe.Step) {
		s.Expected.Side, s.Expected.Met = observe.Neither, false
	})
	old := step(dax, observe.Before, adrerr())
	of := func(kernel, scenario string) map[string]observe.Cell {
		c := before(kernel, scenario)
		return map[string]observe.Cell{
			// The page of a THP that reads zeros without a signal (6.16.12).
			"another step":                 cell(kernel, scenario, old, bad),
			"another step before it":       cell(kernel, scenario, bad, old),
			"a step of another change":     cell(kernel, scenario, old, step("dax_folios", observe.Neither, adrerr())),
			"a warning":                    saw(c, observe.WitnessSplats, "WARNING in dax_iomap_fault"),
			"a watchdog":                   saw(c, observe.WitnessSplats, "soft lockup in clear_page_erms"),
			"a witness that shows it":      saw(c, observe.WitnessLog, killing),
			"a panic":                      with(c, func(c *observe.Cell) { c.Panicked, c.Verdict = true, observe.Unexpected }),
			"a panic the first time":       with(c, func(c *observe.Cell) { c.Earlier = &observe.Cell{Panicked: true} }),
			"what no step is to blame for": with(c, func(c *observe.Cell) { c.Verdict, c.Message = observe.Unexpected, "why" }),
		}
	}
	k := kernel("k", "6.12.117+deb12-amd64")
	for name := range of("k", s1) {
		doubtful := of("k", s1)[name]
		alone := Judge([]observe.Cell{doubtful}, []Kernel{k}, change.All())
		same(t, name+", alone", nil, accusations(alone))
		if s := conclusion.StateOf(alone.States["k"], dax); s.Verdict != conclusion.NotSeen || !slices.Equal(s.Doubtful, []string{s1}) {
			t.Errorf("%s, alone: got %+v, want %s, doubtful by %s", name, s, conclusion.NotSeen, s1)
		}
		said := "does not show whether it has dax_fault_hwpoison: there is another problem in " + s1
		same(t, name+", as text", []string{said}, words(alone.States["k"])[:1])

		older := kernel("older", "6.12.100+deb12-amd64")
		cells := []observe.Cell{after("older", s1), doubtful, after("k", "dax/ext4/mkwrite")}
		beside := Judge(cells, []Kernel{older, k}, change.All())
		same(t, name+", beside the change", nil, accusations(beside))
		if s := conclusion.StateOf(beside.States["k"], dax); s.Verdict != conclusion.Has {
			t.Errorf("%s, beside the change: got %+v, want %s", name, s, conclusion.Has)
		}

		// Other cells still prove the loss.
		lost := Judge([]observe.Cell{doubtful, before("k", "dax/ext4/mkwrite")}, []Kernel{k}, change.All())
		same(t, name+", beside a loss", []string{"lost_change k dax_fault_hwpoison"}, accusations(lost))
	}
}

// An unexplained difference from another kernel or attempt makes the cell doubtful too.
func TestUnexplainedProvesNothing(t *testing.T) {
	a, b := kernel("a", "6.12.100+deb12-amd64"), kernel("b", "6.12.117+deb12-amd64")
	both := []observe.Cell{saw(after("a", s1), "badblocks", "none"), saw(before("b", s1), "badblocks", "8 sectors")}
	same(t, "another witness", nil, accused([]Kernel{a, b}, both...))
	same(t, "and a cell that agrees", []string{"lost a,b dax_fault_hwpoison", "lost_change b dax_fault_hwpoison"},
		accused([]Kernel{a, b}, append(both, after("a", "s/2"), before("b", "s/2"))...))
	second := cell("b", s1, step(dax, observe.Before, observe.Outcome{Errno: "EIO"}))
	twice := []observe.Cell{attempt(1, before("b", s1)), attempt(2, second)}
	same(t, "another attempt", nil, accused([]Kernel{b}, twice...))
}

// A part of a change is a finding about that change only, other changes still count:
// the driver's errno alone (6.1-errno-only of tools/variants) loses the recovering
// write.
func TestPartIsNoDoubt(t *testing.T) {
	leak := step("dax_recovery_write", observe.Partly, observe.Outcome{Errno: "EHWPOISON"})
	leak.Expected.PartOf = dax
	left := step("dax_recovery_write", observe.Before, observe.Outcome{Note: "8 sectors"})
	same(t, "accusations", []string{"incomplete_change k dax_fault_hwpoison", "lost_change k dax_recovery_write"},
		accused([]Kernel{kernel("k", "6.1.192")}, cell("k", "dax/e820-ext4/pwrite", leak, left), before("k", s1)))
}

// The cells of a run on QEMU 10, where machine checks in the kernel's copies came after
// the rep instruction: kernels that have copy_user_highpage_mc panic, also in a scenario
// in which no kernel should. That proves nothing against them.
func TestOtherQEMU(t *testing.T) {
	text, err := os.ReadFile("testdata/qemu-10.json")
	if err != nil {
		t.Fatal(err)
	}
	var cells []observe.Cell
	if err := json.Unmarshal(text, &cells); err != nil {
		t.Fatal(err)
	}
	old, recent := "6.1.192 (apt:bookworm)", "6.12.117 (apt:bookworm/6.12)"
	kernels := []Kernel{
		NewKernel(old, "6.1.192", "6.1.0-56-amd64", nil), NewKernel(recent, "6.12.117", "6.12.117+deb12-amd64", nil),
	}
	j := Judge(cells, kernels, change.All())
	same(t, "both", nil, accusations(j))
	for _, f := range j.Findings {
		if f.Kind == conclusion.Splat && !strings.HasSuffix(f.Message, "confirm with another QEMU version") {
			t.Errorf("the message does not name QEMU as a cause: %s", f.Message)
		}
	}
	if s := conclusion.StateOf(j.States[recent], "copy_user_highpage_mc"); s.Verdict != conclusion.Lacks || len(s.Before) != 3 {
		t.Errorf("got %+v, want %s, by 3 scenarios", s, conclusion.Lacks)
	}
	same(t, "one alone", nil, accused(kernels[1:], cells...))
	claimed := claiming(kernels[1], "copy_user_highpage_mc", true)
	same(t, "one that is claimed to have it", nil, accused([]Kernel{kernels[0], claimed}, cells...))

	// If another kernel survives the scenarios on this host, it is a loss, whichever
	// kernel was named first.
	for i, c := range cells {
		if s := &c.Steps; c.Kernel == old && strings.HasSuffix(c.Scenario, "/cow") {
			cells[i].Steps = slices.Clone(*s)
			last := &cells[i].Steps[len(*s)-1]
			expected := *last.Expected
			expected.Side = observe.After
			last.Outcome, last.Expected = mceerr(), &expected
		}
	}
	const cow = " copy_user_highpage_mc"
	want := []string{"lost " + old + "," + recent + cow, "lost_change " + recent + cow}
	same(t, "a true loss", want, accused(kernels, cells...))
	slices.Reverse(kernels)
	same(t, "in the other order", want[1:], accused(kernels, cells...))
	// Not if the other kernel ran with another accelerator.
	for i, c := range cells {
		if c.Kernel == old {
			cells[i].Accel = "kvm"
		}
	}
	same(t, "another accelerator", nil, accused(kernels, cells...))
}

// A scenario that the host may decide proves a loss if the host can show the change, or
// if a scenario that the host cannot decide agrees.
func TestHostMade(t *testing.T) {
	check := observe.Step{Actor: "host", Action: "machine check SRAR at file+0x4000, as victim accesses it"}
	checked := func(c observe.Cell) observe.Cell {
		c.Steps = append([]observe.Step{check}, c.Steps...)
		return c
	}
	mce := "mce/ext4/srar-shared"
	k, other := kernel("k", "6.12.117+deb12-amd64"), kernel("other", "6.1.0-1-amd64")
	found := []string{"lost_change k dax_fault_hwpoison"}
	same(t, "alone", nil, accused([]Kernel{k}, checked(before("k", mce))))
	same(t, "others show the same", nil, accused([]Kernel{k, other}, checked(before("k", mce)), checked(before("other", mce))))
	same(t, "another shows it", found, accused([]Kernel{k, other}, checked(before("k", mce)), checked(after("other", mce))))
	simulated := checked(before("k", mce))
	simulated.Steps[0].Action = "mce-inject sw machine check UCNA at file+0x4000"
	same(t, "by software", found, accused([]Kernel{k}, simulated))
	simulated.Steps[0].Action = "mce-inject hw machine check SRAO at file+0x4000"
	same(t, "by the processor", nil, accused([]Kernel{k}, simulated))
	same(t, "another scenario agrees", found, accused([]Kernel{k}, checked(before("k", mce)), before("k", s1)))
	same(t, "incomplete by it alone", nil, accused([]Kernel{k}, checked(before("k", mce)), after("k", s1)))
	same(t, "incomplete, as another shows", []string{"incomplete_change k dax_fault_hwpoison"},
		accused([]Kernel{k, other}, checked(before("k", mce)), after("k", s1), checked(after("other", mce))))
}
