package observe

import "testing"

func TestMemoryFailureEvents(t *testing.T) {
	const trace = "# tracer: nop\n#\n" +
		"    agent-57  [000] .....  9.1: memory_failure_event: pfn 0x1c88: recovery action for dirty LRU page: Recovered\n" +
		"    agent-57  [000] .....  9.2: memory_failure_event: pfn 0x1c89: recovery action for clean LRU page: Recovered\n" +
		"    agent-57  [000] .....  9.3: memory_failure_event: pfn 0x1c88: recovery action for already poisoned: Failed\n"
	leftOut := []Ignored{{Witness: WitnessLog, Pattern: "already (hardware )?poisoned"}}
	const want = "recovery action for clean LRU page: Recovered\nrecovery action for dirty LRU page: Recovered"
	if got := MemoryFailureEvents(trace, leftOut); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := MemoryFailureEvents("# tracer: nop\n", nil); got != NoEvents {
		t.Errorf("got %q, want %q", got, NoEvents)
	}
}

func TestCounters(t *testing.T) {
	for want, values := range map[string][]string{
		"total 2, failed 1, recovered 1": {"2\n", "0\n", "1\n", "0\n", "1\n"},
		"none":                           {"0\n", "0\n", "0\n", "0\n", "0\n"},
	} {
		if got := Counters(values); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !CountersLeftOut([]Ignored{{Witness: WitnessLog, Pattern: "x|recovery action for"}}) || CountersLeftOut(nil) ||
		!CountersLeftOut([]Ignored{{Witness: WitnessLog, Pattern: "^Memory failure: N: rec"}}) {
		t.Error("got another answer, want that the counters are left out with the results")
	}
}
