package qemu

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// tailBytes is how much of the console is kept in memory for error messages.
const tailBytes = 16 << 10

// Console collects a guest's output from the first byte: all of it in a writer, and its
// end in memory. Seen reports when a text appears.
type Console struct {
	mu     sync.Mutex
	sink   io.Writer
	tail   []byte
	total  int64
	waits  map[string]chan struct{}
	closed chan struct{}
}

// NewConsole makes a Console that also writes to sink, which may be nil.
func NewConsole(sink io.Writer) *Console {
	return &Console{sink: sink, waits: map[string]chan struct{}{}, closed: make(chan struct{})}
}

// Seen returns a channel that is closed once text has been printed. Call it before the
// guest runs.
func (c *Console) Seen(text string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.waits[text]; ok {
		return ch
	}
	ch := make(chan struct{})
	c.waits[text] = ch
	if bytes.Contains(c.tail, []byte(text)) {
		close(ch)
	}
	return ch
}

// Write implements io.Writer for the guest's output.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sink != nil {
		if _, err := c.sink.Write(p); err != nil {
			c.sink = nil // for example, the disk is full: only the tail in memory continues
		}
	}
	c.total += int64(len(p))
	c.tail = append(c.tail, p...)
	for text, ch := range c.waits {
		select {
		case <-ch:
		default:
			if bytes.Contains(c.tail, []byte(text)) {
				close(ch)
			}
		}
	}
	if len(c.tail) > 2*tailBytes {
		c.tail = append([]byte{}, c.tail[len(c.tail)-tailBytes:]...)
	}
	return len(p), nil
}

// Printed returns the number of bytes printed so far.
func (c *Console) Printed() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// Tail returns the end of the output, at most lines lines, as plain text.
func (c *Console) Tail(lines int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := strings.Split(strings.TrimRight(plain(string(c.tail)), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// plain removes carriage returns, escape sequences, which firmware prints, and other
// control characters.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == 0x1b && i+1 < len(s) && s[i+1] == '[': // CSI … final byte (ECMA-48)
			for i += 2; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		case ch == 0x1b && i+1 < len(s):
			i++
		case ch == '\n' || ch == '\t' || ch >= 0x20 && ch != 0x7f:
			b.WriteByte(ch)
		}
	}
	return b.String()
}
