package framework

import (
	"context"
	"strings"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// counterFiles are the counters of poisoned pages of node 0, in the order of
// observe.MemoryFailureCounters.
func counterFiles() (paths []string) {
	for _, name := range observe.MemoryFailureCounters {
		paths = append(paths, "/sys/devices/system/node/node0/memory_failure/"+name)
	}
	return paths
}

// MemoryFailureCounters records the counters of a node's poisoned pages that are not zero,
// which monitors read: "total 1, recovered 1"; or the errno, if the kernel has none. In a
// scenario that calls it, this is a step instead of a witness.
func (g *Guest) MemoryFailureCounters(ctx context.Context) *Observation {
	g.asStep[observe.WitnessCounters] = true
	var o observe.Outcome
	var values []string
	for _, path := range counterFiles() {
		f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path}}).File
		if o.Errno = f.Errno; o.Errno != "" {
			break
		}
		values = append(values, string(f.Data))
	}
	if o.Errno == "" {
		o.Note = observe.Counters(values)
	}
	return record(g.rec, "agent", "memory_failure counters of node 0", o, "")
}

// MemoryFailureEvents records the trace events ras:memory_failure_event, which rasdaemon(8)
// reads: "recovery action for dirty LRU page: Recovered". In a scenario that calls it, this
// is a step instead of a witness.
func (g *Guest) MemoryFailureEvents(ctx context.Context) *Observation {
	g.asStep[observe.WitnessEvents] = true
	if !g.exists(ctx, vm.TraceSwitch) {
		g.fail(&unsupported{"this kernel does not trace memory failures"})
	}
	events := observe.MemoryFailureEvents(g.ReadFile(ctx, vm.TraceFile), g.rec.LeftOut)
	note := strings.ReplaceAll(events, "\n", "; ")
	return record(g.rec, "agent", "events ras:memory_failure_event", observe.Outcome{Note: note}, "")
}

// collectMonitoring collects what monitors of poison read, from kernels that provide it.
func (g *Guest) collectMonitoring(ctx context.Context) error {
	paths := append(counterFiles(), vm.TraceSwitch, vm.TraceFile)
	var asked []*vm.Pending
	for _, path := range paths {
		asked = append(asked, g.vm.Send(&wire.Request{ReadFile: &wire.ReadFile{Path: path}}))
	}
	var read []*wire.File
	for _, a := range asked {
		reply, err := a.Wait(ctx)
		if err != nil {
			return err
		}
		read = append(read, reply.File)
	}
	n := len(read) - 2
	enabled, trace := string(read[n].Data), string(read[n+1].Data)
	if strings.TrimSpace(enabled) == "1" && !g.asStep[observe.WitnessEvents] {
		g.rec.Witnesses[observe.WitnessEvents] = observe.MemoryFailureEvents(trace, g.rec.LeftOut)
	}
	var values []string
	for _, f := range read[:n] {
		if f.Errno != "" {
			return nil
		}
		values = append(values, string(f.Data))
	}
	if !g.asStep[observe.WitnessCounters] && !observe.CountersLeftOut(g.rec.LeftOut) {
		g.rec.Witnesses[observe.WitnessCounters] = observe.Counters(values)
	}
	return nil
}
