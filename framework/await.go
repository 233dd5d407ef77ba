package framework

import (
	"context"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Waits for what a kernel does in its own time are bounded by how often the
// guest was asked, and answered: a host that stands still, or is busy, does not
// make a guest's time pass. What does not answer at all is trouble with the rig.
const (
	settlePoll  = 5 * time.Millisecond
	settlePolls = 1000
)

// AwaitBadBlocks waits until a device lists bad blocks, which a machine check
// adds by a work item (nfit_handle_mce, nvdimm_region_notify), and records them
// as a step: "none" where none came within the limit.
func (g *Guest) AwaitBadBlocks(ctx context.Context, d Device) *Observation {
	var text string
	g.poll(ctx, func() bool {
		text = observe.BadSectors(g.ReadFile(ctx, d.badBlocks()))
		return text != "none"
	})
	return g.badBlocks(d, text)
}

// AwaitLog waits until the kernel log has a line with the text, or the limit has
// passed: what the kernel does about poison in work items of its own is done
// when it says so. It records nothing: the line is in the log's witness.
func (g *Guest) AwaitLog(ctx context.Context, text string) {
	if g.dead {
		return
	}
	g.poll(ctx, func() bool {
		for _, l := range g.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{Since: g.start}}).Log.Lines {
			if strings.Contains(l, text) {
				return true
			}
		}
		return false
	})
}

// Recovered is what memory_failure() says when it is done (action_result in
// mm/memory-failure.c), for AwaitLog.
const Recovered = "recovery action"

// poll asks until done says so, and tells whether it did: settlePolls times more
// than once at most.
func (g *Guest) poll(ctx context.Context, done func() bool) bool {
	for range settlePolls {
		if done() {
			return true
		}
		select {
		case <-ctx.Done():
			g.fail(context.Cause(ctx))
		case <-time.After(settlePoll):
		}
	}
	return done()
}

// AwaitSignal waits until the victim, which does nothing, was signalled, and
// records the signals as a step: none where none came within the limit.
func (v *Victim) AwaitSignal(ctx context.Context) *Observation {
	var o observe.Outcome
	v.g.poll(ctx, func() bool {
		o = v.idle(ctx)
		return o.Exit != nil || len(o.Signals) > 0
	})
	return record(v.g.rec, v.Role, "do nothing", o, "")
}

// Idle records the signals that came to the victim so far while it did nothing.
func (v *Victim) Idle(ctx context.Context) *Observation {
	return record(v.g.rec, v.Role, "do nothing", v.idle(ctx), "")
}

// idle is what came to the victim since its last answer.
func (v *Victim) idle(ctx context.Context) observe.Outcome {
	reply := v.g.ask(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "getpid"}})
	if reply.Died != nil {
		return observe.Outcome{Exit: v.died(reply.Died)}
	}
	return observe.Outcome{Signals: v.signals(reply.Called.Signals)}
}
