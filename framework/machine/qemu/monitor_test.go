package qemu

import (
	"fmt"
	"testing"

	"github.com/digitalocean/go-qemu/qmp"
)

// A guest that causes events without end uses limited memory, and does not displace
// events of other names.
func TestEventsAreBounded(t *testing.T) {
	m := &Monitor{counts: map[string]int{}, more: make(chan struct{}), done: make(chan struct{})}
	for range 100_000 {
		m.keep(qmp.Event{Event: "GUEST_PANICKED"})
	}
	m.keep(qmp.Event{Event: "MEMORY_FAILURE"})
	if _, err := m.WaitEvent(t.Context(), 0, "MEMORY_FAILURE"); err != nil {
		t.Error(err)
	}
	if n := len(m.Events("GUEST_PANICKED")); n != maxEventsNamed {
		t.Errorf("got %d events kept, want %d", n, maxEventsNamed)
	}
	for i := range 100_000 {
		m.keep(qmp.Event{Event: fmt.Sprint("NAME", i)})
	}
	if len(m.events) != maxEvents || len(m.counts) > maxEvents {
		t.Errorf("got %d events of %d names kept, want %d events", len(m.events), len(m.counts), maxEvents)
	}
}
