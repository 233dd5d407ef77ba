package framework

import (
	"testing"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/suite"
)

func TestSeenInWords(t *testing.T) {
	rec := suite.NewRecord(nil)
	seen := record(rec, "victim", "load file+0x4000 width 1", observe.Outcome{Signals: []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: 12, Addr: "file+0x4000"}}}, "file+0x4000")
	if want := "victim: load file+0x4000 width 1 → SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000"; seen.String() != want {
		t.Errorf("%q", seen)
	}
}
