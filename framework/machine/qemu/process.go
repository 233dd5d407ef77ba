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

// Options say where a process keeps its things.
type Options struct {
	// Dir is a folder that only this user can enter; the monitor's socket is
	// made in it. It must be the caller's, who removes it.
	Dir string
	// Console gets what the guest prints on its first serial port.
	Console *Console
	// Door adds a QMP socket for a person: see Process.Door.
	Door bool
	// AtEnd, if there is one, is called when the machine is reset or switched off:
	// processors and memory are as they were left until it returns, and then QEMU
	// ends. The context bounds it.
	AtEnd func(context.Context, *Monitor)
}

// Process is a running QEMU.
type Process struct {
	// Monitor speaks QMP.
	Monitor *Monitor
	// Serial is the host's end of the serial port on which the agent speaks.
	Serial net.Conn
	// Console is the guest's first serial port.
	Console *Console

	args []string
	dir  string              // Options.Dir
	user *syscall.Credential // who runs it; nil is who we are
	stub bool                // the gdb stub was added
	pid  int

	// What state.go moves the devices' state by; the numbers are QEMU's.
	dirFD   int      // of Options.Dir, of a machine with Share
	state   net.Conn // our end of stateFD, of a machine with Incoming
	stateFD int

	done    chan struct{}
	end     *EndError
	mu      sync.Mutex
	watcher sync.WaitGroup // see endWith
}

// EndError tells how a QEMU process ended.
type EndError struct {
	Status string // "exit status 1", "signal: killed"
	// Stderr is the end of what QEMU said.
	Stderr string
	// Asked is set when we ended it.
	Asked bool
	// Signal is the one that ended it; 0 where none did.
	Signal syscall.Signal
}

func (e *EndError) Error() string {
	s := "QEMU ended: " + e.Status
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

// Start starts QEMU and connects to its monitor. The process is killed by the
// kernel when ours dies, even by SIGKILL (PR_SET_PDEATHSIG).
func Start(ctx context.Context, bin Binary, m Machine, opt Options) (_ *Process, err error) {
	if opt.Console == nil {
		opt.Console = NewConsole(nil)
	}
	p := &Process{Console: opt.Console, dir: opt.Dir, user: bin.as(m.Accel), done: make(chan struct{})}
	var theirs []*os.File // what QEMU gets, as descriptors 3, 4, …
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
	defer os.Remove(filepath.Join(opt.Dir, qmpSocket)) // one connection is all it is for
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
	var door *os.File
	if opt.Door {
		if door, err = listen(opt.Dir, doorSocket); err != nil {
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
		if p.user != nil { // who can come as far as here may pass
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
		// A virtio port, because a 16550 takes its bytes one by one, each of
		// them some 20 µs of emulation.
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", agentFD),
		"-device", "virtio-serial-pci,max_ports=2", "-device", "virtserialport,chardev=agent,name="+wire.Port,
		// Nobody listens on it before DialGDB has a stub added.
		"-chardev", fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", gdbSocket, gdbFD),
		// A guest that ends stands still until endWith ends QEMU.
		"-action", "shutdown=pause",
	)
	if door != nil {
		p.args = append(p.args, "-chardev", fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", doorSocket, give(door)), "-mon", "mode=control,chardev="+doorSocket)
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
	// Its own process group: Ctrl-C at the terminal is ours to act on. A change of
	// user clears the death signal (prctl(2)), so it is asked for behind that, which
	// is the order of package syscall; -runas would lose it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true, Credential: p.user}
	if p.user != nil {
		cmd.Dir = "/"
	}
	started := make(chan error)
	go func() {
		// The death signal comes when the *thread* that forked ends, so this
		// one stays for as long as QEMU does.
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

// endLimit bounds Options.AtEnd, and QEMU's way to its end.
const endLimit = 30 * time.Second

// endWith waits until the guest ends its machine, as by a triple fault, and ends
// QEMU when look has looked at what is left. It ends with QEMU.
func (p *Process) endWith(look func(context.Context, *Monitor)) {
	e, err := p.Monitor.WaitEvent(context.Background(), 0, "SHUTDOWN")
	if err != nil || e.Data["reason"] == "host-qmp-quit" || e.Data["reason"] == "host-signal" {
		return // QEMU ends, or does by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if look != nil {
		look(ctx, p.Monitor)
	}
	_ = p.Monitor.Run(ctx, "quit", nil, nil) // an error is QEMU's end
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PID is QEMU's process id.
func (p *Process) PID() int { return p.pid }

// Args are QEMU's arguments, those for the ports included.
func (p *Process) Args() []string { return p.args }

// Done is closed when QEMU has ended and all its output was taken.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how QEMU ended (an *EndError), or nil while it runs.
func (p *Process) Err() error {
	if !p.ended() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

// Kill ends QEMU and waits until it is gone.
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
	os.Remove(filepath.Join(p.dir, doorSocket))
}

// Door is the path of the QMP socket of a process that was started with one. It
// takes one connection at a time.
func (p *Process) Door() string { return filepath.Join(p.dir, doorSocket) }

// GDB is the path of the gdb stub's socket; the stub is added to a process that has
// none yet. It takes one connection at a time, and a guest that runs is stopped by it.
func (p *Process) GDB(ctx context.Context) (path string, err error) {
	if !p.stub {
		said, err := p.Monitor.HMP(ctx, "gdbserver chardev:"+gdbSocket)
		if err != nil {
			return "", fmt.Errorf("add a gdb stub: %w", err)
		}
		if !strings.HasPrefix(said, "Waiting for gdb connection") {
			return "", fmt.Errorf("add a gdb stub: QEMU says %q", said)
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

// The sockets in Options.Dir. QEMU inherits them, and is told no path: a path may
// hold what means something in its options.
const (
	qmpSocket  = "qmp"
	gdbSocket  = "gdb"
	doorSocket = "door"
)

// socketPath is a path of at most some 30 bytes for a socket in a folder, valid
// until done: unix(7) has room for 107 only, and the folder is the user's choice.
func socketPath(dir, name string) (path string, done func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), name), func() { f.Close() }, nil
}

// listen makes a listening unix socket whose descriptor a child can inherit.
func listen(dir, name string) (*os.File, error) {
	path, done, err := socketPath(dir, name)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make a socket in %s: %w", dir, err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File() // a duplicate
	l.Close()
	if err != nil {
		return nil, fmt.Errorf("make a socket in %s: %w", dir, err)
	}
	return f, nil
}

func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "serial"), os.NewFile(uintptr(fds[1]), "serial"), nil
}

func lastLines(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}
