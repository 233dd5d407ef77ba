package qemu

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/execx"
)

// Options configures a process.
type Options struct {
	// Dir is a folder that only this user can enter, for QEMU's sockets. The caller
	// creates and removes it.
	Dir string
	// Console receives the output of the guest's first serial port.
	Console *Console
	// Debug adds a QMP socket for the user: see Process.Debug.
	Debug bool
	// AtEnd, unless nil, is called when the machine is reset or switched off. CPUs and
	// memory keep their state until it returns; then QEMU ends. The context limits it.
	AtEnd func(context.Context, *Monitor)
}

// Process is a running QEMU.
type Process struct {
	// Monitor is the QMP connection.
	Monitor *Monitor
	// Serial is the host's end of the agent's serial port.
	Serial net.Conn
	// Console is the guest's first serial port.
	Console *Console

	args []string
	dir  string              // Options.Dir
	user *syscall.Credential // the user it runs as; nil is the current user
	stub bool                // the gdb stub was added
	pid  int

	// Descriptors for the devices' state (state.go); the numbers are QEMU's.
	dirFD   int      // of Options.Dir, of a machine with Share
	state   net.Conn // our end of stateFD, of a machine with Incoming
	stateFD int

	done    chan struct{}
	end     *EndError
	mu      sync.Mutex
	watcher sync.WaitGroup // see endWith
}

// EndError describes the end of a QEMU process.
type EndError struct {
	Status string // "exit status 1", "signal: killed"
	// Stderr is the end of QEMU's error output.
	Stderr string
	// Asked is set if Kill ended it.
	Asked bool
	// Signal is the signal that killed it; 0 if none did.
	Signal syscall.Signal
}

func (e *EndError) Error() string {
	s := "QEMU ended: " + e.Status
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

// Start starts QEMU and connects to its monitor. The kernel kills it when this process
// ends, even by SIGKILL (PR_SET_PDEATHSIG).
func Start(ctx context.Context, bin Binary, m Machine, opt Options) (_ *Process, err error) {
	if opt.Console == nil {
		opt.Console = NewConsole(nil)
	}
	p := &Process{Console: opt.Console, dir: opt.Dir, user: bin.as(m.Accel), done: make(chan struct{})}
	var theirs []*os.File // QEMU's descriptors 3, 4, …
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	give := func(f *os.File) int { theirs = append(theirs, f); return 2 + len(theirs) }

	if p.user != nil {
		if m, err = m.given(p.user, give); err != nil {
			return nil, err
		}
	}
	// The sockets listen before QEMU runs, so that connecting needs no retries.
	qmp, err := listen(opt.Dir, qmpSocket)
	if err != nil {
		return nil, err
	}
	defer os.Remove(filepath.Join(opt.Dir, qmpSocket)) // it is used for one connection only
	qmpFD := give(qmp)
	defer func() {
		if err != nil {
			os.Remove(filepath.Join(opt.Dir, gdbSocket))
		}
	}()
	gdb, err := listen(opt.Dir, gdbSocket)
	if err != nil {
		return nil, err
	}
	gdbFD := give(gdb)
	var debug *os.File
	if opt.Debug {
		if debug, err = listen(opt.Dir, debugSocket); err != nil {
			return nil, err
		}
	}
	ours, agent, err := socketpair()
	if err != nil {
		return nil, err
	}
	agentFD := give(agent)
	if m.Share {
		dir, err := os.Open(opt.Dir)
		if err != nil {
			return nil, err
		}
		p.dirFD = give(dir)
		if p.user != nil { // only users that can reach the folder can pass through it
			if err := dir.Chmod(0o711); err != nil {
				return nil, fmt.Errorf("let QEMU's user into its folder: %w", err)
			}
		}
	}
	if m.Incoming {
		ours, theirs, err := socketpair()
		if err != nil {
			return nil, err
		}
		p.stateFD = give(theirs)
		p.state, err = net.FileConn(ours)
		ours.Close()
		if err != nil {
			return nil, fmt.Errorf("connect the socket of the state: %w", err)
		}
		defer func() {
			if err != nil {
				p.state.Close()
			}
		}()
	}
	p.args = append(m.Args(),
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", qmpFD), "-mon", "chardev=qmp,mode=control",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		// A virtio port, because a 16550 transfers single bytes, each with some 20 µs of
		// emulation.
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", agentFD),
		"-device", "virtio-serial-pci,max_ports=2", "-device", "virtserialport,chardev=agent,name="+wire.Port,
		// It is unused until DialGDB adds a stub.
		"-chardev", fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", gdbSocket, gdbFD),
		// A guest that ends is stopped until endWith ends QEMU.
		"-action", "shutdown=pause",
	)
	if debug != nil {
		p.args = append(
			p.args,
			"-chardev",
			fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", debugSocket, give(debug)),
			"-mon",
			"mode=control,chardev="+debugSocket,
		)
	}
	if bin.Sandboxed {
		p.args = append(p.args, sandbox...)
	}
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("connect the agent's serial port: %w", err)
	}
	p.Serial = conn

	cmd := execx.Prepare(bin.Path, p.args...)
	cmd.Env, cmd.ExtraFiles = environment, theirs
	cmd.Stdout = opt.Console
	stderr := NewConsole(nil)
	cmd.Stderr = stderr
	// Its own process group, so that Ctrl-C at the terminal does not reach it. A change
	// of user clears the death signal (prctl(2)), which is therefore set after that:
	// package syscall does so; -runas would clear it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true, Credential: p.user}
	if p.user != nil {
		cmd.Dir = "/"
	}
	started := make(chan error)
	go func() {
		// The death signal is sent when the *thread* that forked ends, so this thread
		// must live as long as QEMU.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		status := "exit status 0"
		if err != nil {
			status = err.Error()
		}
		p.mu.Lock()
		if p.end == nil {
			p.end = &EndError{}
		}
		p.end.Status, p.end.Stderr = status, lastLines(stderr.Tail(8))
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			p.end.Signal = ws.Signal()
		}
		p.mu.Unlock()
		close(p.done)
	}()
	if err := <-started; err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", bin.Path, err)
	}
	p.pid = cmd.Process.Pid
	if p.Monitor, err = p.dialMonitor(ctx); err != nil {
		ended := p.ended()
		p.Kill()
		if ended {
			return nil, p.Err()
		}
		return nil, err
	}
	p.watcher.Go(func() { p.endWith(opt.AtEnd) })
	return p, nil
}

// endLimit limits Options.AtEnd and the end of QEMU.
const endLimit = 30 * time.Second

// endWith waits until the guest ends its machine, for example by a triple fault, calls
// atEnd, and ends QEMU. It returns when QEMU ends.
func (p *Process) endWith(atEnd func(context.Context, *Monitor)) {
	e, err := p.Monitor.WaitEvent(context.Background(), 0, "SHUTDOWN")
	if err != nil || e.Data["reason"] == "host-qmp-quit" || e.Data["reason"] == "host-signal" {
		return // QEMU ends by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if atEnd != nil {
		atEnd(ctx, p.Monitor)
	}
	_ = p.Monitor.Run(ctx, "quit", nil, nil) // an error means that QEMU has ended
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PID returns QEMU's process id.
func (p *Process) PID() int { return p.pid }

// Args returns QEMU's arguments, including those for the ports.
func (p *Process) Args() []string { return p.args }

// Done returns a channel that is closed when QEMU has ended and all its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how QEMU ended (an *EndError), or nil while it runs.
func (p *Process) Err() error {
	if !p.ended() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

// Kill kills QEMU and waits until it has ended.
func (p *Process) Kill() {
	p.mu.Lock()
	if p.end == nil {
		p.end = &EndError{Asked: true}
	}
	p.mu.Unlock()
	if !p.ended() {
		unix.Kill(p.pid, unix.SIGKILL)
	}
	<-p.done
	p.watcher.Wait()
	p.Serial.Close()
	if p.state != nil {
		p.state.Close()
	}
	if p.Monitor != nil {
		p.Monitor.close()
	}
	os.Remove(filepath.Join(p.dir, gdbSocket))
	os.Remove(filepath.Join(p.dir, debugSocket))
}

// DebugSocket returns the path of the QMP socket of a process that was started with
// Options.Debug. It accepts one connection at a time.
func (p *Process) DebugSocket() string { return filepath.Join(p.dir, debugSocket) }

// GDB returns the path of the gdb stub's socket, and adds the stub if necessary. The stub
// accepts one connection at a time, and a connection stops the guest.
func (p *Process) GDB(ctx context.Context) (path string, err error) {
	if !p.stub {
		output, err := p.Monitor.HMP(ctx, "gdbserver chardev:"+gdbSocket)
		if err != nil {
			return "", fmt.Errorf("add a gdb stub: %w", err)
		}
		if !strings.HasPrefix(output, "Waiting for gdb connection") {
			return "", fmt.Errorf("add a gdb stub: unexpected output of QEMU: %q", output)
		}
		p.stub = true
	}
	return filepath.Join(p.dir, gdbSocket), nil
}

// DialGDB connects to the gdb stub.
func (p *Process) DialGDB(ctx context.Context) (net.Conn, error) {
	if _, err := p.GDB(ctx); err != nil {
		return nil, err
	}
	path, done, err := socketPath(p.dir, gdbSocket)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// dialMonitor connects to the monitor's socket.
func (p *Process) dialMonitor(ctx context.Context) (*Monitor, error) {
	path, done, err := socketPath(p.dir, qmpSocket)
	if err != nil {
		return nil, err
	}
	defer done()
	return dialMonitor(ctx, path, p.done)
}

// The sockets in Options.Dir. QEMU inherits them instead of getting a path, which may
// contain characters with a meaning in QEMU's options.
const (
	qmpSocket   = "qmp"
	gdbSocket   = "gdb"
	debugSocket = "debug"
)

func lastLines(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}
