package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// monitorSocket listens like QEMU.
func monitorSocket(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qmp")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// An answer is not changed by events that follow it immediately.
func TestAnswersAreNotOverwritten(t *testing.T) {
	l, path := monitorSocket(t)
	const rounds, events = 40, 20
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(c, `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}`+"\n")
		commands := json.NewDecoder(c)
		for round := range rounds + 1 {
			if commands.Decode(new(any)) != nil {
				return
			}
			fmt.Fprintf(c, `{"return": "%s"}`+"\n", long(round))
			for range events {
				fmt.Fprintf(c, `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"pad": "%s"}}`+"\n", strings.Repeat("e", 300))
			}
		}
		commands.Decode(new(any)) // until the other side closes
	}()
	m, err := dialMonitor(t.Context(), path, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	for round := range rounds {
		said, err := m.HMP(t.Context(), "info registers")
		if err != nil {
			t.Fatal(err)
		}
		if said != long(round+1) {
			t.Fatalf("round %d: got the answer %.40q…, want %.40q…", round, said, long(round+1))
		}
	}
	if _, err := m.WaitEvent(t.Context(), rounds*events-1, "RESET"); err != nil {
		t.Error(err)
	}
}

// long is an answer longer than half of a bufio.Scanner's buffer.
func long(round int) string { return strings.Repeat(fmt.Sprintf("%04d", round), 800) }

// A closed connection does not block.
func TestDisconnect(t *testing.T) {
	l, path := monitorSocket(t)
	s, err := dialSocket(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error)
	go func() {
		_, err := s.Run([]byte("{}"))
		ran <- err
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil { // the command is in progress
		t.Fatal(err)
	}
	s.Disconnect()
	if err := <-ran; err == nil {
		t.Error("an answer that nobody gave")
	}
	if _, open := <-s.events; open {
		t.Error("an event that nobody sent")
	}
	s.Disconnect()
}
