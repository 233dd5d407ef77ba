package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// The state of a guest's devices is transferred through sockets, because the sandbox does
// not allow QEMU to start a program for it.

// stateSocket is the name of the socket to which QEMU writes its state.
const stateSocket = "state"

// maxState is the maximum size of a state in bytes; without the memory it is about 400
// KiB.
const maxState = 64 << 20

// ignoreShared excludes memory that is backed by shared files from the stream.
var ignoreShared = map[string]any{"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}}}

// SaveState writes the state of the devices to a file. The guest must be stopped, and its
// machine must have Share set.
func (p *Process) SaveState(ctx context.Context, file string) error {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save QEMU's state: %w", err)
	}
	defer out.Close()
	path, done, err := socketPath(p.dir, stateSocket)
	if err != nil {
		return fmt.Errorf("save QEMU's state: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}) // Close removes it
	if err != nil {
		return fmt.Errorf("save QEMU's state: %w", err)
	}
	defer l.Close()
	if p.user != nil {
		if err := os.Chown(path, int(p.user.Uid), -1); err != nil {
			return fmt.Errorf("save QEMU's state: %w", err)
		}
	}
	taken := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			var n int64
			if n, err = io.Copy(out, io.LimitReader(conn, maxState)); n == maxState {
				err = fmt.Errorf("it is longer than %d bytes", maxState)
			}
			err = errors.Join(err, conn.Close())
		}
		taken <- err
	}()
	if err := p.Monitor.Run(ctx, "migrate-set-capabilities", ignoreShared, nil); err != nil {
		return err
	}
	// The folder is a descriptor of QEMU: its path may be too long or contain any
	// character.
	uri := fmt.Sprintf("unix:/proc/self/fd/%d/%s", p.dirFD, stateSocket)
	if err := p.Monitor.Run(ctx, "migrate", map[string]any{"uri": uri}, nil); err != nil {
		return err
	}
	for {
		var m struct {
			Status string
			Error  string `json:"error-desc"`
		}
		if err := p.Monitor.Run(ctx, "query-migrate", nil, &m); err != nil {
			return err
		}
		switch m.Status {
		case "completed":
			select {
			case err = <-taken:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
			if err == nil {
				err = out.Close()
			}
			if err != nil {
				return fmt.Errorf("save QEMU's state: %w", err)
			}
			return nil
		case "failed", "cancelled":
			l.Close()
			return fmt.Errorf("migration %s: %w", m.Status, errors.Join(errors.New(m.Error), <-taken))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

// LoadState loads a state that SaveState wrote into a guest whose machine has Incoming
// set, and waits until the guest is ready to continue.
func (p *Process) LoadState(ctx context.Context, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("load QEMU's state: %w", err)
	}
	defer in.Close()
	defer p.state.Close()
	if err := p.Monitor.Run(ctx, "migrate-set-capabilities", ignoreShared, nil); err != nil {
		return err
	}
	if err := p.Monitor.Run(
		ctx,
		"migrate-incoming",
		map[string]any{"uri": fmt.Sprint("fd:", p.stateFD)},
		nil,
	); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.state.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.Copy(p.state, in); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("load QEMU's state: %w", err)
	}
	p.state.Close()
	for {
		status, err := p.Monitor.Status(ctx)
		if err != nil {
			return err
		}
		if status != "inmigrate" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Microsecond):
		}
	}
}
