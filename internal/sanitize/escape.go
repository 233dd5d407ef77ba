package sanitize

import (
	"fmt"
	"io"
)

// Escaper writes bytes into a file as text that nothing obeys when the file is
// printed, and from which they can be had again. Printable ASCII stays, and so
// does a tab. A serial line's end (CR LF) is a newline; every other byte is \xNN,
// a newline alone \n and a newline, a backslash \\. Of two colons the second is
// \x3a, and so are the other signs that begin a command in a pipeline's log.
type Escaper struct {
	to   io.Writer
	most int64 // bytes that are still taken
	last byte
}

// NewEscaper writes to a file at most so many bytes of text; what comes behind
// is counted as written, and lost, which the file's last line says.
func NewEscaper(to io.Writer, most int64) *Escaper { return &Escaper{to: to, most: most} }

// cut ends a text that was longer than it may be.
const cut = "\n\\ the rest is left out\n"

// Write implements io.Writer.
func (e *Escaper) Write(p []byte) (int, error) {
	if e.most <= 0 {
		return len(p), nil
	}
	out := make([]byte, 0, len(p)+len(p)/8)
	for _, b := range p {
		out = e.escape(out, b)
		e.last = b
	}
	if e.most -= int64(len(out)); e.most <= 0 {
		out = append(out[:int64(len(out))+e.most], cut...)
	}
	if _, err := e.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back, and leaves the file open.
func (e *Escaper) Close() error {
	if e.most <= 0 || e.last != '\r' {
		return nil
	}
	e.last = 0
	_, err := io.WriteString(e.to, `\x0d`)
	return err
}

// escape appends a byte's form. A carriage return waits for what follows.
func (e *Escaper) escape(out []byte, b byte) []byte {
	if e.last == '\r' {
		if b == '\n' {
			return append(out, '\n')
		}
		out = append(out, `\x0d`...)
	}
	switch {
	case b == '\r':
		return out
	case b == '\n':
		return append(out, "\\n\n"...)
	case b == '\\':
		return append(out, `\\`...)
	case b == e.last && (b == ':' || b == '#'), b == 'L' && e.last == '<', b != '\t' && (b < 0x20 || b > 0x7e):
		return fmt.Appendf(out, `\x%02x`, b)
	}
	return append(out, b)
}
