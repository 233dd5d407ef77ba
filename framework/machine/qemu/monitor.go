package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

// Monitor is a QMP connection (docs/interop/qmp-spec in QEMU).
type Monitor struct {
	socket qmp.Monitor
	done   <-chan struct{} // QEMU's end

	mu     sync.Mutex
	events []qmp.Event
	counts map[string]int // of events, by name
	more   chan struct{}  // closed and replaced when an event arrives
}

// Maximum number of events that are stored, in all and per name; later ones are dropped.
// A guest can cause any number of some: each write to pvpanic's port is a GUEST_PANICKED.
const maxEvents, maxEventsNamed = 16 << 10, 1 << 10

// connectTimeout limits the wait for the first answer of a new QEMU.
const connectTimeout = 30 * time.Second

// endGrace is how long an error of the connection waits for QEMU's end.
const endGrace = 100 * time.Millisecond

// ErrMonitor is wrapped by the error for a QEMU that runs but does not answer.
var ErrMonitor = errors.New("connect to QEMU's monitor")

func dialMonitor(ctx context.Context, path string, done <-chan struct{}) (*Monitor, error) {
	socket, err := dialSocket(path, connectTimeout)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMonitor, err)
	}
	connected := make(chan error, 1)
	go func() { connected <- socket.Connect() }()
	timeout := time.NewTimer(connectTimeout)
	defer timeout.Stop()
	answered := false
	select {
	case err = <-connected:
		answered = true
	case <-done:
		err = fmt.Errorf("QEMU ended")
	case <-timeout.C:
		err = fmt.Errorf("no answer within %v", connectTimeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		socket.Disconnect()
		if !answered {
			<-connected // the socket is closed, so this does not block
		}
		// A QEMU that ends closes its socket first; the cause is known once it has ended.
		select {
		case <-done:
		case <-time.After(10 * endGrace):
		case <-ctx.Done():
		}
		return nil, fmt.Errorf("%w: %w", ErrMonitor, err)
	}
	m := &Monitor{socket: socket, done: done, counts: map[string]int{}, more: make(chan struct{})}
	events, err := socket.Events(ctx)
	if err != nil {
		socket.Disconnect()
		return nil, fmt.Errorf("listen to QEMU's events: %w", err)
	}
	go func() {
		for e := range events {
			m.keep(e)
		}
	}()
	return m, nil
}

// keep stores an event and wakes the waiters.
func (m *Monitor) keep(e qmp.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) >= maxEvents || m.counts[e.Event] >= maxEventsNamed {
		return
	}
	m.counts[e.Event]++
	m.events = append(m.events, e)
	close(m.more)
	m.more = make(chan struct{})
}

func (m *Monitor) close() { m.socket.Disconnect() }

// Run executes a QMP command and stores its return value in result, unless that is nil.
func (m *Monitor) Run(ctx context.Context, command string, args map[string]any, result any) error {
	if args == nil {
		args = map[string]any{} // QMP does not accept null
	}
	request, err := json.Marshal(qmp.Command{Execute: command, Args: args})
	if err != nil {
		return fmt.Errorf("QMP %s: %w", command, err)
	}
	type answer struct {
		raw []byte
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		raw, err := m.socket.Run(request)
		answered <- answer{raw, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			// The connection breaks shortly before QEMU's end is known.
			select {
			case <-m.done:
				return fmt.Errorf("QMP %s: QEMU ended", command)
			case <-time.After(endGrace):
			}
			return fmt.Errorf("QMP %s: %w", command, a.err)
		}
		if result == nil {
			return nil
		}
		reply := struct {
			Return any `json:"return"`
		}{result}
		if err := json.Unmarshal(a.raw, &reply); err != nil {
			return fmt.Errorf("QMP %s: %w", command, err)
		}
		return nil
	case <-m.done:
		return fmt.Errorf("QMP %s: QEMU ended", command)
	case <-ctx.Done():
		return fmt.Errorf("QMP %s: %w", command, context.Cause(ctx))
	}
}

// HMP runs a command of the human monitor and returns its output. The human monitor
// prints errors as output, which the caller must recognise.
func (m *Monitor) HMP(ctx context.Context, line string) (string, error) {
	var out string
	err := m.Run(ctx, "human-monitor-command", map[string]any{"command-line": line}, &out)
	return strings.TrimRight(strings.ReplaceAll(out, "\r", ""), "\n"), err
}

// Status returns QEMU's run state: "running", "paused", "internal-error", … (RunState in
// QAPI).
func (m *Monitor) Status(ctx context.Context) (string, error) {
	var s struct{ Status string }
	err := m.Run(ctx, "query-status", nil, &s)
	return s.Status, err
}

// Events returns the events so far with one of the names, in order.
func (m *Monitor) Events(names ...string) []qmp.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []qmp.Event
	for _, e := range m.events {
		for _, n := range names {
			if e.Event == n {
				found = append(found, e)
			}
		}
	}
	return found
}

// WaitEvent waits for the nth event (from 0) with one of the names, counting events that
// arrived before the call.
func (m *Monitor) WaitEvent(ctx context.Context, n int, names ...string) (qmp.Event, error) {
	for {
		m.mu.Lock()
		more := m.more
		m.mu.Unlock()
		if found := m.Events(names...); len(found) > n {
			return found[n], nil
		}
		select {
		case <-more:
		case <-m.done:
			if found := m.Events(names...); len(found) > n {
				return found[n], nil
			}
			return qmp.Event{}, fmt.Errorf("wait for QMP event %s: QEMU ended", strings.Join(names, ", "))
		case <-ctx.Done():
			return qmp.Event{}, fmt.Errorf("wait for QMP event %s: %w", strings.Join(names, ", "), context.Cause(ctx))
		}
	}
}
