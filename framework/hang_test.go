package framework

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	const inner = "[<0>] filemap_fault+0x1f2/0x6c0\n"
	const outer = "[<0>] do_madvise.part.0+0x3a5/0x4a0\n[<0>] __x64_sys_madvise+0x2c/0x40\n" +
		"[<0>] do_syscall_64+0x55/0xb0\n[<0>] entry_SYSCALL_64_after_hwframe+0x6e/0xd8\n"
	for name, c := range map[string]struct {
		stacks []string
		want   string
	}{
		"one look":             {[]string{inner + outer}, "in __x64_sys_madvise > do_madvise > filemap_fault"},
		"a loop within a call": {[]string{inner + outer, outer}, "in __x64_sys_madvise > do_madvise"},
		"now here, now there":  {[]string{inner + outer, ""}, "in and out of the kernel"},
		"never seen":           {nil, "in and out of the kernel"},
		"what is no stack":     {[]string{"garbage\n[<0>] +0x\n"}, "in and out of the kernel"},
	} {
		var p place
		for _, s := range c.stacks {
			p.add(s)
		}
		if got := p.String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestCredit(t *testing.T) {
	const s = time.Second
	for _, c := range []struct{ wanted, had, want time.Duration }{
		{0, 0, hangPoll}, // it slept
		{s, s, hangPoll},
		{s, 2 * s, hangPoll},
		{s, s / 2, hangPoll / 2},
		{s, 0, 0}, // the host was suspended
	} {
		if got := credit(c.wanted, c.had); got != c.want {
			t.Errorf("of %v it had %v: got %v, want %v", c.wanted, c.had, got, c.want)
		}
	}
	if got := busy("cpu  1 2 3 1000 1000 4 5 6 1 0\ncpu0 1 2 3\n"); got != 210*time.Millisecond {
		t.Errorf("got busy for %v, want 210ms", got)
	}
}

// A victim that sleeps for ever while its guest answers is hung, and the guest can still
// be used.
func TestVictimThatDoesNotReturn(t *testing.T) {
	t.Parallel() // it waits, as TestConsumeFails does
	g := guestFor(t, rigged(t, "apt:bookworm"))
	ctx := t.Context()
	v, second := g.Victim(ctx), g.Second(ctx)
	hour := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 3600), 0)
	seen := v.Syscall(ctx, "nanosleep", hour, 0)
	if step := g.rec.Steps[seen.index]; !seen.Hung() || !g.rec.Hung || !strings.Contains(step.Stuck, "hrtimer_nanosleep") {
		t.Errorf("got %s, at %+v; want a hang in hrtimer_nanosleep", seen, step)
	}
	if again := v.Syscall(ctx, "getpid"); !again.Hung() {
		t.Errorf("a call after the hang: got %s, want a hang", again)
	}
	if other := second.Syscall(ctx, "getppid"); other.Ret == nil {
		t.Errorf("a call of another victim: got %s, want a result", other)
	}
	// The scenario's timeout is not a hang of the victim.
	ended, cancel := context.WithCancelCause(ctx)
	cause := errors.New("over")
	cancel(cause)
	if _, err := second.StartSyscall("nanosleep", hour, 0).await(ended); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}
