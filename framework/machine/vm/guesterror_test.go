package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/klog"
)

// crash panics the guest (Documentation/admin-guide/sysrq.rst).
var crash = &wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sysrq-trigger", Data: []byte("c")}}

// isGuestError compares an error with a kind, a text in its message, and one in the
// console's tail.
func isGuestError(t *testing.T, err error, kind Kind, says, tail string) {
	t.Helper()
	var tr *GuestError
	switch {
	case !errors.As(err, &tr):
		t.Errorf("got %v, want a *GuestError", err)
	case tr.Kind != kind || !strings.Contains(err.Error(), says) || !strings.Contains(tr.Tail, tail):
		t.Errorf("got kind %q, want %q, with %q and %q in its tail: %v\n%s", tr.Kind, kind, says, tail, err, tr.Tail)
	default:
		t.Log(err)
	}
}

// isLost checks the registers and the template in the error of a lost guest.
func isLost(t *testing.T, err error, g *Guest) {
	t.Helper()
	var tr *GuestError
	if !errors.As(err, &tr) || !strings.Contains(standing(tr.Registers), "processor 0 is at 0x") || tr.Template != g.template || tr.Template == "" {
		t.Errorf("got %+v, want the registers of processor 0, and the template", tr)
	}
}

func TestGuestErrorInAClone(t *testing.T) {
	r := newHost(t)
	tm := template(t, r, recent)
	hello := &wire.Request{Hello: &wire.Hello{}}
	for name, test := range map[string]func(*testing.T, *Guest){
		"the kernel panics": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), crash)
			isGuestError(t, err, Panic, "Kernel panic - not syncing: sysrq triggered crash", "Kernel panic")
			isLost(t, err, g)
			_, err = g.Call(t.Context(), hello)
			isGuestError(t, err, Panic, "sysrq triggered crash", "Kernel panic")
		},
		"QEMU is stopped in the middle of a panic's line": func(t *testing.T, g *Guest) {
			mark := g.proc.Console.Seen(klog.PanicMark)
			asked := g.Send(crash)
			go func() {
				<-mark
				unix.Kill(g.PID(), unix.SIGSTOP)
				time.Sleep(5500 * time.Millisecond)
				unix.Kill(g.PID(), unix.SIGCONT)
			}()
			_, err := asked.Wait(t.Context())
			isGuestError(t, err, Panic, "Kernel panic - not syncing: sysrq triggered crash", "Kernel Offset: ") // the last line
		},
		"the machine is reset": func(t *testing.T, g *Guest) { // sysrq: at once, and without a message
			_, err := g.Call(t.Context(), &wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sysrq-trigger", Data: []byte("b")}})
			isGuestError(t, err, Exit, "reset its machine", "")
			var tr *GuestError
			if !errors.As(err, &tr) || !tr.Restarted() {
				t.Errorf("got %v, want that the guest restarted", err)
			}
			isLost(t, err, g)
		},
		"it panics while SSH is used": func(t *testing.T, g *Guest) {
			c, err := g.SSH(t.Context())
			must(t, err)
			defer c.Close()
			must(t, c.Put(t.Context(), probeBinary(t), "/run/probe"))
			g.Send(crash)
			_, err = c.Exec(t.Context(), []string{"/run/probe", "cat"}, Streams{Stdin: blocks{}})
			isGuestError(t, err, Panic, "sysrq triggered crash", "Kernel panic")
		},
		"QEMU is killed": func(t *testing.T, g *Guest) {
			must(t, unix.Kill(g.PID(), unix.SIGKILL))
			_, err := g.Call(t.Context(), hello)
			isGuestError(t, err, Exit, "signal: killed", "")
			_, err = g.SSH(t.Context())
			isGuestError(t, err, Exit, "signal: killed", "")
		},
		"QEMU is killed while the agent is asked": func(t *testing.T, g *Guest) {
			must(t, g.Monitor().Run(t.Context(), "stop", nil, nil))
			time.AfterFunc(50*time.Millisecond, func() { unix.Kill(g.PID(), unix.SIGKILL) })
			_, err := g.Call(t.Context(), hello)
			isGuestError(t, err, Exit, "signal: killed", "")
		},
		"the guest stands still": func(t *testing.T, g *Guest) {
			must(t, g.Monitor().Run(t.Context(), "stop", nil, nil))
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := g.Call(ctx, hello)
			isGuestError(t, err, Hang, "did not answer", "")
			isLost(t, err, g)
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err = g.SSH(ctx)
			isGuestError(t, err, Hang, "did not answer", "")
		},
		"the agent can't": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), &wire.Request{To: 99, Access: &wire.Access{Kind: wire.Load, Width: 1}})
			isGuestError(t, err, Refused, "99", "")
			if !errors.Is(err, ErrGuest) {
				t.Errorf("got %v, want ErrGuest", err)
			}
			if _, err := g.Call(t.Context(), hello); err != nil {
				t.Errorf("after it: got %v, want no error", err)
			}
		},
		"the caller gives up": func(t *testing.T, g *Guest) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := g.Call(ctx, hello)
			var tr *GuestError
			if !errors.Is(err, context.Canceled) || errors.As(err, &tr) {
				t.Errorf("got %v, want context.Canceled, and no *GuestError", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := clone(t, tm)
			test(t, g)
		})
	}
}

// blocks is an input that never arrives.
type blocks struct{}

func (blocks) Read([]byte) (int, error) { select {} }

func TestGuestErrorAtBoot(t *testing.T) {
	r := newHost(t)
	k := kernel(t, recent)
	spec := Spec{Kernel: k, Accel: qemu.TCG}
	parts, err := r.prepare(t.Context(), Spec{Kernel: k})
	must(t, err)
	defer parts.close()
	// Slow preparation on a busy host is done before the limit counts.
	bootFor := func(t *testing.T, r *Host, limit time.Duration, change func(*qemu.Machine)) error {
		dir := tempDir(t)
		m, err := parts.machine(t.Context(), spec, dir, false)
		must(t, err)
		change(&m)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		g, err := r.boot(ctx, spec, m, dir)
		if err == nil {
			g.Close()
		}
		return err
	}
	boot := func(t *testing.T, change func(*qemu.Machine)) error { return bootFor(t, r, time.Minute, change) }
	asItIs := func(*qemu.Machine) {}
	t.Run("no PID 1", func(t *testing.T) {
		err := boot(t, func(m *qemu.Machine) { m.Append = "rdinit=/nonexistent" })
		isGuestError(t, err, Panic, "Kernel panic - not syncing: VFS: Unable to mount root fs", "Kernel panic")
	})
	t.Run("no PID 1, and no end", func(t *testing.T) {
		err := boot(t, func(m *qemu.Machine) { m.Append = "rdinit=/nonexistent panic=0" })
		isGuestError(t, err, Panic, "Kernel panic - not syncing: VFS: Unable to mount root fs", "---[ end Kernel panic")
	})
	t.Run("PID 1 gives up", func(t *testing.T) {
		err := boot(t, func(m *qemu.Machine) { m.Append = "module_blacklist=virtio_net" })
		isGuestError(t, err, Refused, "PID 1 gave up: no network card", saidFailed)
	})
	t.Run("no key", func(t *testing.T) {
		g := &Guest{spec: spec, dir: tempDir(t)}
		m, err := parts.machine(t.Context(), spec, g.dir, false)
		must(t, err)
		m.Append = "faultline.key=%"
		must(t, g.start(t.Context(), r.QEMU, m))
		defer g.Close()
		ctx, unwatch := g.watch(t.Context())
		defer unwatch()
		_, err = g.agent.line(ctx)
		isGuestError(t, g.guestError(ctx, "boot", err), Refused, "PID 1 gave up: kernel command line: no usable faultline.key=", saidFailed)
	})
	t.Run("no kernel", func(t *testing.T) {
		err := boot(t, func(m *qemu.Machine) { m.Kernel = filepath.Join(t.TempDir(), "vmlinuz") })
		if r.QEMU.User != nil { // then this process opens it
			isGuestError(t, err, HostFailed, "vmlinuz: no such file", "")
		} else {
			isGuestError(t, err, Exit, "could not open kernel file", "")
		}
	})
	t.Run("a file that is not a kernel", func(t *testing.T) {
		err := boot(t, func(m *qemu.Machine) {
			m.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
			must(t, os.WriteFile(m.Kernel, []byte(strings.Repeat("this is no kernel\n", 10_000)), 0o644))
		})
		isGuestError(t, err, Exit, "kernel too old", "")
	})
	t.Run("in no time", func(t *testing.T) {
		isGuestError(t, bootFor(t, r, 500*time.Millisecond, asItIs), Hang, "did not answer", "")
	})
	t.Run("QEMU does not answer", func(t *testing.T) {
		mute := *r
		mute.QEMU.User = nil // another user could not start a program in the test's folder
		mute.QEMU.Path = filepath.Join(t.TempDir(), "qemu")
		must(t, os.WriteFile(mute.QEMU.Path, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755))
		isGuestError(t, bootFor(t, &mute, 300*time.Millisecond, asItIs), Hang, "connect to QEMU's monitor", "")
		mute.QEMU.Path = "/no/such/qemu"
		isGuestError(t, bootFor(t, &mute, time.Minute, asItIs), HostFailed, "/no/such/qemu", "")
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		_, err := r.Boot(ctx, spec)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

// A guest that got no core does not answer either, which is not caused by its kernel.
func TestGuestErrorOnABusyMachine(t *testing.T) {
	for waited, want := range map[time.Duration]string{
		20 * time.Second: "K did not answer",
		50 * time.Second: "K did not answer; its QEMU waited 50s of 1m0s for a core; run again when this machine is less busy",
	} {
		tr := &GuestError{Kind: Hang, Kernel: "K"}
		tr.setStarved(time.Minute, waited)
		if busy := waited > 30*time.Second; tr.Error() != want || tr.Starved != busy || tr.OfKernel() == busy {
			t.Errorf("got %q, starved %t, the kernel's %t; want %q, %t, %t", tr.Error(), tr.Starved, tr.OfKernel(), want, busy, !busy)
		}
	}
}

func TestGuestErrorInWords(t *testing.T) {
	for want, tr := range map[string]*GuestError{
		"boot: the kernel of K panicked: Kernel panic - not syncing: oh": {Kind: Panic, Doing: "boot", Kernel: "K", Tail: "[  1.0] Kernel panic - not syncing: oh\r\n[  1.1] CPU: 0"},
		"clone: K did not answer: no answer within 10s":                  {Kind: Hang, Doing: "clone", Kernel: "K", Err: errors.New("no answer within 10s")},
		"boot: K did not answer: x; processor 0 is at 0xffffffff81ce5fff, halted; processor 1 is at 0xffffffff81ce7b40, with interrupts off": {
			Kind: Hang, Doing: "boot", Kernel: "K", Err: errors.New("x"),
			Registers: "CPU#0\nRAX=0 RBX=0\nRIP=ffffffff81ce5fff RFL=00000212 [----A--] CPL=0 II=0 A20=1 SMM=0 HLT=1\n" +
				"CPU#1\nRIP=ffffffff81ce7b40 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0",
		},
		"QEMU of K ended: signal: killed":               {Kind: Exit, Kernel: "K", Err: errors.New("signal: killed")},
		"boot: the accelerator does not run K: x; do y": {Kind: BrokenAccel, Doing: "boot", Kernel: "K", Err: errors.New("x"), Hint: "do y"},
	} {
		if got := tr.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
