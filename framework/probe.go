package framework

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/vm"
)

// probes tell by behaviour whether a kernel has a change. Each does the least
// that shows it, in a guest of its own.
var probes = map[string]struct {
	act           func(context.Context, *GuestVM) *Seen
	before, after Pattern
}{
	change.DaxFaultHWPoison.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
			v := g.Victim(ctx)
			m := v.Map(ctx, f, Shared)
			g.Inject(ctx, inject.BadBlock(f, Page(4)))
			return v.Load(ctx, m.At(Page(4)))
		},
		before: SIGBUS(BUS_ADRERR), after: SIGBUS(BUS_MCEERR_AR, LSB(12)),
	},
	change.NfitMiscGranularity.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			d := g.Pmem(ctx, NFIT, Ext4)
			g.Inject(ctx, inject.UCNA().Simulated(g.Frame(d, Page(1000))))
			return g.AwaitBadBlocks(ctx, d)
		},
		before: Says("1 sectors"), after: Says("8 sectors"),
	},
	change.UnpoisonAfterMCE.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			v := g.Victim(ctx)
			m := v.MapAnonymous(ctx, 64*KiB, 0)
			v.Store(ctx, m.At(0))
			frame := v.Frame(ctx, m.At(0))
			v.Consume(ctx, inject.SRAR(), m.At(0))
			g.AwaitLog(ctx, "recovery action")
			v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
			return g.Try(ctx, inject.UnpoisonPFN(frame))
		},
		before: OK(), after: Errno("ENOTSUP"), // which is EOPNOTSUPP,
	},
	change.CopyUserHighpageMC.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			g.AllowPanic()
			v := g.Victim(ctx)
			m := v.MapAnonymous(ctx, 64*KiB, 0)
			v.Store(ctx, m.At(0))
			child := v.Fork(ctx, "child")
			return g.Consume(ctx, inject.SRAR(), v.InKernel(ctx, m.At(0)), func() *Started { return child.StartStore(m.At(0)) })
		},
		before: Panics("Machine check"), after: SIGBUS(BUS_MCEERR_AR, LSB(12)),
	},
	change.DaxRecoveryWrite.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
			v := g.Victim(ctx)
			fd := v.OpenFile(ctx, f)
			g.Inject(ctx, inject.BadBlock(f, Page(4)))
			return v.Pwrite(ctx, fd, PageBytes, Page(4))
		},
		before: Errno("EIO"), after: Errno("EFAULT"),
	},
}

// ended carries an error out of a primitive that does not return.
type ended struct{ err error }

// Probe finds out whether the template's kernel has a change. A kernel that
// shows neither side is an error that says what it showed.
func Probe(ctx context.Context, t *vm.Template, c change.Change) (has bool, err error) {
	g, err := t.Clone(ctx, vm.CloneOptions{})
	if err != nil {
		return false, fmt.Errorf("probe for %s: %w", c.ID, err)
	}
	defer g.Close()
	defer func() {
		switch e := recover().(type) {
		case nil:
		case ended:
			err = fmt.Errorf("probe for %s: %w", c.ID, e.err)
		default:
			panic(e)
		}
	}()
	p, ok := probes[c.ID]
	if !ok {
		return false, fmt.Errorf("no probe tells whether a kernel has %s; declare it in the matrix (has:)", c.ID)
	}
	seen := p.act(ctx, newGuestVM(g, newRecorder(), func(err error) { panic(ended{err}) }))
	switch {
	case p.after.match(seen.Outcome, seen.at):
		return true, nil
	case p.before.match(seen.Outcome, seen.at):
		return false, nil
	}
	return false, fmt.Errorf("probe for %s: %s, which is neither %s nor %s; declare it in the matrix (has:) if you know better",
		c.ID, seen, p.before, p.after)
}
