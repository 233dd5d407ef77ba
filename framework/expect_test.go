package framework

import (
	"strings"
	"testing"

	"github.com/onsi/gomega"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/kernels"
)

// Outcomes as victims have them; the access was at file+0x4005.
const accessed = "file+0x4005"

func sigbus(code Code, lsb int16, addr string) observe.Signal {
	return observe.Signal{Signo: siginfo.SIGBUS, Name: "SIGBUS", Code: int32(code), CodeName: siginfo.CodeName(siginfo.SIGBUS, int32(code)), LSB: lsb, Addr: addr}
}

func outcome(signals ...observe.Signal) observe.Outcome { return observe.Outcome{Signals: signals} }

func returned(n int64) observe.Outcome { return observe.Outcome{Ret: &n} }

func TestPatterns(t *testing.T) {
	file := &Mapping{Name: "file"}
	ar := sigbus(BUS_MCEERR_AR, 12, accessed)
	for _, test := range []struct {
		pattern Pattern
		text    string
		yes, no []observe.Outcome
	}{
		{
			SIGBUS(BUS_ADRERR), "SIGBUS BUS_ADRERR",
			[]observe.Outcome{outcome(sigbus(BUS_ADRERR, 0, accessed))},
			[]observe.Outcome{
				outcome(), outcome(ar), outcome(sigbus(BUS_ADRERR, 12, accessed)), outcome(sigbus(BUS_ADRERR, 0, "file+0x4000")),
				outcome(sigbus(BUS_ADRERR, 0, accessed), sigbus(BUS_ADRERR, 0, accessed)),
				{Signals: []observe.Signal{sigbus(BUS_ADRERR, 0, accessed)}, Errno: "EIO"},
				{Signals: []observe.Signal{sigbus(BUS_ADRERR, 0, accessed)}, Exit: &observe.Exit{Code: 1}},
				outcome(observe.Signal{Signo: 11, Code: int32(BUS_ADRERR), Addr: accessed}),
			},
		},
		{
			SIGBUS(BUS_MCEERR_AR, LSB(12)), "SIGBUS BUS_MCEERR_AR lsb=12",
			[]observe.Outcome{outcome(ar)},
			[]observe.Outcome{outcome(sigbus(BUS_MCEERR_AR, 0, accessed)), outcome(sigbus(BUS_MCEERR_AR, 21, accessed)), outcome(sigbus(BUS_MCEERR_AO, 12, accessed))},
		},
		{
			SIGBUS(BUS_MCEERR_AR, LSB(21), At(file.At(0x4000))), "SIGBUS BUS_MCEERR_AR lsb=21 at file+0x4000",
			[]observe.Outcome{outcome(sigbus(BUS_MCEERR_AR, 21, "file+0x4000"))},
			[]observe.Outcome{outcome(sigbus(BUS_MCEERR_AR, 21, accessed))},
		},
		{
			OK(), "ok",
			[]observe.Outcome{{}, returned(3), {Data: "aa"}},
			[]observe.Outcome{outcome(ar), {Errno: "EIO"}, {Exit: &observe.Exit{}}},
		},
		{
			Reads(0x05), "reads 0x05",
			[]observe.Outcome{{Data: "05"}, {Data: "050505"}},
			[]observe.Outcome{{}, {Data: "0550"}, {Data: "5050"}, {Data: "00"}, {Data: "05", Errno: "EIO"}},
		},
		{
			Errno("EIO"), "EIO",
			[]observe.Outcome{{Errno: "EIO"}},
			[]observe.Outcome{{}, {Errno: "EFAULT"}, {Errno: "EIO", Signals: []observe.Signal{ar}}, {Errno: "EIO", Exit: &observe.Exit{Code: 1}}},
		},
		{
			Returns(4096), "ok 4096",
			[]observe.Outcome{returned(4096)},
			[]observe.Outcome{{}, returned(512), {Ret: returned(4096).Ret, Errno: "EIO"}},
		},
		{
			KilledBy("SIGBUS"), "killed by SIGBUS",
			[]observe.Outcome{{Exit: &observe.Exit{Code: -1, Signal: "SIGBUS"}}, {Exit: &observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}}},
			[]observe.Outcome{{}, {Exit: &observe.Exit{Code: 135}}, {Exit: &observe.Exit{Signal: "SIGKILL"}}, outcome(ar)},
		},
		{
			Says("8 sectors"), "8 sectors",
			[]observe.Outcome{{Note: "8 sectors"}, {Note: "8 sectors, 1 sectors"}},
			[]observe.Outcome{{}, {Note: "none"}},
		},
		{
			Panics("Machine check"), "panic: Machine check",
			[]observe.Outcome{{Note: "Kernel panic - not syncing: Fatal local machine check; Machine check from unknown source"}},
			[]observe.Outcome{{}, {Note: "Machine check"}, {Note: "Kernel panic - not syncing: oh"}},
		},
	} {
		if test.pattern.String() != test.text {
			t.Errorf("%q, not %q", test.pattern, test.text)
		}
		for _, o := range test.yes {
			if !test.pattern.match(o, accessed) {
				t.Errorf("%s does not match %+v", test.pattern, o)
			}
		}
		for _, o := range test.no {
			if test.pattern.match(o, accessed) {
				t.Errorf("%s matches %+v", test.pattern, o)
			}
		}
	}
}

// kernelThat pretends that a suite runs with a kernel that has the change, or not.
func kernelThat(t *testing.T, has bool) {
	before := running
	t.Cleanup(func() { running = before })
	running = &suite{kernel: &kernels.Kernel{Name: "6.1"}, known: map[string]probed{change.DaxFaultHWPoison.ID: {has, "probe"}}}
}

func TestFollow(t *testing.T) {
	for _, test := range []struct {
		name string
		has  bool
		saw  observe.Outcome
		side string
		met  bool
		says string
	}{
		{"an old kernel as ever", false, outcome(sigbus(BUS_ADRERR, 0, accessed)), "before", true, ""},
		{"an old kernel that knows better", false, outcome(sigbus(BUS_MCEERR_AR, 12, accessed)), "after", false, "expected: SIGBUS BUS_ADRERR\n    because 6.1 lacks dax_fault_hwpoison (found by its probe, dax/ext4/shared-read)"},
		{"a new kernel", true, outcome(sigbus(BUS_MCEERR_AR, 12, accessed)), "after", true, ""},
		{"a new kernel that fell back", true, outcome(sigbus(BUS_ADRERR, 0, accessed)), "before", false, "expected: SIGBUS BUS_MCEERR_AR lsb=12\n    because 6.1 has dax_fault_hwpoison"},
		{"neither", true, observe.Outcome{}, "neither", false, "saw:      victim: load → ok\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			kernelThat(t, test.has)
			rec := newRecorder()
			seen := rec.add("victim", "load", test.saw, accessed)
			e := Follow(change.DaxFaultHWPoison, Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, LSB(12))))
			met, err := e.Match(seen)
			if err != nil || met != test.met {
				t.Errorf("met: %t, %v", met, err)
			}
			got := rec.steps[0].Expected
			want := observe.Expectation{Change: "dax_fault_hwpoison", Before: "SIGBUS BUS_ADRERR", After: "SIGBUS BUS_MCEERR_AR lsb=12", Has: test.has, Side: test.side, Met: test.met}
			if got == nil || *got != want {
				t.Errorf("recorded %+v, not %+v", got, want)
			}
			if says := e.FailureMessage(seen); !strings.Contains(says, test.says) || !strings.HasPrefix(says, "6.1\n") {
				t.Errorf("%q does not say %q", says, test.says)
			}
		})
	}
}

func TestBe(t *testing.T) {
	kernelThat(t, true)
	rec := newRecorder()
	good, bad := rec.add("victim", "read", observe.Outcome{Errno: "EIO"}, ""), rec.add("victim", "read", observe.Outcome{}, "")
	for _, test := range []struct {
		seen *Seen
		want observe.Expectation
	}{
		{good, observe.Expectation{After: "EIO", Side: "both", Met: true}},
		{bad, observe.Expectation{After: "EIO", Side: "neither"}},
	} {
		if met, err := Be(Errno("EIO")).Match(test.seen); err != nil || met != test.want.Met {
			t.Errorf("%v: %t, %v", test.seen, met, err)
		}
		if got := rec.steps[test.seen.index].Expected; *got != test.want {
			t.Errorf("recorded %+v, not %+v", *got, test.want)
		}
	}
	if met, err := Be(OK()).Match(7); met || err == nil {
		t.Errorf("a number: %t, %v", met, err)
	}
	// Gomega takes it for a matcher.
	var failure string
	g := gomega.NewGomega(func(message string, _ ...int) { failure = message })
	g.Expect(bad).To(Be(Errno("EIO")))
	if !strings.Contains(failure, "expected: EIO") {
		t.Errorf("Gomega says %q", failure)
	}
}

func TestFollowWantsBothSidesInOrder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it took two that come after")
		}
	}()
	Follow(change.DaxFaultHWPoison, After(OK()), After(OK()))
}
