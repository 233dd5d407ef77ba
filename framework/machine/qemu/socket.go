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
	"os"
	"sync"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
	"golang.org/x/sys/unix"
)

// socket implements go-qemu's Monitor. go-qemu's SocketMonitor returns an answer in its
// read buffer, which an event after the answer overwrites.
type socket struct {
	conn    net.Conn
	mu      sync.Mutex  // held while a command is in progress
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

// listen reads QEMU's messages, one per line: the greeting, answers and events. A line
// longer than bufio.MaxScanTokenSize ends the connection.
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

// Connect reads QEMU's greeting and leaves the negotiation mode (section 4 of
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

// Disconnect closes the connection. Calls that wait for an answer return an error.
func (s *socket) Disconnect() error { return s.close() }

// Run executes a command and returns QEMU's answer, of the form {"return": …}. An error
// that QEMU reports is returned as an error.
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

// Events returns the channel of QEMU's events. They must be received: an answer is only
// read after the events that precede it.
func (s *socket) Events(context.Context) (<-chan qmp.Event, error) { return s.events, nil }

// socketPath returns a path of about 30 bytes for a socket in a folder, valid until done
// is called: unix(7) allows only 107 bytes, and the user chooses the folder.
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
