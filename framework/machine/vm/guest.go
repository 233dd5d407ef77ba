package vm

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/klog"
)

// Guest is a running guest whose agent answers.
type Guest struct {
	// Timings are the points of its start.
	Timings Timings
	// Hello is the agent's information about the kernel.
	Hello wire.HelloReply
	// Devices are the pmem devices after the boot.
	Devices []wire.Device
	// Mounted are the disks whose file systems are mounted, with -o dax, in MountDir.
	Mounted []string
	// Files are the prepared files on the mounted disks.
	Files []File

	spec       Spec
	dir        string // its own folder, removed by Close
	template   string // its template's key; empty if it was booted
	postMortem postMortem
	memory     string // the folder of its memory files
	debug      bool   // Open will be called
	proc       *qemu.Process
	agent      *agentPort
	console    *consoleFile
	client     ed25519.PrivateKey
	hostKey    ssh.PublicKey
	closed     sync.Once

	greeted time.Time // when Hello was sent, by the guest's clock
	fresh   bool      // a clone with its own clock and random numbers
	share   share
	visited bool // see Open

	down     context.Context // see watchOver
	watchers sync.WaitGroup
}

// Timings are the points of a guest's start, in order.
type Timings struct {
	Start  time.Time
	Points []Point
}

// Point is a named moment, counted from Start.
type Point struct {
	Name  string
	After time.Duration
}

func (t *Timings) mark(name string) {
	t.Points = append(t.Points, Point{name, time.Since(t.Start)})
}

// At returns the time from the start to a point, or 0 if the point was not reached.
func (t Timings) At(name string) time.Duration {
	for _, p := range t.Points {
		if p.Name == name {
			return p.After
		}
	}
	return 0
}

// start starts QEMU and connects to its ports.
func (g *Guest) start(ctx context.Context, bin qemu.Binary, m qemu.Machine) error {
	var err error
	if g.console, err = newConsoleFile(g.spec.Console); err != nil {
		return err
	}
	console := qemu.NewConsole(g.console)
	// Registered before the guest runs, so that no text is missed.
	for _, text := range []string{klog.PanicMark, saidUserSpace, saidFailed} {
		console.Seen(text)
	}
	g.memory = filepath.Dir(m.RAM.Path)
	g.proc, err = qemu.Start(
		ctx,
		bin,
		m,
		qemu.Options{Dir: g.dir, Console: console, Debug: g.debug, AtEnd: g.captureRegisters},
	)
	if err != nil {
		g.console.Close()
		t := &GuestError{
			Kind:   HostFailed,
			Doing:  "start QEMU",
			Kernel: g.spec.Kernel.Name,
			Err:    err,
			Tail:   console.Tail(tailLines),
		}
		var end *qemu.EndError
		switch {
		case errors.As(err, &end):
			t.Kind = Exit
		case errors.Is(err, context.Canceled):
			return fmt.Errorf("start QEMU: %w", err)
		case errors.Is(err, qemu.ErrMonitor):
			t.Kind = Hang
		}
		if g.spec.Accel == qemu.KVM && strings.Contains(strings.ToLower(err.Error()), "kvm") {
			t.Kind, t.Hint = BrokenAccel, kvmAdvice
		}
		return t
	}
	g.agent = newAgentPort(g.proc.Serial)
	g.watchOver()
	return nil
}

// hello greets the agent of a guest that was booted.
func (g *Guest) hello(ctx context.Context, spare int, hold ...string) error {
	entropy := make([]byte, 64)
	rand.Read(entropy)
	reply, err := g.agent.call(
		ctx,
		&wire.Request{Hello: &wire.Hello{UnixNano: time.Now().UnixNano(), Entropy: entropy, Spare: spare, Hold: hold}},
	)
	if err != nil {
		return err
	}
	g.Hello, g.greeted = *reply.Welcome, time.Now()
	return nil
}

// callLimit limits one exchange with the agent. It is the same for all accelerators: on a
// busy machine a guest waits for a core with any of them.
const callLimit = 60 * time.Second

// limited limits an exchange, except with a guest that a user stops and inspects.
func (g *Guest) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.visited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %v", callLimit))
}

// Pending is a request whose reply has not been received yet.
type Pending struct {
	guest *Guest
	reply <-chan answer
	err   error
}

// Send sends the agent a request, for callers that must do something before the agent can
// answer it.
func (g *Guest) Send(req *wire.Request) *Pending {
	reply, err := g.agent.send(req)
	return &Pending{guest: g, reply: reply, err: err}
}

// Wait waits for the reply. An error is a *GuestError (the guest panicked or did not
// answer, QEMU ended, the agent failed) or that of ctx.
func (p *Pending) Wait(ctx context.Context) (*wire.Reply, error) {
	ctx, cancel := p.guest.limited(ctx)
	defer cancel()
	return p.Await(ctx)
}

// Await is Wait without a limit, for requests that may take long while the agent answers
// others.
func (p *Pending) Await(ctx context.Context) (*wire.Reply, error) {
	g := p.guest
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	reply, err := (*wire.Reply)(nil), p.err
	if err == nil {
		reply, err = g.agent.wait(ctx, p.reply)
	}
	if err != nil {
		return nil, g.guestError(ctx, "ask the agent", err)
	}
	return reply, nil
}

// Call sends the agent a request and waits for its reply, like Send and Wait.
func (g *Guest) Call(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	return g.Send(req).Wait(ctx)
}

// Monitor returns the guest's QMP connection.
func (g *Guest) Monitor() *qemu.Monitor { return g.proc.Monitor }

// DialGDB connects to the gdb stub, and adds it if necessary. That stops the guest.
func (g *Guest) DialGDB(ctx context.Context) (net.Conn, error) { return g.proc.DialGDB(ctx) }

// PID returns QEMU's process id.
func (g *Guest) PID() int { return g.proc.PID() }

// Args returns QEMU's arguments.
func (g *Guest) Args() []string { return g.proc.Args() }

// ConsoleTail returns the end of the guest's output.
func (g *Guest) ConsoleTail(lines int) string { return g.proc.Console.Tail(lines) }

// Spec returns the spec from which the guest was made.
func (g *Guest) Spec() Spec { return g.spec }

var translated = regexp.MustCompile(`TB count\s+(\d+)`)

// Blocks returns the number of blocks of the guest's code that TCG has translated so far,
// or 0 if it is not known.
func (g *Guest) Blocks(ctx context.Context) int {
	if g.spec.Accel != qemu.TCG {
		return 0
	}
	output, err := g.proc.Monitor.HMP(ctx, "info jit")
	if err != nil {
		return 0
	}
	n := 0
	if m := translated.FindStringSubmatch(output); m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	return n
}

// Close ends the guest and removes its files on the host.
func (g *Guest) Close() {
	g.closed.Do(func() {
		g.proc.Kill()
		g.watchers.Wait()
		g.console.Close()
		os.RemoveAll(g.dir)
	})
}

var hostForward = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s`)

// sshAddress asks QEMU for the port that it uses on the loopback address.
func (g *Guest) sshAddress(ctx context.Context) (string, error) {
	out, err := g.proc.Monitor.HMP(ctx, "info usernet")
	if err != nil {
		return "", err
	}
	m := hostForward.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("QEMU lists no forwarded port: %s", out)
	}
	return "127.0.0.1:" + m[1], nil
}
