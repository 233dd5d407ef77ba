package framework

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/vm"
)

// probes tell by behaviour whether a kernel has a change. Each does the least
// that shows it, in a guest of its own.
var probes = map[string]struct {
	differ        func(*vm.Spec) // makes another guest than the standard one, where not nil
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
			v.Store(ctx, m.At(Page(1)))
			other := v.Frame(ctx, m.At(Page(1)))
			g.Inject(ctx, inject.CorruptPFN(other, inject.Filter{}))
			v.Consume(ctx, inject.SRAR(), m.At(0))
			v.Syscall(ctx, "munmap", m.At(0), 64*KiB)
			return g.Try(ctx, inject.UnpoisonPFN(other))
		},
		before: OK(), after: Errno("ENOTSUP"), // which is EOPNOTSUPP
	},
	change.CountedByAction.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
			v := g.Victim(ctx)
			m := v.Map(ctx, f, Shared)
			v.Load(ctx, m.At(0))
			g.Inject(ctx, inject.CorruptPFN(v.Frame(ctx, m.At(0)), inject.Filter{}))
			return g.HardwareCorrupted(ctx)
		},
		before: Says("0 kB"), after: Says("4 kB"),
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
	change.KillEarlyOnConsumption.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
			v, second := g.Victim(ctx), g.Second(ctx)
			m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
			second.KillEarly(ctx)
			v.Load(ctx, m.At(0))
			second.Load(ctx, m2.At(0))
			v.Consume(ctx, inject.SRAR(), m.At(0))
			return second.Idle(ctx)
		},
		before: OK(), after: SIGBUS(BUS_MCEERR_AO, LSB(12)),
	},
	change.CopyFromUserQuiet.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			v := g.Victim(ctx)
			m := v.MapAnonymous(ctx, 64*KiB, 0)
			v.Store(ctx, m.At(0))
			_, w := v.Pipe(ctx)
			return g.Consume(ctx, inject.SRAR(), v.In(ctx, m.At(0)), func() *Started { return v.StartSyscall("write", w, m.At(0), PageBytes) })
		},
		before: SIGBUS(BUS_MCEERR_AR, LSB(12)), after: Returns(PageBytes),
	},
	change.AMDPanics.ID: {
		differ: func(s *vm.Spec) { s.CPU = "max,vendor=AuthenticAMD" },
		act: func(ctx context.Context, g *GuestVM) *Seen {
			g.AllowPanic()
			v := g.Victim(ctx)
			m := v.MapAnonymous(ctx, 64*KiB, 0)
			v.Store(ctx, m.At(0))
			return v.Consume(ctx, inject.SRAR().Recklessly(), m.At(0))
		},
		before: OK(), after: Panics("Machine check"),
	},
	change.DaxFolios.ID: {
		act: func(ctx context.Context, g *GuestVM) *Seen {
			f := g.DAX(ctx, Ext4).File(ctx, 2*MiB, HugeAligned())
			v := g.Victim(ctx)
			m := v.Map(ctx, f, Shared)
			v.Load(ctx, m.At(0))
			seen := v.Consume(ctx, inject.SRAR(), m.At(Page(4)))
			seen.at = "" // where is the question
			if len(seen.Signals) == 1 {
				seen.Note = seen.Signals[0].Addr
			}
			return seen
		},
		before: Says("file+0x4000"), after: Says("file+0x0"),
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

// probeStamp is raised when a probe tells otherwise than before: what they told
// is kept in the cache.
const probeStamp = "probe 1"

// Probe finds out whether the template's kernel has a change, once. A kernel
// that shows neither side is an error that says what it showed.
func Probe(ctx context.Context, t *vm.Template, c change.Change) (has bool, err error) {
	fact, err := t.Fact(ctx, probeStamp+" "+c.ID, func(ctx context.Context) (string, error) {
		has, err := tryProbe(ctx, t, c)
		return strconv.FormatBool(has), err
	})
	if err != nil {
		return false, fmt.Errorf("probe for %s: %w", c.ID, err)
	}
	return fact == "true", nil
}

func tryProbe(ctx context.Context, t *vm.Template, c change.Change) (has bool, err error) {
	p, ok := probes[c.ID]
	if !ok {
		return false, errors.New("there is none; declare it in the matrix (has:)")
	}
	if p.differ != nil {
		if t, err = t.Variant(ctx, p.differ); err != nil {
			return false, err
		}
		defer t.Close()
	}
	g, err := t.Clone(ctx, vm.CloneOptions{})
	if err != nil {
		return false, err
	}
	defer g.Close()
	defer func() {
		switch e := recover().(type) {
		case nil:
		case ended:
			err = e.err
		default:
			panic(e)
		}
	}()
	seen := p.act(ctx, newGuestVM(g, newRecorder(), func(err error) { panic(ended{err}) }))
	switch {
	case p.after.match(seen.Outcome, seen.at):
		return true, nil
	case p.before.match(seen.Outcome, seen.at):
		return false, nil
	}
	return false, fmt.Errorf("%s, which is neither %s nor %s; declare it in the matrix (has:) if you know better", seen, p.before, p.after)
}
