package framework

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/guest/wire"
)

// A poisoned line raises a machine check at each read, through any mapping, until the
// whole line is overwritten. The machine check is one that kernels only log, so that the
// load is repeated.
func TestPoisonStays(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	ctx := t.Context()
	v, second := g.Victim(ctx), g.Second(ctx)
	f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
	m, m2 := v.Map(ctx, f, Shared), second.Map(ctx, f, Shared)
	v.Load(ctx, m.At(5))
	v.Load(ctx, m.At(Page(1)))
	more := func(l *line) {
		t.Helper()
		from := l.raised.Load()
		for deadline := time.Now().Add(reachLimit); l.raised.Load() < from+3; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got only %d machine checks, want %d", l.raised.Load(), from+3)
			}
		}
	}
	fill := func(v *Victim, a Addr, n int64) {
		t.Helper()
		if got := v.Syscall(ctx, "getrandom", a, n, 0); got.Errno != "" {
			t.Fatalf("getrandom: got %v, want no error", got)
		}
	}
	end := func(s *Started) {
		t.Helper()
		if got := s.Wait(ctx); got.Data == "" {
			t.Errorf("got %v, want a byte", got)
		}
		if n := len(g.watcher.lines); n != 0 {
			t.Errorf("got %d lines that are poisoned still, want none", n)
		}
	}

	loading, err := g.consume(ctx, inject.UCNA(), v.In(ctx, m.At(5)).watched, func() *Started { return v.StartLoad(m.At(5)) })
	if err != nil {
		t.Fatal(err)
	}
	l := g.watcher.lines[0]
	more(l)
	fill(second, m2.At(0), 40)
	more(l)
	fill(second, m2.At(16), lineBytes)
	end(loading)

	// One that reports another page is raised once, and leaves the accessed page good.
	at := v.In(ctx, m.At(Page(1))).Reporting(f.Frame(Page(2)))
	once, err := g.consume(ctx, inject.UCNA(), at.watched, func() *Started { return v.StartLoad(m.At(Page(1))) })
	if err != nil {
		t.Fatal(err)
	}
	end(once)

	// A mapping that is made later is watched like the others.
	l, err = g.watcher.poison(ctx, inject.UCNA(), v.In(ctx, m.At(Page(1))).watched)
	if err != nil {
		t.Fatal(err)
	}
	m3 := second.MapPart(ctx, f, Page(1), PageBytes(), Shared)
	err = g.watcher.halted(ctx, func(context.Context) error { l.watched.virt = m3.Addr; return nil })
	if err != nil {
		t.Fatal(err)
	}
	loading = second.StartLoad(m3.At(lineBytes - 1))
	more(l)
	fill(v, m.At(Page(1)), lineBytes)
	end(loading)
}

// Poison that is first read at another address than the scenario expects is an error.
func TestPoisonReadElsewhere(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	ctx := t.Context()
	v, second := g.Victim(ctx), g.Second(ctx)
	f := g.DAX(ctx, Ext4).File(ctx, 64*KiB)
	m, m2 := v.Map(ctx, f, Shared), second.MapPart(ctx, f, Page(1), PageBytes(), Shared)
	v.Load(ctx, m.At(Page(1)))
	second.Load(ctx, m2.At(0))
	_, err := g.consume(ctx, inject.SRAR(), v.In(ctx, m.At(Page(1))).watched, func() *Started { return second.StartLoad(m2.At(0)) })
	if err == nil || !strings.Contains(err.Error(), "before the expected read by victim") {
		t.Errorf("got %v, want before the expected read by victim", err)
	}
	if failed := g.watcher.failed(); failed == nil {
		t.Error("the scenario continues")
	}
	// The guest continues, too.
	if reply, err := g.vm.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/uptime"}}); err != nil || len(reply.File.Data) == 0 {
		t.Errorf("got %+v, error %v; want the uptime", reply, err)
	}
}
