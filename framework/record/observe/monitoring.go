package observe

import (
	"regexp"
	"slices"
	"strings"
)

// memoryFailureEvent matches an event in the file trace (include/ras/ras_event.h).
var memoryFailureEvent = regexp.MustCompile(`memory_failure_event: pfn \S+: (recovery action for .+: \S+)`)

// logged precedes the same text in the kernel log.
const logged = "Memory failure: N: "

// MemoryFailureEvents returns the trace events ras:memory_failure_event in tracefs' file trace,
// without page numbers, sorted and one per line: "recovery action for dirty LRU page:
// Recovered". The kernel logs the same text, but for "page" after "already
// poisoned" (action_result in mm/memory-failure.c), so events that leftOut excludes from the
// log are excluded here.
func MemoryFailureEvents(trace string, leftOut []Ignored) string {
	var events []string
	for _, m := range memoryFailureEvent.FindAllStringSubmatch(trace, -1) {
		if !isLeftOut(WitnessLog, logged+m[1], leftOut) {
			events = append(events, m[1])
		}
	}
	if len(events) == 0 {
		return NoEvents
	}
	slices.Sort(events)
	return strings.Join(events, "\n")
}

// MemoryFailureCounters are the names of a node's counters of poisoned pages
// (Documentation/ABI/testing/sysfs-memory-failure).
var MemoryFailureCounters = []string{"total", "ignored", "failed", "delayed", "recovered"}

// Counters returns the counters that are not zero, with their names: "total 1, recovered
// 1"; "none" if all are zero. values are the contents of the counters' files, in the order
// of MemoryFailureCounters.
func Counters(values []string) string {
	var parts []string
	for i, v := range values {
		if n := strings.TrimSpace(v); n != "0" {
			parts = append(parts, MemoryFailureCounters[i]+" "+n)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// CountersLeftOut reports whether the results of memory_failure() are excluded from the log:
// the counters count the same results.
func CountersLeftOut(leftOut []Ignored) bool {
	return slices.ContainsFunc(leftOut, func(l Ignored) bool {
		return l.Witness == WitnessLog && strings.Contains(l.Pattern, "recovery action")
	}) || isLeftOut(WitnessLog, logged+"recovery action for dirty LRU page: Recovered", leftOut)
}
