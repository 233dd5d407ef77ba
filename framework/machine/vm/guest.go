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
	// Timings says when it reached which point.
	Timings Timings
	// Welcome is what the agent said of the kernel it runs on.
	Welcome wire.HelloReply
	// Devices are the pmem devices that a boot brings up.
	Devices []wire.Device
	// Mounted are the disks whose file systems are mounted, with -o dax, in MountDir.
	Mounted []string
	// Files are on them.
	Files []File

	spec     Spec
	dir      string // its own folder, gone after Close
	template string // its template's key; empty where it was booted
	remains  remains
	memory   string // the folder of the files that its memory is in
	door     bool   // Open will be called
	proc     *qemu.Process
	agent    *agentPort
	console  *consoleFile
	client   ed25519.PrivateKey
	hostKey  ssh.PublicKey
	closed   sync.Once

	greeted time.Time // when Welcome was said, by the guest's clock
	fresh   bool      // a clone whose clock and random numbers are its own
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

// At is how long after the start a point was reached; 0 where it was not.
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
	// Asked for before the guest runs, so that no text is missed.
	for _, text := range []string{klog.PanicMark, saidUserSpace, saidFailed} {
		console.Seen(text)
	}
	g.memory = filepath.Dir(m.RAM.Path)
	g.proc, err = qemu.Start(ctx, bin, m, qemu.Options{Dir: g.dir, Console: console, Door: g.door, AtEnd: g.captureRegisters})
	if err != nil {
		g.console.Close()
		t := &GuestError{Kind: HostFailed, Doing: "start QEMU", Kernel: g.spec.Kernel.Name, Err: err, Tail: console.Tail(tailLines)}
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
	reply, err := g.agent.call(ctx, &wire.Request{Hello: &wire.Hello{UnixNano: time.Now().UnixNano(), Entropy: entropy, Spare: spare, Hold: hold}})
	if err != nil {
		return err
	}
	g.Welcome, g.greeted = *reply.Welcome, time.Now()
	return nil
}

// callLimit bounds one exchange with the agent, for every accelerator: on a busy
// machine a guest waits for a core whatever runs it.
const callLimit = 60 * time.Second

// limited bounds an exchange, but for a guest that a person stops and looks at.
func (g *Guest) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.visited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %v", callLimit))
}

// Pending is a request whose reply was not waited for yet.
type Pending struct {
	guest *Guest
	reply <-chan answer
	err   error
}

// Send sends the agent a request, for those that have to do something else
// before it can be answered.
func (g *Guest) Send(req *wire.Request) *Pending {
	reply, err := g.agent.send(req)
	return &Pending{guest: g, reply: reply, err: err}
}

// Wait waits for the reply. An error is a *GuestError (the guest panicked, did
// not answer, QEMU ended, the agent could not do it) or that of ctx.
func (p *Pending) Wait(ctx context.Context) (*wire.Reply, error) {
	ctx, cancel := p.guest.limited(ctx)
	defer cancel()
	return p.Await(ctx)
}

// Await is Wait without a limit: for what takes its time while the agent answers
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
		return nil, g.trouble(ctx, "ask the agent", err)
	}
	return reply, nil
}

// Call sends the agent a request and waits for its reply, as Send and Wait.
func (g *Guest) Call(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	return g.Send(req).Wait(ctx)
}

// Monitor is the guest's QMP connection.
func (g *Guest) Monitor() *qemu.Monitor { return g.proc.Monitor }

// DialGDB connects to the gdb stub, which is added if need be; it stops the guest.
func (g *Guest) DialGDB(ctx context.Context) (net.Conn, error) { return g.proc.DialGDB(ctx) }

// PID is QEMU's process id.
func (g *Guest) PID() int { return g.proc.PID() }

// Args are QEMU's arguments.
func (g *Guest) Args() []string { return g.proc.Args() }

// ConsoleTail is the end of what the guest printed.
func (g *Guest) ConsoleTail(lines int) string { return g.proc.Console.Tail(lines) }

// Spec is what the guest was made from.
func (g *Guest) Spec() Spec { return g.spec }

var translated = regexp.MustCompile(`TB count\s+(\d+)`)

// Blocks is how many blocks of the guest's code TCG has translated so far; 0 where
// nothing tells.
func (g *Guest) Blocks(ctx context.Context) int {
	if g.spec.Accel != qemu.TCG {
		return 0
	}
	said, err := g.proc.Monitor.HMP(ctx, "info jit")
	if err != nil {
		return 0
	}
	n := 0
	if m := translated.FindStringSubmatch(said); m != nil {
		n, _ = strconv.Atoi(m[1])
	}
	return n
}

// Close ends the guest and removes what it made on the host.
func (g *Guest) Close() {
	g.closed.Do(func() {
		g.proc.Kill()
		g.watchers.Wait()
		g.console.Close()
		os.RemoveAll(g.dir)
	})
}

var hostForward = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s`)

// sshAddress asks QEMU which port of the loopback address it took.
func (g *Guest) sshAddress(ctx context.Context) (string, error) {
	out, err := g.proc.Monitor.HMP(ctx, "info usernet")
	if err != nil {
		return "", err
	}
	m := hostForward.FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("QEMU tells no forwarded port: %s", out)
	}
	return "127.0.0.1:" + m[1], nil
}
