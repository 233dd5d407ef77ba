package gdb

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrClosed is returned if the stub closed the connection, usually because QEMU
	// ended.
	ErrClosed = errors.New("the gdb stub closed the connection")
	// ErrTimeout is returned if the context ended first; its cause is wrapped too.
	ErrTimeout = errors.New("the gdb stub did not answer in time")
	// ErrEnded is returned if the guest was reset or switched off.
	ErrEnded = errors.New("the guest was reset or ended")
)

// RefusedError is an error answer (E…) to a command, or an empty answer, which means that
// the stub does not support it.
type RefusedError struct{ Command, Answer string }

func (e *RefusedError) Error() string {
	if e.Answer == "" {
		return fmt.Sprintf("the gdb stub does not support %s", e.Command)
	}
	return fmt.Sprintf("the gdb stub refused %s: %s", e.Command, e.Answer)
}

// Client is a connection to a stub. It is not safe for concurrent use.
//
// QEMU stops a running guest for any byte that it receives, so the Client sends none
// while the guest runs, except in Interrupt.
type Client struct {
	conn    net.Conn
	buf     []byte
	stops   []Stop // received, and not returned by Wait yet
	stop    Stop   // the last one
	running bool
	// numbered is set if the stub allows single registers to be written.
	numbered bool
}

// maxStops is the maximum number of stop replies that wait for a call of Wait.
const maxStops = 16

// ackLimit limits the sending of an acknowledgement, which is one byte.
const ackLimit = 10 * time.Second

// resends is how often a packet is sent or requested.
const resends = 3

// Attach begins a session with the stub at the other end of conn. Connecting stops a
// running guest. The stub may report that with a stop reply, or not (if the guest was
// paused already, or from QEMU 8.1 on); Attach then requests one. After Attach the guest
// is stopped. The Client owns conn, even if Attach returns an error.
func Attach(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{conn: conn}
	err := c.attach(ctx)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("attach to the gdb stub: %w", err)
	}
	return c, nil
}

func (c *Client) attach(ctx context.Context) error {
	// A stop reply for the connection itself precedes this answer.
	if _, err := c.ask(ctx, "qSupported"); err != nil {
		return err
	}
	if len(c.stops) > 0 {
		c.stop, c.stops = c.stops[len(c.stops)-1], nil
		return ended(c.stop)
	}
	if err := c.send(ctx, "?"); err != nil {
		return err
	}
	_, err := c.Wait(ctx)
	return err
}

// Close closes the connection. The guest stays as it is; see Detach.
func (c *Client) Close() error { return c.conn.Close() }

// Running reports whether the guest was continued and no stop has been received since.
func (c *Client) Running() bool { return c.running }

// Watch sets a watchpoint on n bytes at a virtual address, on all vCPUs and in all
// address spaces: the caller must check that the guest stopped in the right one. TCG
// stops after the access: the instruction, or some iterations of a repeated one, have
// completed (see package rewind).
func (c *Client) Watch(ctx context.Context, a Access, addr uint64, n int) error {
	return c.point(ctx, 'Z', a, addr, n)
}

// Unwatch removes a watchpoint.
func (c *Client) Unwatch(ctx context.Context, a Access, addr uint64, n int) error {
	return c.point(ctx, 'z', a, addr, n)
}

func (c *Client) point(ctx context.Context, set byte, a Access, addr uint64, n int) error {
	kind := map[Access]int{Write: 2, Read: 3, Any: 4}[a]
	if kind == 0 {
		return fmt.Errorf("watch for an access %q: want %q, %q or %q", a, Write, Read, Any)
	}
	return c.ok(ctx, fmt.Sprintf("%c%d,%x,%x", set, kind, addr, n))
}

// Continue resumes all vCPUs. It does not wait for a stop.
func (c *Client) Continue(ctx context.Context) error {
	if c.running {
		return errors.New("continue: the guest is running")
	}
	if err := c.send(ctx, "c"); err != nil {
		return err
	}
	c.running = true
	return nil
}

// Wait waits until the guest has stopped.
func (c *Client) Wait(ctx context.Context) (Stop, error) {
	for len(c.stops) == 0 {
		data, err := c.packet(ctx, "a stop reply")
		if err != nil {
			return Stop{}, err
		}
		if !isStop(data) {
			return Stop{}, fmt.Errorf("%w: %.80q instead of a stop reply", ErrMalformed, data)
		}
		s, err := parseStop(data)
		if err != nil {
			return Stop{}, err
		}
		c.stops = append(c.stops, s)
	}
	c.stop, c.stops, c.running = c.stops[0], c.stops[1:], false
	return c.stop, ended(c.stop)
}

func ended(s Stop) error {
	if s.Ended {
		return ErrEnded
	}
	return nil
}

// Interrupt stops a running guest. If the guest has just stopped by itself, Interrupt
// returns that stop.
func (c *Client) Interrupt(ctx context.Context) (Stop, error) {
	if !c.running {
		return c.stop, nil
	}
	if err := c.write(ctx, []byte{0x03}); err != nil {
		return Stop{}, err
	}
	return c.Wait(ctx)
}

// Detach resumes the guest and closes the connection.
func (c *Client) Detach(ctx context.Context) error {
	defer c.conn.Close()
	if c.running {
		if _, err := c.Interrupt(ctx); err != nil {
			return err
		}
	}
	return c.ok(ctx, "D")
}

// ok runs a command that answers OK.
func (c *Client) ok(ctx context.Context, command string) error {
	data, err := c.ask(ctx, command)
	if err == nil && string(data) != "OK" {
		if len(data) > 0 && data[0] != 'E' {
			return fmt.Errorf("%w: %.80q for %s", ErrMalformed, data, command)
		}
		err = &RefusedError{command, string(data)}
	}
	return err
}

// value runs a command that answers with bytes in hexadecimal.
func (c *Client) value(ctx context.Context, command string) ([]byte, error) {
	data, err := c.ask(ctx, command)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data) == 3 && data[0] == 'E' {
		return nil, &RefusedError{command, string(data)}
	}
	out := make([]byte, hex.DecodedLen(len(data)))
	if _, err := hex.Decode(out, data); err != nil {
		return nil, fmt.Errorf("%w: %.80q for %s", ErrMalformed, data, command)
	}
	return out, nil
}

// ask sends a command and returns its answer. Stop replies that precede it are stored for
// Wait.
func (c *Client) ask(ctx context.Context, command string) ([]byte, error) {
	if c.running {
		return nil, fmt.Errorf("send %s to the gdb stub: the guest is running", command)
	}
	if err := c.send(ctx, command); err != nil {
		return nil, err
	}
	for {
		data, err := c.packet(ctx, command)
		if err != nil {
			return nil, err
		}
		if !isStop(data) {
			return data, nil
		}
		s, err := parseStop(data)
		if err != nil {
			return nil, err
		}
		if err := c.note(s); err != nil {
			return nil, err
		}
	}
}

// note stores a stop reply for Wait.
func (c *Client) note(s Stop) error {
	if len(c.stops) == maxStops {
		return fmt.Errorf("%w: %d stop replies without a continue", ErrMalformed, maxStops+1)
	}
	c.stops = append(c.stops, s)
	return ended(s)
}

// send sends a command, again if the stub requests it, and waits for its acknowledgement.
func (c *Client) send(ctx context.Context, command string) error {
	for range resends {
		if err := c.write(ctx, frame(command)); err != nil {
			return err
		}
	taken:
		for {
			e, err := c.event(ctx, command)
			if err != nil {
				return err
			}
			switch e.kind {
			case '+':
				return nil
			case '-':
				break taken
			}
			// A packet that was in transit when the command was sent.
			if err := c.keep(ctx, e); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: it rejected the checksum of %s %d times", ErrMalformed, command, resends)
}

// keep acknowledges a stop reply and stores it.
func (c *Client) keep(ctx context.Context, e event) error {
	if e.bad || !isStop(e.data) {
		return fmt.Errorf("%w: unexpected packet %.80q", ErrMalformed, e.data)
	}
	if err := c.write(ctx, []byte{'+'}); err != nil {
		return err
	}
	s, err := parseStop(e.data)
	if err != nil {
		return err
	}
	return c.note(s)
}

// packet waits for a packet and acknowledges it.
func (c *Client) packet(ctx context.Context, what string) ([]byte, error) {
	for range resends {
		var e event
		for e.kind != '$' {
			var err error
			if e, err = c.event(ctx, what); err != nil {
				return nil, err
			}
		}
		if !e.bad {
			// A received packet is not lost if ctx ends now.
			acknowledged, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackLimit)
			defer cancel()
			return e.data, c.write(acknowledged, []byte{'+'})
		}
		if err := c.write(ctx, []byte{'-'}); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: a wrong checksum %d times", ErrMalformed, resends)
}

// event waits for the next event. Bytes of an event that is incomplete when ctx ends are
// kept for the next call.
func (c *Client) event(ctx context.Context, what string) (event, error) {
	for {
		e, n, err := next(c.buf)
		if err != nil || n > 0 {
			c.buf = c.buf[n:]
			return e, err
		}
		var some [4096]byte
		got, err := c.read(ctx, some[:])
		c.buf = append(c.buf, some[:got]...)
		if err != nil && got == 0 {
			return event{}, fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// aLongTimeAgo, as a deadline, ends a read or write in progress.
var aLongTimeAgo = time.Unix(1, 0)

func (c *Client) read(ctx context.Context, b []byte) (n int, err error) {
	err = c.bounded(ctx, func() (err error) {
		n, err = c.conn.Read(b)
		return err
	})
	return n, err
}

func (c *Client) write(ctx context.Context, b []byte) error {
	return c.bounded(ctx, func() error {
		_, err := c.conn.Write(b)
		return err
	})
}

// bounded runs do, and ends its blocking calls on the connection when ctx ends.
func (c *Client) bounded(ctx context.Context, do func() error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(aLongTimeAgo)
		close(fired)
	})
	err := do()
	if !stop() {
		<-fired
		c.conn.SetDeadline(time.Time{}) // for a later call with another context
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrTimeout, context.Cause(ctx))
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe), isReset(err):
		return ErrClosed
	}
	return err
}

// isReset reports whether an error means that the other end is closed.
func isReset(err error) bool {
	return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
