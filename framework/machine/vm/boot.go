package vm

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/klog"
	"github.com/faultline/faultline/internal/shell"
	"github.com/faultline/faultline/kernels"
)

// Spec describes a guest to start.
type Spec struct {
	Kernel *kernels.Kernel
	Accel  qemu.Accel
	CPUs   int // 0 means 1
	// CPU is the CPU model for QEMU's -cpu; empty means the architecture's default, or
	// the host's CPU with KVM.
	CPU string
	// RAM is the guest's memory in bytes; 0 means 512 MiB. Up to 2.5 GiB it is contiguous
	// from address 0.
	RAM int64
	// LargeNVDIMM adds an empty nvdimm of 3 GiB, in raw mode, and a NUMA node.
	LargeNVDIMM bool
	// Console is the path of a file for the guest's output; empty keeps only its end, in
	// memory.
	Console string
}

func (s Spec) ram() int64 { return cmp.Or(s.RAM, ramBytes) }

// bootLimit limits a boot, from QEMU's start to the agent's first answer. It is many
// times what a boot takes, because on a busy machine a guest gets a small part of a core.
// It is the same for all accelerators: a guest with KVM needs less CPU time, but may have
// to wait as long for it.
const bootLimit = 120 * time.Second

// bootsWithin returns the limit for a kernel's boot. A kernel that starts from its
// bzImage decompresses itself first, and usually has KASAN.
func bootsWithin(k *kernels.Kernel) time.Duration {
	if k.PVH {
		return bootLimit
	}
	return 2 * bootLimit
}

// Texts that PID 1 prints on the console (guest/init).
const (
	saidUserSpace = "faultline-init: user space"
	saidFailed    = "faultline-init: failed"
)

// agentPath is the path of the agent in a guest.
const agentPath = "/run/agent"

// Boot boots a guest, which has its own disks and memory.
func (r *Host) Boot(ctx context.Context, s Spec) (*Guest, error) {
	if err := checkConfig(s.Kernel); err != nil {
		return nil, err
	}
	parts, err := r.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	defer parts.close()
	dir, err := os.MkdirTemp(r.dir, "guest-")
	if err != nil {
		return nil, &GuestError{Kind: HostFailed, Doing: "boot", Kernel: s.Kernel.Name, Err: err}
	}
	m, err := parts.machine(ctx, s, dir, false)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	g, err := r.boot(ctx, s, m, dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return g, nil
}

// dryMemory is the placeholder of the guest's memory file in DryRun.
const dryMemory = "GUEST_MEMORY_FILE"

// DryRun returns the command that Boot would start, quoted for a shell. It has
// placeholders for what exists only while a guest runs: sockets, keys and the memory
// file.
func (r *Host) DryRun(ctx context.Context, s Spec) (string, error) {
	parts, err := r.prepare(ctx, s)
	if err != nil {
		return "", err
	}
	defer parts.close()
	dir, err := os.MkdirTemp(r.dir, "dry-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	m, err := parts.machine(ctx, s, dir, false)
	if err != nil {
		return "", err
	}
	m.RAM.Path = dryMemory
	m.Append = "faultline.key=SSH_PUBLIC_KEY"
	words := append([]string{r.QEMU.Path}, m.Args()...)
	words = append(words, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	return shell.Quote(words), nil
}

// Script returns a shell script that boots the guest like Boot, with its console on the
// terminal, to examine a boot or to reproduce it on another machine. The script does not
// push an agent, so PID 1 reports that and powers off.
func (r *Host) Script(ctx context.Context, s Spec) (string, error) {
	command, err := r.DryRun(ctx, s)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`#!/bin/sh
# Boots %s (%s) until user space. Ctrl-C ends it.
set -eu
memory=$(mktemp)
trap 'rm -f "$memory"' EXIT
truncate -s %d "$memory"
%s
`, s.Kernel.Name, s.Kernel.Release, s.ram(), strings.ReplaceAll(command, dryMemory, `"$memory"`)), nil
}

// boot starts the machine and waits until its agent answers.
func (r *Host) boot(ctx context.Context, s Spec, m qemu.Machine, dir string) (_ *Guest, err error) {
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	client, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		return nil, err
	}
	m.Append = strings.TrimSpace(
		m.Append + " faultline.key=" + base64.StdEncoding.EncodeToString(client.PublicKey().Marshal()),
	)
	g := &Guest{spec: s, dir: dir, client: priv, Timings: Timings{Start: time.Now()}}
	if err := g.start(ctx, r.QEMU, m); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	limit := bootsWithin(s.Kernel)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready within %v", limit))
	defer cancel()
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	step := func(doing string, do func(context.Context) error) {
		if err != nil {
			return
		}
		if err = do(ctx); err != nil {
			err = g.guestError(ctx, "boot: "+doing, err)
		}
	}
	port := "" // the agent's, in the guest
	step("wait for user space", g.userSpace)
	g.Timings.mark("user_space")
	step("wait for SSH", func(ctx context.Context) error {
		line, err := g.agent.line(ctx)
		if err != nil {
			return err
		}
		key, found := strings.CutPrefix(line, "ssh ")
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil || !found {
			return fmt.Errorf("PID 1 sent %.80q instead of its SSH key", line)
		}
		if g.hostKey, err = ssh.ParsePublicKey(raw); err != nil {
			return err
		}
		port, err = g.agent.line(ctx)
		return err
	})
	g.Timings.mark("ssh_listens")
	step("push the agent over SSH", func(ctx context.Context) error {
		c, err := g.SSH(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		g.Timings.mark("ssh_connected")
		if err := c.Put(ctx, r.agent.path, agentPath); err != nil {
			return err
		}
		g.Timings.mark("agent_pushed")
		return c.Start(ctx, agentPath, "serve", port)
	})
	step("wait for the agent", func(ctx context.Context) error {
		line, err := g.agent.line(ctx)
		if err == nil && line != wire.Ready {
			err = fmt.Errorf("it sent %.80q instead of %q", line, wire.Ready)
		}
		return err
	})
	step("greet the agent", func(ctx context.Context) error {
		g.agent.serve()
		return g.hello(ctx, 0)
	})
	g.Timings.mark("ready")
	step("complete the boot", g.completeBoot)
	g.Timings.mark("complete")
	if err != nil {
		return nil, err
	}
	return g, nil
}

// userSpace waits for PID 1's first output.
func (g *Guest) userSpace(ctx context.Context) error {
	tick := time.NewTicker(accelPoll)
	defer tick.Stop()
	// The time between polls that QEMU answered; a stopped QEMU does not answer.
	last, had := time.Now(), time.Duration(0)
	for {
		select {
		case <-g.proc.Console.Seen(saidUserSpace):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if g.spec.Accel == qemu.TCG || g.printed(saidUserSpace) {
				continue
			}
			if _, err := g.proc.Monitor.Status(ctx); err == nil {
				now := time.Now()
				last, had = now, had+min(now.Sub(last), 4*accelPoll)
			}
			if accelBroken(had, starved(fmt.Sprint("/proc/", g.proc.PID()))) {
				return &GuestError{
					Kind: BrokenAccel,
					Err:  fmt.Errorf("%s opened, but the guest did not reach user space within %v", g.spec.Accel, accelLimit),
				}
			}
		}
	}
}

// Causes with which watchOver ends a context.
var (
	errPanic    = errors.New("panic")
	errFailed   = errors.New("PID 1 gave up")
	errInternal = errors.New("the accelerator stopped with an internal error")
	errEnded    = errors.New("QEMU ended")
)

// watchOver creates g.down, a context that ends when the guest can no longer answer: it
// panicked, PID 1 gave up, or QEMU stopped or ended. The goroutines end with QEMU or with
// g.down.
func (g *Guest) watchOver() {
	ctx, down := context.WithCancelCause(context.Background())
	g.down = ctx
	paniced, failed := g.proc.Console.Seen(klog.PanicMark), g.proc.Console.Seen(saidFailed)
	g.watchers.Go(func() {
		select {
		case <-paniced:
			down(errPanic)
		case <-failed:
			down(errFailed)
		case <-g.proc.Done():
			down(errEnded)
		case <-ctx.Done():
		}
	})
	g.watchers.Go(func() { g.share.follow(ctx, g.proc.PID()) })
	g.watchers.Go(func() {
		if _, err := g.proc.Monitor.WaitEvent(ctx, 0, guestPanicked); err == nil {
			down(errPanic)
		}
	})
	if g.spec.Accel == qemu.TCG {
		return
	}
	g.watchers.Go(func() {
		// KVM that cannot continue stops the guest, which only QEMU's run state shows.
		for n := 0; ; n++ {
			if _, err := g.proc.Monitor.WaitEvent(ctx, n, "STOP"); err != nil {
				return
			}
			if s, err := g.proc.Monitor.Status(ctx); err == nil && s == "internal-error" {
				down(errInternal)
			}
		}
	})
}

// watch returns a context that ends with ctx, or when the guest is down.
func (g *Guest) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.down, func() { cancel(context.Cause(g.down)) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// Number of console lines in a GuestError. A panic's message is followed by a call trace,
// which is longer in a guest that has run for a while.
const tailLines, panicLines = 40, 120

// guestError returns the *GuestError for an error of an operation that used ctx, a
// context from watch.
func (g *Guest) guestError(ctx context.Context, doing string, err error) error {
	var t *GuestError
	if errors.As(err, &t) && t.Kernel != "" {
		return err
	}
	if t == nil {
		t = &GuestError{Kind: Refused, Err: err}
	}
	t.Doing, t.Kernel = doing, g.spec.Kernel.Name
	cause := context.Cause(ctx)
	lost := errors.Is(err, errPortLost) || errors.Is(err, io.EOF) ||
		errors.Is(err, unix.ECONNRESET) // QEMU is probably ending
	whole := true
	if errors.Is(cause, errPanic) || errors.Is(cause, errFailed) || errors.Is(cause, errEnded) || lost {
		// The order of the signs of the end is random; once all are present, the cause is
		// clear.
		whole = g.drainConsole()
	}
	switch {
	case !whole:
		t.Kind, t.Err = Hang, fmt.Errorf("it is going down (%w), and had not ended after %v", cmp.Or(cause, err), callLimit)
	case errors.Is(cause, errPanic) || g.printed(klog.PanicMark) || len(g.proc.Monitor.Events(guestPanicked)) > 0:
		t.Kind, t.Err = Panic, nil
	case errors.Is(cause, errFailed) || g.printed(saidFailed):
		t.Kind, t.Err = Refused, errFailed
		if _, why, found := strings.Cut(g.proc.Console.Tail(tailLines), saidFailed+": "); found {
			why, _, _ = strings.Cut(why, "\n")
			t.Err = fmt.Errorf("%w: %s", errFailed, why)
		}
	case errors.Is(cause, errInternal):
		t.Kind, t.Err = BrokenAccel, cause
	case errors.Is(cause, errEnded) || g.proc.Err() != nil:
		t.Kind, t.Err = Exit, g.proc.Err()
		if end := (*qemu.EndError)(nil); errors.As(t.Err, &end) && end.Signal == unix.SIGBUS && !end.Asked {
			t.Kind, t.Err, t.Hint = HostFailed, g.noPage(end), noPageAdvice
		}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", doing, err)
	case cause != nil && t.Kind == Refused:
		t.Kind = Hang
	}
	t.Tail = g.proc.Console.Tail(tailLines)
	if t.Kind == Panic {
		t.Tail = g.proc.Console.Tail(panicLines)
	}
	if t.Kind == BrokenAccel {
		t.Hint = kvmAdvice
	}
	if t.Kind == Panic || t.Kind == Hang || t.Restarted() {
		t.Registers, t.Template = g.processors(), g.template
	}
	if t.Kind == Hang {
		t.setStarved(time.Since(g.Timings.Start), starved(fmt.Sprint("/proc/", g.proc.PID())))
	}
	return t
}

const noTCGAdvice = "install a QEMU with TCG, or fix KVM (see faultline doctor)"

const kvmAdvice = "use --accel tcg, or fix KVM (see faultline doctor)"

// printed reports whether one of the texts that start registered was printed on the console.
func (g *Guest) printed(text string) bool {
	select {
	case <-g.proc.Console.Seen(text):
		return true
	default:
		return false
	}
}
