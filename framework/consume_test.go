package framework

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/kernels/source"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/gdb"
	"github.com/faultline/faultline/framework/machine/kcore"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

func TestExact(t *testing.T) {
	if err := exact(qemu.TCG); err != nil {
		t.Error(err)
	}
	if err := exact(qemu.KVM); !errors.Is(err, ErrNotExact) {
		t.Errorf("got %v, want %v", err, ErrNotExact)
	}
}

// rigged returns a template for guests of tests.
func rigged(t *testing.T, spec string) *vm.Template {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	k, err := source.Resolve(t.Context(), spec, kernels.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	r, err := vm.NewHost(t.Context(), c, k.Arch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	tm, err := r.Template(t.Context(), vm.Spec{Kernel: k, Accel: qemu.TCG})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tm.Close() })
	return tm
}

func guestFor(t *testing.T, tm *vm.Template) *Guest {
	t.Helper()
	g, err := tm.Clone(t.Context(), vm.CloneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	guest := newGuestVM(g, suite.NewRecord(g.Spec().Kernel), func(err error) {
		t.Helper()
		t.Fatal(err)
	})
	t.Cleanup(func() { guest.watcher.close() })
	return guest
}

// An access that does not happen is an error that names the access.
func TestConsumeFails(t *testing.T) {
	t.Parallel()
	tm := rigged(t, "apt:bookworm")
	sleep := func(v *Victim) func() *Started {
		return func() *Started {
			minute := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 60), 0)
			return v.StartSyscall("nanosleep", minute, 0)
		}
	}
	for _, tt := range []struct {
		name  string
		start func(*Guest, *Victim, *Mapping) func() *Started
		check func(error) bool
	}{
		{"the load goes elsewhere", func(_ *Guest, v *Victim, m *Mapping) func() *Started {
			return func() *Started { return v.StartLoad(m.At(0)) }
		}, func(err error) bool {
			var unreached *UnreachedError
			return errors.As(err, &unreached) && unreached.Why == "it ended without the access"
		}},
		{"the victim never comes to its load", func(_ *Guest, v *Victim, _ *Mapping) func() *Started {
			return sleep(v)
		}, func(err error) bool {
			var unreached *UnreachedError
			// On a busy host the guest's limit is not reached yet.
			return errors.As(err, &unreached) && (strings.Contains(unreached.Why, observe.HungMark) || unreached.Why == "not within 30s")
		}},
		{"the guest is reset", func(g *Guest, v *Victim, _ *Mapping) func() *Started {
			return func() *Started {
				s := sleep(v)()
				if _, err := g.Monitor().HMP(context.Background(), "system_reset"); err != nil {
					t.Log(err) // QEMU may end before it answers
				}
				return s
			}
		}, gone},
		{"QEMU and its stub are killed", func(g *Guest, v *Victim, _ *Mapping) func() *Started {
			return func() *Started {
				s := sleep(v)()
				unix.Kill(g.vm.PID(), unix.SIGKILL)
				return s
			}
		}, gone},
		{"the scenario's timeout", func(_ *Guest, v *Victim, _ *Mapping) func() *Started { return sleep(v) }, func(err error) bool {
			return errors.Is(err, context.DeadlineExceeded)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := guestFor(t, tm)
			ctx := t.Context()
			v := g.Victim(ctx)
			m := v.MapAnonymous(ctx, 64*KiB, 0)
			v.Store(ctx, m.At(0))
			v.Store(ctx, m.At(Page(1)))
			at := v.In(ctx, m.At(Page(1)))
			if tt.name == "the scenario's timeout" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
			}
			_, err := g.consume(ctx, inject.SRAR(), at.watched, tt.start(g, v, m))
			if err == nil || !tt.check(err) {
				t.Errorf("got %T: %v; want an error that this case accepts", err, err)
			}
			t.Log(err)
		})
	}
}

// A panic after the last step is a step of its own, and the kernel's behaviour only after
// an injection.
func TestPanicBehindTheLastStep(t *testing.T) {
	tm := rigged(t, "apt:bookworm")
	for _, injected := range []bool{true, false} {
		g := guestFor(t, tm)
		g.injected = injected
		g.vm.Send(&wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sysrq-trigger", Data: []byte("c")}})
		err := g.collect(t.Context())
		var trouble *vm.GuestError
		if !errors.As(err, &trouble) || trouble.Kind != vm.Panic {
			t.Fatalf("got %v, want a panic", err)
		}
		g.notePanic(err)
		if g.rec.Panicked != injected || g.dead != injected {
			t.Errorf("injected %t: got panicked %t, want the same, and the guest dead", injected, g.rec.Panicked)
		}
		if !injected {
			continue
		}
		last := g.rec.Steps[len(g.rec.Steps)-1]
		if last.Actor != "kernel" || !last.Outcome.Panicked() || !strings.Contains(g.rec.Witnesses[observe.WitnessSplats], "sysrq triggered crash") {
			t.Errorf("got the last step %+v, witnesses %q; want the kernel's panic by sysrq", last, g.rec.Witnesses)
		}
	}
}

// gone reports whether an error is the end of the guest, as reported by the stub or by
// the agent's connection, whichever is first.
func gone(err error) bool {
	var trouble *vm.GuestError
	return errors.As(err, &trouble) && trouble.Kind == vm.Exit && !errors.Is(err, gdb.ErrTimeout)
}

// The inexact fallback also delivers the machine check to a victim that loads in a loop.
func TestConsumeInexact(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	g.AllowPanic() // an interrupt may occur in between
	ctx := t.Context()
	v := g.Victim(ctx)
	m := v.MapAnonymous(ctx, 64*KiB, 0)
	v.Store(ctx, m.At(Page(1)))
	seen := v.ConsumeInexact(ctx, inject.SRAR(), m.At(Page(1)))
	// Between two loads, the check is reported at once and again by the next load.
	if n := len(seen.Signals); n < 1 || n > 2 {
		if !g.dead {
			t.Errorf("got %v, want 1 or 2 signals", seen)
		}
	}
	for _, s := range seen.Signals {
		if s.Code != int32(BUS_MCEERR_AR) || s.LSB != 12 || s.Addr != seen.at {
			t.Errorf("got %v, want BUS_MCEERR_AR, LSB 12 and the address of the load in each signal", seen)
		}
	}
	t.Log(seen)
}

// The kernel's direct map is at the expected address: the stub reads a page's bytes
// through it, and the guest continues.
func TestKernelAddress(t *testing.T) {
	g := guestFor(t, rigged(t, "apt:bookworm"))
	ctx := t.Context()
	v := g.Victim(ctx)
	m := v.Map(ctx, g.DAX(ctx, Ext4).File(ctx, 64*KiB), Shared)
	v.Load(ctx, m.At(Page(3)))
	user, kernel := v.In(ctx, m.At(Page(3))), v.InKernel(ctx, m.At(Page(3)))
	levels := g.ReadFile(ctx, "/proc/cpuinfo")
	if want := strings.Contains(levels, " la57"); want != (g.direct == kcore.Base5) {
		t.Errorf("got the map at %#x, with 5 levels %t; want the two to agree", g.direct, want)
	}
	w, err := g.watching(ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = w.halted(ctx, func(ctx context.Context) error {
		if frame, err := g.physical(ctx, 0, kernel.virt); err != nil || frame != user.frame.Addr {
			t.Errorf("%#x: got %#x, error %v; want %#x", kernel.virt, frame, err, user.frame.Addr)
		}
		data, err := w.stub.Memory(ctx, kernel.virt, 4)
		if err != nil || string(data) != strings.Repeat(string([]byte{Filled(3)}), 4) {
			t.Errorf("got %x as the kernel sees it, error %v; want %x", data, err, Filled(3))
		}
		if r, err := w.stub.Registers(ctx, 0); err != nil || r.RIP == 0 {
			t.Errorf("got the registers %+v, error %v; want RIP", r, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if again := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/uptime"}}); len(again.File.Data) == 0 {
		t.Error("the guest does not continue")
	}
}
