package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// SSHClient is a connection to PID 1's SSH server. Close it.
type SSHClient struct {
	client *ssh.Client
	guest  *Guest
}

// SSH connects to the guest. It accepts only the host key that PID 1 sent over the serial
// port.
func (g *Guest) SSH(ctx context.Context) (*SSHClient, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %v", callLimit))
	defer cancel()
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	// Clones of one template have the same time and random numbers. That does not matter
	// to scenarios, but it does to programs that run over SSH.
	if g.template != "" && !g.fresh {
		if err := g.hello(ctx, 0); err != nil {
			return nil, g.guestError(ctx, "set the clock", err)
		}
		g.fresh = true
	}
	c, err := g.dialSSH(ctx)
	if err != nil {
		return nil, g.guestError(ctx, "connect to SSH", err)
	}
	return c, nil
}

func (g *Guest) dialSSH(ctx context.Context) (*SSHClient, error) {
	addr, err := g.sshAddress(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(g.client)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User:            "root",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(g.hostKey),
		// Cheap under emulation; no secret of the host is transferred.
		Config: ssh.Config{
			Ciphers:      []string{"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"},
			KeyExchanges: []string{"curve25519-sha256"},
		},
	})
	if err != nil {
		conn.Close()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	return &SSHClient{client: ssh.NewClient(c, channels, requests), guest: g}, nil
}

// Close ends the connection and the programs that still run on it.
func (c *SSHClient) Close() error { return c.client.Close() }

// Put copies a file of the host into the guest, executable.
func (c *SSHClient) Put(ctx context.Context, host, guest string) error {
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.control(ctx, wire.Command{Put: guest}, f)
}

// Start starts a program that outlives the connection.
func (c *SSHClient) Start(ctx context.Context, argv ...string) error {
	return c.control(ctx, wire.Command{Start: true, Argv: argv}, nil)
}

func (c *SSHClient) control(ctx context.Context, cmd wire.Command, stdin io.Reader) error {
	out := limitedOutput{most: outputBytes}
	status, err := c.Run(ctx, cmd.Argv, Streams{Stdin: stdin, Stdout: &out, Stderr: &out}, cmd)
	if err == nil && status.Code != 0 {
		err = fmt.Errorf("%s: %s", strings.ReplaceAll(cmd.String(), "\x00", " "), strings.TrimSpace(out.kept.String()))
	}
	return err
}

// limitedOutput is a writer that keeps the first bytes of a guest's output and discards
// the rest.
type limitedOutput struct {
	kept bytes.Buffer
	most int  // bytes
	more bool // some were discarded
}

// outputBytes is the limit for an error message.
const outputBytes = 4096

func (w *limitedOutput) Write(p []byte) (int, error) {
	kept := p[:min(len(p), w.most-w.kept.Len())]
	w.more = w.more || len(kept) < len(p)
	w.kept.Write(kept)
	return len(p), nil
}

// Streams are a program's input and output, and its terminal, if any.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       *Terminal
}

// Terminal requests a pseudo terminal in the guest.
type Terminal struct {
	Type       string // $TERM
	Rows, Cols int
	// Resized delivers new sizes (rows, columns), until it is closed.
	Resized <-chan [2]int
}

// ExitStatus is how a program in the guest ended.
type ExitStatus struct {
	Code   int    // its exit status; 128 + the signal's number if a signal killed it
	Signal string // "BUS" for SIGBUS, if a signal killed it
}

// Exec runs a program of the guest to its end.
func (c *SSHClient) Exec(ctx context.Context, argv []string, s Streams) (ExitStatus, error) {
	return c.Run(ctx, argv, s, wire.Command{Argv: argv})
}

// Run runs a command of PID 1 to its end.
func (c *SSHClient) Run(ctx context.Context, argv []string, s Streams, cmd wire.Command) (ExitStatus, error) {
	status, err := c.run(ctx, s, cmd)
	if err == nil {
		return status, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return ExitStatus{}, cause
	}
	// The connection ended without a status, most likely because the guest is ending.
	c.guest.drainConsole()
	return ExitStatus{}, c.guest.guestError(ctx, fmt.Sprintf("run %v", argv), err)
}

func (c *SSHClient) run(ctx context.Context, s Streams, cmd wire.Command) (ExitStatus, error) {
	session, err := c.client.NewSession()
	if err != nil {
		return ExitStatus{}, fmt.Errorf("open an SSH session: %w", err)
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { c.client.Close() })
	defer stop()
	session.Stdout, session.Stderr = s.Stdout, s.Stderr
	// With session.Stdin, Wait would wait for the end of the input; a terminal's does not
	// end.
	stdin, err := session.StdinPipe()
	if err != nil {
		return ExitStatus{}, err
	}
	if t := s.Terminal; t != nil {
		if err := session.RequestPty(t.Type, t.Rows, t.Cols, ssh.TerminalModes{}); err != nil {
			return ExitStatus{}, fmt.Errorf("request a terminal: %w", err)
		}
		go func() {
			for size := range t.Resized {
				session.WindowChange(size[0], size[1])
			}
		}()
	}
	if err := session.Start(cmd.String()); err != nil {
		return ExitStatus{}, err
	}
	go func() {
		if s.Stdin != nil {
			io.Copy(stdin, s.Stdin)
		}
		stdin.Close()
	}()
	err = session.Wait()
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		status := ExitStatus{Code: exit.ExitStatus(), Signal: exit.Signal()}
		if status.Signal != "" {
			status.Code = 128 + int(unix.SignalNum("SIG"+status.Signal))
		}
		return status, nil
	}
	return ExitStatus{}, err
}
