package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/faultline/faultline/guest/wire"
)

// agentPort is the host's end of the serial port that is used first by PID 1 and then by
// the agent. Data from it is sent by a guest, and may be anything.
type agentPort struct {
	conn  net.Conn
	lines *wire.Reader

	mu      sync.Mutex
	id      uint64
	pending map[uint64]waiter // nil until serve, and after the port was lost
	lost    error
}

// waiter waits for a reply: for a value on its channel, or for its end.
type waiter struct {
	request *wire.Request
	answer  chan answer
}

// answer is a reply, or the error of its check.
type answer struct {
	reply *wire.Reply
	err   error
}

func newAgentPort(c net.Conn) *agentPort { return &agentPort{conn: c, lines: wire.NewReader(c)} }

// aLongTimeAgo, as a deadline, ends a read in progress.
var aLongTimeAgo = time.Unix(1, 0)

// line reads a line, before serve, until ctx ends.
func (a *agentPort) line(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { a.conn.SetReadDeadline(aLongTimeAgo) })
	defer stop()
	line, err := a.lines.Line()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return "", cause
		}
		return "", fmt.Errorf("%w: %w", errPortLost, err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// serve delivers replies to their waiters, until the port is closed or something that is
// not a reply is received.
func (a *agentPort) serve() {
	a.pending = map[uint64]waiter{}
	go func() {
		err := a.receive()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lost = fmt.Errorf("%w: %w", errPortLost, err)
		for _, w := range a.pending {
			close(w.answer)
		}
		a.pending = nil
	}()
}

func (a *agentPort) receive() error {
	for {
		line, err := a.lines.Line()
		if err != nil {
			return err
		}
		var reply wire.Reply
		if err := wire.Decode(line, &reply); err != nil {
			return fmt.Errorf("reply %.80q: %w", line, err)
		}
		a.mu.Lock()
		w, waits := a.pending[reply.ID]
		delete(a.pending, reply.ID)
		a.mu.Unlock()
		if waits { // other replies have no waiter any more, or never had one
			w.answer <- answer{&reply, reply.Check(w.request)}
		}
	}
}

// send sends a request. Its reply is sent on the channel, which is closed instead if the
// port is lost.
func (a *agentPort) send(req *wire.Request) (<-chan answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lost != nil {
		return nil, a.lost
	}
	a.id++
	req.ID = a.id
	data, err := wire.Encode(req)
	if err != nil {
		return nil, err
	}
	ch := make(chan answer, 1)
	a.pending[req.ID] = waiter{req, ch}
	if _, err := a.conn.Write(data); err != nil {
		delete(a.pending, req.ID)
		return nil, fmt.Errorf("%w: %w", errPortLost, err)
	}
	return ch, nil
}

// wait waits for the reply of a request until ctx ends.
func (a *agentPort) wait(ctx context.Context, ch <-chan answer) (*wire.Reply, error) {
	select {
	case got, ok := <-ch:
		switch {
		case !ok:
			a.mu.Lock()
			defer a.mu.Unlock()
			return nil, a.lost
		case got.err != nil:
			return nil, got.err
		case got.reply.Error != "":
			return nil, fmt.Errorf("%w: %s", ErrGuest, got.reply.Error)
		}
		return got.reply, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// call sends a request and waits for its reply.
func (a *agentPort) call(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	ch, err := a.send(req)
	if err != nil {
		return nil, err
	}
	return a.wait(ctx, ch)
}

// errPortLost is the error if QEMU closed the port, which it does when it ends, or if the
// guest sent something that is not a reply.
var errPortLost = errors.New("the agent's port is lost")

// ErrGuest is wrapped by the *GuestError of a request for which the guest returned an
// error.
var ErrGuest = errors.New("the guest could not do it")
