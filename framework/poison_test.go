package framework

import (
	"errors"
	"testing"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/internal/klog"
)

// A panic with a message is an observation; one without a message, or before any
// injection, is not.
func TestPanicked(t *testing.T) {
	const text = klog.PanicMark + ": Fatal local machine check"
	for name, c := range map[string]struct {
		err      error
		injected bool
		note     string // empty: the scenario ends
	}{
		"with its message": {&vm.GuestError{Kind: vm.Panic, Tail: "[ 1.0] " + text + "\n"}, true, text},
		"by pvpanic alone": {&vm.GuestError{Kind: vm.Panic, Tail: "[ 1.0] systemd is not here\n"}, true, ""},
		"before anything":  {&vm.GuestError{Kind: vm.Panic, Tail: text}, false, ""},
		"it hangs":         {&vm.GuestError{Kind: vm.Hang, Tail: text}, true, ""},
		"something else":   {errors.New("no"), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var failed error
			g := &Guest{rec: suite.NewRecord(nil), injected: c.injected, fail: func(err error) { failed = err; panic(err) }}
			defer func() {
				if ended := recover() != nil; ended != (c.note == "") || ended && (!errors.Is(failed, c.err) || g.dead || g.rec.Panicked) {
					t.Errorf("got ended %t with %v, dead %t, panicked %t; want ended %t", ended, failed, g.dead, g.rec.Panicked, c.note == "")
				}
			}()
			if o := g.panicked(c.err); o.Note != c.note || !g.dead || !g.rec.Panicked {
				t.Errorf("got %+v, dead %t, panicked %t; want the note %q, true, true", o, g.dead, g.rec.Panicked, c.note)
			}
		})
	}
}
