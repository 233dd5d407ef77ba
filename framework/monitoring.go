package framework

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// MemoryFailureCounters records the counters of a node's poisoned pages that are not zero,
// which monitors read: "total 1, recovered 1"; or the errno, if the kernel has none
// (/sys/devices/system/node/nodeN/memory_failure, Documentation/ABI/testing/sysfs-memory-failure).
func (g *Guest) MemoryFailureCounters(ctx context.Context) *Observation {
	const dir = "/sys/devices/system/node/node0/memory_failure/"
	var o observe.Outcome
	var parts []string
	for _, name := range []string{"total", "ignored", "failed", "delayed", "recovered"} {
		f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: dir + name}}).File
		if o.Errno = f.Errno; o.Errno != "" {
			break
		}
		if n := strings.TrimSpace(string(f.Data)); n != "0" {
			parts = append(parts, name+" "+n)
		}
	}
	if o.Errno == "" {
		o.Note = strings.Join(parts, ", ")
		if o.Note == "" {
			o.Note = "none"
		}
	}
	return record(g.rec, "agent", "memory_failure counters of node 0", o, "")
}

// tracing is where debugfs mounts tracefs.
const tracing = "/sys/kernel/debug/tracing/"

// TraceMemoryFailure enables the trace event memory_failure_event, which rasdaemon(8) reads.
func (g *Guest) TraceMemoryFailure(ctx context.Context) *Observation {
	f := g.call(
		ctx,
		&wire.Request{
			WriteFile: &wire.WriteFile{Path: tracing + "events/ras/memory_failure_event/enable", Data: []byte("1")},
		},
	).File
	return record(g.rec, "agent", "enable ras:memory_failure_event", observe.Outcome{Errno: f.Errno}, "")
}

// MemoryFailureEvents records the events since TraceMemoryFailure, without page numbers:
// "dirty LRU page: Recovered".
func (g *Guest) MemoryFailureEvents(ctx context.Context) *Observation {
	var events []string
	for _, m := range memoryFailureEvent.FindAllStringSubmatch(g.ReadFile(ctx, tracing+"trace"), -1) {
		events = append(events, fmt.Sprintf("%s: %s", m[1], m[2]))
	}
	note := strings.Join(events, "; ")
	if note == "" {
		note = "none"
	}
	return record(g.rec, "agent", "events ras:memory_failure_event", observe.Outcome{Note: note}, "")
}

// memoryFailureEvent matches an event in the file trace (include/ras/ras_event.h).
var memoryFailureEvent = regexp.MustCompile(`memory_failure_event: pfn \S+: recovery action for (.+): (\S+)`)
