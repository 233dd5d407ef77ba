package framework

import (
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// Outcomes of victims; the access was at file+0x4005.
const accessed = "file+0x4005"

func sigbus(code Code, lsb int16, addr string) observe.Signal {
	return observe.Signal{Signo: siginfo.SIGBUS, Name: "SIGBUS", Code: int32(code), CodeName: siginfo.CodeName(siginfo.SIGBUS, int32(code)), LSB: lsb, Addr: addr}
}

func outcome(signals ...observe.Signal) observe.Outcome { return observe.Outcome{Signals: signals} }

func returned(n int64) observe.Outcome { return observe.Outcome{Ret: &n} }

func TestPatterns(t *testing.T) {
	file := &Mapping{Name: "file"}
	ar := sigbus(BUS_MCEERR_AR, 12, accessed)
	adr := sigbus(BUS_ADRERR, 0, accessed)
	page := observe.Data([]byte(strings.Repeat("\x15", int(PageBytes()))))
	for _, test := range []struct {
		pattern Pattern
		text    string
		yes, no []observe.Outcome
	}{
		{
			SIGBUS(BUS_ADRERR), "SIGBUS BUS_ADRERR",
			[]observe.Outcome{outcome(adr)},
			[]observe.Outcome{
				outcome(), outcome(ar), outcome(sigbus(BUS_ADRERR, 12, accessed)), outcome(sigbus(BUS_ADRERR, 0, "file+0x4000")), outcome(adr, adr),
				{Signals: []observe.Signal{adr}, Errno: "EIO"},
				{Signals: []observe.Signal{adr}, Exit: &observe.Exit{Code: 1}},
				{Signals: []observe.Signal{adr}, Ret: returned(0).Ret},
				{Signals: []observe.Signal{adr}, Data: "05"},
				{Signals: []observe.Signal{adr}, Note: "8 sectors"},
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
			SIGBUS(BUS_MCEERR_AR, LSB(12), Returning(-1)), "SIGBUS BUS_MCEERR_AR lsb=12, returning -1",
			[]observe.Outcome{{Signals: []observe.Signal{ar}, Ret: returned(-1).Ret}},
			[]observe.Outcome{outcome(ar), {Signals: []observe.Signal{ar}, Ret: returned(4096).Ret}},
		},
		{
			SIGBUS(BUS_MCEERR_AR, LSB(12), Failing("EHWPOISON")), "SIGBUS BUS_MCEERR_AR lsb=12, failing with EHWPOISON",
			[]observe.Outcome{{Signals: []observe.Signal{ar}, Errno: "EHWPOISON"}},
			[]observe.Outcome{outcome(ar), {Signals: []observe.Signal{ar}, Errno: "EBUSY"}, {Signals: []observe.Signal{ar}, Ret: returned(0).Ret}},
		},
		{
			KilledBy("SIGBUS"), "killed by SIGBUS",
			[]observe.Outcome{{Exit: &observe.Exit{Code: -1, Signal: "SIGBUS"}}},
			[]observe.Outcome{{}, {Exit: &observe.Exit{Code: 7}}, {Exit: &observe.Exit{Code: -1, Signal: "SIGKILL"}}, {Exit: &observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}}, outcome(ar)},
		},
		{
			DumpedBy("SIGBUS"), "killed by SIGBUS (core)",
			[]observe.Outcome{{Exit: &observe.Exit{Code: -1, Signal: "SIGBUS", Core: true}}},
			[]observe.Outcome{{}, {Exit: &observe.Exit{Code: -1, Signal: "SIGBUS"}}},
		},
		{
			OK(), "ok",
			[]observe.Outcome{{}, returned(0)},
			[]observe.Outcome{returned(3), {Data: "aa"}, outcome(ar), {Errno: "EIO"}, {Exit: &observe.Exit{}}, {Note: "none"}},
		},
		{
			Reads(0x05), "reads 0x05",
			[]observe.Outcome{{Data: "05"}},
			[]observe.Outcome{{}, {Data: "050505"}, {Data: "0550"}, {Data: "50"}, {Data: "05", Errno: "EIO"}, {Data: "05", Ret: returned(1).Ret}, {Data: "05", Signals: []observe.Signal{ar}}},
		},
		{
			ReturnsFull(PageBytes(), 0x15), "ok 4096 of 0x15",
			[]observe.Outcome{{Ret: returned(PageBytes()).Ret, Data: page.Data, Digest: page.Digest}},
			[]observe.Outcome{
				{}, returned(PageBytes()),
				{Ret: returned(512).Ret, Data: page.Data, Digest: page.Digest},
				{Ret: returned(PageBytes()).Ret, Data: page.Data, Digest: "0123456789abcdef"},
				{Ret: returned(PageBytes()).Ret, Data: page.Data, Digest: page.Digest, Signals: []observe.Signal{ar}},
			},
		},
		{
			Errno("EIO"), "EIO",
			[]observe.Outcome{{Errno: "EIO"}, {Errno: "EIO", Ret: returned(-1).Ret}},
			[]observe.Outcome{{}, {Errno: "EFAULT"}, {Errno: "EIO", Signals: []observe.Signal{ar}}, {Errno: "EIO", Exit: &observe.Exit{Code: 1}}, {Errno: "EIO", Data: "05"}},
		},
		{
			Returns(4096), "ok 4096",
			[]observe.Outcome{returned(4096)},
			[]observe.Outcome{{}, returned(512), {Ret: returned(4096).Ret, Errno: "EIO"}, {Ret: returned(4096).Ret, Data: "15"}},
		},
		{
			Note("8 sectors"), "8 sectors",
			[]observe.Outcome{{Note: "8 sectors"}},
			[]observe.Outcome{{}, {Note: "none"}, {Note: "8 sectors, 1 sectors"}},
		},
		{
			Panics("Machine check"), "panic: Machine check",
			[]observe.Outcome{{Note: "Kernel panic - not syncing: Fatal local machine check; Machine check from unknown source"}},
			[]observe.Outcome{{}, {Note: "Machine check"}, {Note: "Kernel panic - not syncing: oh"}},
		},
	} {
		if test.pattern.String() != test.text {
			t.Errorf("got %q, want %q", test.pattern, test.text)
		}
		for _, o := range test.yes {
			if !test.pattern.made().match(o, accessed) {
				t.Errorf("%s: got no match with %+v, want one", test.pattern, o)
			}
		}
		for _, o := range test.no {
			if test.pattern.made().match(o, accessed) {
				t.Errorf("%s: got a match with %+v, want none", test.pattern, o)
			}
		}
	}
}

// kernelThat returns the record of a scenario on a kernel without these symbols.
func kernelThat(t *testing.T, lacks ...string) *suite.Record {
	t.Helper()
	text := ""
	for _, c := range change.All() {
		for _, s := range c.NeedsConfig {
			if !slices.Contains(lacks, s) {
				text += "CONFIG_" + s + "=y\n"
			}
		}
	}
	config, err := kconfig.ParseBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return suite.NewRecord(&kernels.Kernel{Name: "6.1", Config: config})
}

func TestDependOn(t *testing.T) {
	const old, recent = "SIGBUS BUS_ADRERR at file+0x4005", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005"
	for _, test := range []struct {
		name  string
		lacks []string
		saw   observe.Outcome
		side  observe.Side
		met   bool
		says  string
	}{
		{"what was before it", nil, outcome(sigbus(BUS_ADRERR, 0, accessed)), observe.Before, true, ""},
		{"the change", nil, outcome(sigbus(BUS_MCEERR_AR, 12, accessed)), observe.After, true, ""},
		{"success", nil, observe.Outcome{}, observe.Neither, false, "saw:      victim: load → ok\n    expected: " + old + " (without dax_fault_hwpoison) or " + recent + " (with it)"},
		{"the page's address", nil, outcome(sigbus(BUS_MCEERR_AR, 12, "file+0x4000")), observe.Neither, false, "lsb=12 at file+0x4000\n"},
		{"a part of it", nil, observe.Outcome{Errno: "EHWPOISON"}, observe.Partly, false, "saw:      victim: load → EHWPOISON"},
		{"a kernel that can't show it", []string{"MEMORY_FAILURE"}, outcome(sigbus(BUS_ADRERR, 0, accessed)), observe.Before, true, ""},
		{"a kernel that can't show it, and does", []string{"MEMORY_FAILURE"}, outcome(sigbus(BUS_MCEERR_AR, 12, accessed)), observe.After, false, "expected: " + old},
		{"a kernel that lacks something else", []string{"FS_DAX"}, outcome(sigbus(BUS_MCEERR_AR, 12, accessed)), observe.After, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := kernelThat(t, test.lacks...)
			seen := record(rec, "victim", "load", test.saw, accessed)
			e := DependOn(change.DaxFaultHWPoison, Before(SIGBUS(BUS_ADRERR)), After(SIGBUS(BUS_MCEERR_AR, LSB(12)))).
				PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON"))
			met, err := e.Match(seen)
			if err != nil || met != test.met {
				t.Errorf("got met %t, error %v; want met %t", met, err, test.met)
			}
			got := rec.Steps[0].Expected
			want := observe.Expectation{
				Change: "dax_fault_hwpoison", Before: old, After: recent, PartOf: "dax_fault_hwpoison", Part: "EHWPOISON", Side: test.side, Met: test.met,
			}
			if slices.Contains(test.lacks, "MEMORY_FAILURE") {
				want.Hidden = "MEMORY_FAILURE"
			}
			if got == nil || *got != want {
				t.Errorf("got the record %+v, want %+v", got, want)
			}
			if says := e.FailureMessage(seen); !strings.Contains(says, test.says) || !strings.HasPrefix(says, "6.1\n") {
				t.Errorf("got %q, want the first line 6.1, and %q", says, test.says)
			}
		})
	}
}

// If the two sides of a change are the same, an outcome shows nothing about it.
func TestDependOnBothSides(t *testing.T) {
	rec := kernelThat(t)
	seen := record(rec, "victim", "pread", observe.Outcome{Errno: "EIO"}, "")
	e := DependOn(change.DaxFaultHWPoison, Before(Errno("EIO")), After(Errno("EIO")))
	if met, err := e.Match(seen); !met || err != nil || rec.Steps[0].Expected.Side != observe.Both {
		t.Errorf("got met %t, error %v, %+v; want met, on both sides", met, err, rec.Steps[0].Expected)
	}
}

func TestBe(t *testing.T) {
	rec := kernelThat(t)
	good, bad := record(rec, "victim", "read", observe.Outcome{Errno: "EIO"}, ""), record(rec, "victim", "read", observe.Outcome{}, "")
	part := record(rec, "victim", "read", observe.Outcome{Errno: "EHWPOISON"}, "")
	be := func() *Expectation {
		return BeOutcome(Errno("EIO")).PartOf(change.DaxFaultHWPoison, Errno("EHWPOISON"))
	}
	for _, test := range []struct {
		seen *Observation
		side observe.Side
		met  bool
	}{{good, observe.Both, true}, {bad, observe.Neither, false}, {part, observe.Partly, false}} {
		if met, err := be().Match(test.seen); err != nil || met != test.met {
			t.Errorf("%v: got met %t, error %v; want met %t", test.seen, met, err, test.met)
		}
		want := observe.Expectation{After: "EIO", PartOf: "dax_fault_hwpoison", Part: "EHWPOISON", Side: test.side, Met: test.met}
		if got := rec.Steps[test.seen.index].Expected; *got != want {
			t.Errorf("got the record %+v, want %+v", *got, want)
		}
	}
	if met, err := BeOutcome(OK()).Match(7); met || err == nil {
		t.Errorf("a number: got met %t, error %v; want an error", met, err)
	}
	// Gomega accepts it as a matcher.
	var failure string
	g := gomega.NewGomega(func(message string, _ ...int) { failure = message })
	g.Expect(bad).To(BeOutcome(Errno("EIO")))
	if !strings.Contains(failure, "expected: EIO") {
		t.Errorf("got %q of Gomega, want expected: EIO", failure)
	}
}

// A kernel without the change of IfMissing shows only that.
func TestIfMissing(t *testing.T) {
	rec := kernelThat(t)
	follow := func() *Expectation {
		return DependOn(change.HugetlbReadsGoodPages, Before(Errno("EIO")), After(Returns(1))).IfMissing(change.HugetlbKeepsErrorPage, Returns(0))
	}
	for _, test := range []struct {
		saw  observe.Outcome
		want observe.Expectation
	}{
		{returned(0), observe.Expectation{Change: "hugetlb_keeps_error_page", Before: "ok 0", After: "EIO or ok 1", Masks: "hugetlb_reads_good_pages", Side: observe.Before, Met: true}},
		{observe.Outcome{Errno: "EIO"}, observe.Expectation{Change: "hugetlb_reads_good_pages", Before: "EIO", After: "ok 1", Side: observe.Before, Met: true}},
		{returned(1), observe.Expectation{Change: "hugetlb_reads_good_pages", Before: "EIO", After: "ok 1", Side: observe.After, Met: true}},
		{returned(2), observe.Expectation{Change: "hugetlb_reads_good_pages", Before: "EIO", After: "ok 1", Side: observe.Neither}},
	} {
		seen := record(rec, "victim", "pread64", test.saw, "")
		if met, err := follow().Match(seen); err != nil || met != test.want.Met {
			t.Errorf("%v: got met %t, error %v; want met %t", seen, met, err, test.want.Met)
		}
		if got := rec.Steps[seen.index].Expected; *got != test.want {
			t.Errorf("got the record %+v, want %+v", *got, test.want)
		}
	}
	// An outcome that is the same with and without the other change shows the first.
	seen := record(rec, "victim", "pread64", returned(1), "")
	if met, err := follow().IfMissing(change.DaxFolios, Returns(1)).Match(seen); !met || err != nil || rec.Steps[seen.index].Expected.Change != "hugetlb_reads_good_pages" {
		t.Errorf("got met %t, error %v, %+v; want met, by hugetlb_reads_good_pages", met, err, rec.Steps[seen.index].Expected)
	}
}

func TestDependOnWantsBothSidesInOrder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it accepted two sides that come after")
		}
	}()
	DependOn(change.DaxFaultHWPoison, After(OK()), After(OK()))
}
