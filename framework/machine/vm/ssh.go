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

// SSH connects to the guest. The host's key is the one that PID 1 told over
// the serial port; any other is refused.
func (g *Guest) SSH(ctx context.Context) (*SSHClient, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %v", callLimit))
	defer cancel()
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	// Clones of one template would have the same time and draw the same random
	// numbers: nothing to a scenario, much to who comes in.
	if g.template != "" && !g.fresh {
		if err := g.hello(ctx, 0); err != nil {
			return nil, g.trouble(ctx, "set the clock", err)
		}
		g.fresh = true
	}
	c, err := g.dialSSH(ctx)
	if err != nil {
		return nil, g.trouble(ctx, "connect to SSH", err)
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
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(g.hostKey),
		// Cheap under emulation; no secret of the host goes through.
		Config: ssh.Config{Ciphers: []string{"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"}, KeyExchanges: []string{"curve25519-sha256"}},
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

// Close ends the connection, and with it what still runs on it.
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
	said := firstWords{most: firstWordsBytes}
	status, err := c.Run(ctx, cmd.Argv, Streams{Stdin: stdin, Stdout: &said, Stderr: &said}, cmd)
	if err == nil && status.Code != 0 {
		err = fmt.Errorf("%s: %s", strings.ReplaceAll(cmd.String(), "\x00", " "), strings.TrimSpace(said.said.String()))
	}
	return err
}

// firstWords keeps the first bytes of what a guest says, and takes the rest.
type firstWords struct {
	said bytes.Buffer
	most int  // bytes
	more bool // there were more
}

// firstWordsBytes is what is kept of a complaint.
const firstWordsBytes = 4096

func (w *firstWords) Write(p []byte) (int, error) {
	kept := p[:min(len(p), w.most-w.said.Len())]
	w.more = w.more || len(kept) < len(p)
	w.said.Write(kept)
	return len(p), nil
}

// Streams are a program's input and output, and the terminal it shall have.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       *Terminal
}

// Terminal asks for a pseudo terminal in the guest.
type Terminal struct {
	Type       string // $TERM
	Rows, Cols int
	// Resized delivers new sizes (rows, columns), until it is closed.
	Resized <-chan [2]int
}

// ExitStatus is how a program in the guest ended.
type ExitStatus struct {
	Code   int    // its exit status; 128 + the signal's number where one ended it
	Signal string // "BUS" for SIGBUS, where one ended it
}

// Exec runs a program of the guest to its end.
func (c *SSHClient) Exec(ctx context.Context, argv []string, s Streams) (ExitStatus, error) {
	return c.Run(ctx, argv, s, wire.Command{Argv: argv})
}

// Run carries out a command of PID 1 to its end.
func (c *SSHClient) Run(ctx context.Context, argv []string, s Streams, cmd wire.Command) (ExitStatus, error) {
	status, err := c.run(ctx, s, cmd)
	if err == nil {
		return status, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return ExitStatus{}, cause
	}
	// The connection is gone without a status: with the guest, most likely, whose
	// end comes a moment later.
	c.guest.lastWords()
	return ExitStatus{}, c.guest.trouble(ctx, fmt.Sprintf("run %v", argv), err)
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
	// session.Stdin would make Wait wait for our input to end, which a terminal's does not.
	stdin, err := session.StdinPipe()
	if err != nil {
		return ExitStatus{}, err
	}
	if t := s.Terminal; t != nil {
		if err := session.RequestPty(t.Type, t.Rows, t.Cols, ssh.TerminalModes{}); err != nil {
			return ExitStatus{}, fmt.Errorf("ask for a terminal: %w", err)
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
