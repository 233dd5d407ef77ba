package qemu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

// socket is go-qemu's Monitor. Its own SocketMonitor returns an answer in the buffer
// that it reads on into: an event that follows an answer overwrites it.
type socket struct {
	conn    net.Conn
	mu      sync.Mutex  // held while a command is under way
	answers chan []byte // closed when the connection has ended
	events  chan qmp.Event
	closed  chan struct{} // by Disconnect
	close   func() error
}

var _ qmp.Monitor = (*socket)(nil)

func dialSocket(path string, timeout time.Duration) (*socket, error) {
	conn, err := net.DialTimeout("unix", path, timeout)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, answers: make(chan []byte), events: make(chan qmp.Event), closed: make(chan struct{})}
	s.close = sync.OnceValue(func() error {
		close(s.closed)
		return conn.Close()
	})
	go s.listen()
	return s, nil
}

// listen takes what QEMU says, a line each: the greeting and answers, and events. One
// of more than bufio.MaxScanTokenSize ends the connection.
func (s *socket) listen() {
	defer close(s.events)
	defer close(s.answers)
	for lines := bufio.NewScanner(s.conn); lines.Scan(); {
		var e qmp.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.Event != "" {
			select {
			case s.events <- e:
			case <-s.closed:
				return
			}
			continue
		}
		select {
		case s.answers <- bytes.Clone(lines.Bytes()):
		case <-s.closed:
			return
		}
	}
}

// Connect takes QEMU's greeting and leaves the mode of negotiation (section 4 of
// docs/interop/qmp-spec).
func (s *socket) Connect() error {
	if _, err := s.answer(); err != nil {
		return err
	}
	command, err := json.Marshal(qmp.Command{Execute: "qmp_capabilities"})
	if err != nil {
		return err
	}
	_, err = s.Run(command)
	return err
}

// Disconnect closes the connection. What waits for an answer gets an error.
func (s *socket) Disconnect() error { return s.close() }

// Run executes a command and returns QEMU's answer, of the form {"return": …}. What
// QEMU says an error is one.
func (s *socket) Run(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.conn.Write(append(command, '\n')); err != nil {
		return nil, err
	}
	answer, err := s.answer()
	if err != nil {
		return nil, err
	}
	var failed struct {
		Error *struct{ Class, Desc string }
	}
	if err := json.Unmarshal(answer, &failed); err != nil {
		return nil, err
	}
	if failed.Error != nil {
		return nil, errors.New(failed.Error.Desc)
	}
	return answer, nil
}

func (s *socket) answer() ([]byte, error) {
	answer, open := <-s.answers
	if !open {
		return nil, fmt.Errorf("no answer: %w", io.ErrUnexpectedEOF)
	}
	return answer, nil
}

// Events are QEMU's events, which must be taken: answers come after those before them.
func (s *socket) Events(context.Context) (<-chan qmp.Event, error) { return s.events, nil }
