package framework

import (
	"context"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Waits for asynchronous work of the kernel are bounded by the number of answered
// polls, not by host time: a suspended or busy host does not use up the limit. A guest
// that does not answer at all is an infrastructure failure.
const (
	settlePoll  = 5 * time.Millisecond
	settlePolls = 1000
)

// AwaitBadBlocks waits until a device lists bad blocks and records them as a step:
// "none" if none appeared within the limit. A machine check adds them in a work item
// (nfit_handle_mce, nvdimm_region_notify).
func (g *Guest) AwaitBadBlocks(ctx context.Context, d Device) *Observation {
	var text string
	g.poll(ctx, func() bool {
		text = observe.BadSectors(g.ReadFile(ctx, d.badBlocks()))
		return text != "none"
	})
	return g.badBlocks(d, text)
}

// AwaitLog waits until the kernel log has a line that contains the text, or until the
// limit is reached. Use it to wait until the kernel has handled poison in a work item.
// It records nothing: the line is part of the log witness.
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

// Recovered is the text, for AwaitLog, that memory_failure() logs when it has finished
// (action_result in mm/memory-failure.c).
const Recovered = "recovery action"

// poll calls done until it returns true, settlePolls+1 times at most, and reports
// whether it did.
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

// AwaitSignal waits until the idle victim has received a signal and records the signals
// as a step: none if none arrived within the limit.
func (v *Victim) AwaitSignal(ctx context.Context) *Observation {
	var o observe.Outcome
	v.g.poll(ctx, func() bool {
		o = v.idle(ctx)
		return o.Exit != nil || len(o.Signals) > 0
	})
	return record(v.g.rec, v.Role, "do nothing", o, "")
}

// Idle records the signals that the victim has received while idle so far.
func (v *Victim) Idle(ctx context.Context) *Observation {
	return record(v.g.rec, v.Role, "do nothing", v.idle(ctx), "")
}

// idle returns what the victim has received since its last reply.
func (v *Victim) idle(ctx context.Context) observe.Outcome {
	reply := v.g.ask(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "getpid"}})
	if reply.Died != nil {
		return observe.Outcome{Exit: v.died(reply.Died)}
	}
	return observe.Outcome{Signals: v.signals(reply.Called.Signals)}
}
