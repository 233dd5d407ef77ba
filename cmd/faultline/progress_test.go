package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
)

// Output of a guest controls neither the terminal nor a CI runner.
func TestProgressIsInert(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, false)
	p.Cell(observe.Cell{Verdict: observe.Unexpected, Message: "saw\n::error::x\x1b[2J"}, 1, 2)
	p.stop()
	if got := b.String(); !strings.Contains(got, "\n:·:error:·:x\n") {
		t.Errorf("got %q, want a line :·:error:·:x", got)
	}
	b.Reset()
	p = newProgress(&b, true)
	p.Doing("boot a\x1b[2J\n::error::\u009b")
	p.stop()
	if got := strings.ReplaceAll(b.String(), clearLine, "|"); !strings.Contains(got, "boot a :·:error:·:·|") || strings.ContainsAny(got, "\x1b\n\u009b") {
		t.Errorf("got %q, want boot a :·:error:·:·, and no other control character", got)
	}
}

// The same holds for the output of doctor --kvm.
func TestDoctorIsInert(t *testing.T) {
	for want, f := range map[string]finding{
		"missing\tKVM\toptional: panic :·:error:·: \n": {what: "KVM", missing: "panic\x1b[2J\n::error::\n", optional: true},
		"ok\tKVM\ta b·\n": {what: "KVM", found: "a\tb\u009b"},
	} {
		if got := f.row(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
