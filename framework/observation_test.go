package framework

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
)

func TestSeenInWords(t *testing.T) {
	rec := suite.NewRecord(nil)
	seen := record(rec, "victim", "load file+0x4000 width 1", observe.Outcome{Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: 12, Addr: "file+0x4000"}}}, "file+0x4000")
	if want := "victim: load file+0x4000 width 1 → SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"; seen.String() != want {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// A victim that died while it opened a file returns no descriptor.
func TestOpenedNothing(t *testing.T) {
	for says, o := range map[string]observe.Outcome{
		"open /f: EIO":    {Errno: "EIO"},
		"open /f: killed": {Exit: &observe.Exit{Signal: "SIGKILL"}},
	} {
		var failed error
		v := &Victim{g: &Guest{fail: func(err error) { failed = err; panic("the scenario ends") }}}
		func() {
			defer func() { recover() }()
			v.opened(&Observation{Outcome: o}, "/f", "file")
		}()
		if failed == nil || !strings.HasPrefix(failed.Error(), says) {
			t.Errorf("%+v: got %v, want %s", o, failed, says)
		}
	}
}
