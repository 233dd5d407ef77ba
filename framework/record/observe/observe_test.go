package observe

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func asked(o Outcome) Step {
	return Step{Actor: "victim", Action: "load", Outcome: o, Expected: &Expectation{Side: Both, Met: true}}
}

func at(addr string, lsb int16) Outcome {
	return Outcome{Signals: []Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: lsb, Addr: addr}}}
}

func row(steps ...Step) Cell { return Cell{Verdict: Expected, Steps: steps} }

// Headlines of a row include addresses if cells differ only in these.
func TestHeadlines(t *testing.T) {
	byte5, page := row(asked(at("file+0x4005", 12))), row(asked(at("file+0x4000", 12)))
	huge := row(asked(at("file+0x4000", 21)))
	for name, test := range map[string]struct {
		cells []Cell
		want  []string
	}{
		"nothing":                 {nil, nil},
		"one":                     {[]Cell{byte5}, []string{"SIGBUS BUS_MCEERR_AR lsb=12"}},
		"the same":                {[]Cell{byte5, byte5}, []string{"SIGBUS BUS_MCEERR_AR lsb=12", "SIGBUS BUS_MCEERR_AR lsb=12"}},
		"more than the address":   {[]Cell{byte5, huge}, []string{"SIGBUS BUS_MCEERR_AR lsb=12", "SIGBUS BUS_MCEERR_AR lsb=21"}},
		"the address":             {[]Cell{byte5, page}, []string{"SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"}},
		"the address of two":      {[]Cell{huge, byte5, page}, []string{"SIGBUS BUS_MCEERR_AR lsb=21 at file+0x4000", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"}},
		"with none between":       {[]Cell{byte5, {Verdict: Infra}, {}, page}, []string{"SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005", "infrastructure failure", "", "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"}},
		"the address of a second": {[]Cell{row(asked(Outcome{}), asked(at("a", 0))), row(asked(Outcome{}), asked(at("b", 0)))}, []string{"ok; SIGBUS BUS_MCEERR_AR at a", "ok; SIGBUS BUS_MCEERR_AR at b"}},
		// Outcomes without an expectation are not in the headline.
		"a step that is not asked": {[]Cell{row(Step{Outcome: at("a", 0)}, asked(Outcome{})), row(Step{Outcome: at("b", 0)}, asked(Outcome{}))}, []string{"ok", "ok"}},
	} {
		if got := Headlines(test.cells); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestHeadline(t *testing.T) {
	n := int64(4096)
	for _, test := range []struct {
		cell Cell
		want string
	}{
		{Cell{Verdict: Skipped}, "skipped"},
		{Cell{Verdict: Infra, Steps: []Step{asked(Outcome{})}}, "infrastructure failure"},
		{row(), "expected"},
		{row(asked(Outcome{}), asked(Outcome{}), asked(Outcome{Errno: "EIO"})), "ok ×2; EIO"},
		{row(asked(Outcome{Ret: &n}), asked(Outcome{Data: "15"}), asked(Outcome{Note: "none"})), "ok 4096; ok 0x15; none"},
		{row(asked(Outcome{Exit: &Exit{Code: 3}}), asked(Outcome{Exit: &Exit{Code: -1, Signal: "SIGBUS", Core: true}})), "exit 3; killed by SIGBUS (core)"},
	} {
		if got := test.cell.Headline(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestWanted(t *testing.T) {
	for _, test := range []struct {
		e    Expectation
		want string
	}{
		{Expectation{After: "EIO"}, "EIO"},
		{Expectation{Change: "c", Before: "EIO", After: "EIO"}, "EIO"},
		{Expectation{Change: "c", Before: "EIO", After: "ok"}, "EIO (without c) or ok (with it)"},
		{Expectation{Change: "c", Before: "EIO", After: "ok", Hidden: "S"}, "EIO"},
	} {
		if got := test.e.Wanted(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// The canonical form contains observations, but not expectations, times and raw logs.
func TestCanonical(t *testing.T) {
	base := func() Cell {
		return Cell{Scenario: "a/b", Verdict: Expected, Steps: []Step{asked(at("file+0x4005", 12))}, Witnesses: map[string]string{"log": "x<y", "taint": "none"}}
	}
	a := base().Canonical()
	if !bytes.Contains(a, []byte("x<y")) {
		t.Errorf("got %s, want x<y as it is", a)
	}
	for name, change := range map[string]func(*Cell){
		"verdict":     func(c *Cell) { c.Verdict, c.Message = Unexpected, "x" },
		"expectation": func(c *Cell) { c.Steps[0].Expected = nil },
		"times":       func(c *Cell) { c.Started, c.Millis, c.Attempt = time.Now(), 7, 2 },
		"log":         func(c *Cell) { c.KernelLog, c.ConsoleTail = []string{"x"}, "x" },
		"kernel":      func(c *Cell) { c.Kernel, c.Accel = "k", "kvm" },
	} {
		c := base()
		if change(&c); !bytes.Equal(a, c.Canonical()) {
			t.Errorf("%s counts: got %s, want %s", name, c.Canonical(), a)
		}
	}
	for name, change := range map[string]func(*Cell){
		"scenario": func(c *Cell) { c.Scenario = "a/c" },
		"actor":    func(c *Cell) { c.Steps[0].Actor = "second" },
		"action":   func(c *Cell) { c.Steps[0].Action = "store" },
		"outcome":  func(c *Cell) { c.Steps[0].Outcome.Signals[0].Addr = "file+0x4000" },
		"witness":  func(c *Cell) { c.Witnesses["taint"] = "W" },
		"step":     func(c *Cell) { c.Steps = append(c.Steps, Step{}) },
	} {
		c := base()
		if change(&c); bytes.Equal(a, c.Canonical()) {
			t.Errorf("%s does not count", name)
		}
	}
}
